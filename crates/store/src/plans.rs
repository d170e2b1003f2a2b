//! How the databases find what is asked for often: the plans are checked in, in `docs/plans/`, so that a change of one is seen
//! by whoever reviews it, and none of them goes through a whole table that grows.
//!
//! `COUNTERSIGN_WRITE_PLANS=1 cargo test -p store plans` writes them anew. Those of SQLite are made without statistics,
//! as at every installation (nothing runs ANALYZE); those of PostgreSQL with 20,000 rows in the tables that grow.

use crate::{
    Store, StoreOptions, Visible, api_keys, audit, claims, contacts,
    database::{Kind, Sql, sql},
    deliveries, dkim_keys, domains, events, idempotency, messages, reputation, retired_keys, tenants,
    webhook_deliveries, webhooks,
};
use model::{ApiKeyId, DomainId, OrgId, TenantId, Timestamp};
use std::{fs, path::PathBuf};

#[path = "../tests/it/postgres_server.rs"]
mod postgres_server;

/// Tables that grow with the installation: none is read from end to end.
const BIG: [&str; 16] = [
    "sending_days",
    "warmup_days",
    "domains",
    "dkim_keys",
    "observations",
    "messages",
    "deliveries",
    "events",
    "webhook_deliveries",
    "webhook_attempts",
    "audit_log",
    "api_keys",
    "idempotency",
    "tenants",
    "dkim_key_pool",
    "retired_keys",
];

/// What is asked often, each with values as they come.
fn statements() -> Vec<(&'static str, Sql)> {
    let org = OrgId::from_parts(0, 1);
    let visible = |tenant: bool, key: bool| Visible {
        org_id: org,
        tenant_id: tenant.then(|| TenantId::from_parts(0, 1)),
        of_key: key.then(|| ApiKeyId::from_parts(0, 1)),
    };
    let whole = visible(false, false);
    let (now, before) = (Timestamp::from_second(1_800_000_000).unwrap_or_default(), "dom_~");
    let domain = DomainId::from_parts(0, 1);
    let list = |visible: Visible, text| {
        let page = visible.sql(text).bind(&org).text(before).bind(&21_u32).bind(&20_000_i64);
        page.bind_opt(None::<&String>)
    };
    let in_status = |visible: Visible, text| {
        let page = visible.sql(text).bind(&org).text(before).bind(&21_u32).bind(&20_000_i64);
        page.text("failed")
    };
    let named = |page: Sql| page.text("%acme%").bind(&5_000_u32);
    let claim = |(text, on_postgres): (&'static str, &'static str)| {
        sql(text).on_postgres(on_postgres).text("node").bind(&now).bind(&now).bind(&16_u32)
    };
    let page = |visible: Visible, text, before| {
        visible.bind(visible.sql(text).bind(&org).text(before).bind(&21_u32))
    };
    let feed = |visible: Visible| {
        visible.bind(visible.sql(&events::FEED).bind(&org).bind(&1_000_i64).text("").bind(&21_u32))
    };
    vec![
        ("domains: one", sql(domains::ONE).bind(&domain).bind(&org)),
        ("domains: by name", sql(domains::BY_NAME).bind(&org).text("acme.test")),
        ("domains: list", list(whole, &domains::LIST)),
        ("domains: list of a tenant", {
            let visible = visible(true, false);
            visible.bind(list(visible, &domains::LIST))
        }),
        ("domains: list of a key", {
            let visible = visible(false, true);
            visible.bind(list(visible, &domains::LIST))
        }),
        ("domains: list in a status", in_status(whole, &domains::LIST_IN_STATUS)),
        ("domains: part of a name", named(list(whole, &domains::NAMED))),
        ("domains: part of a name in a status", named(in_status(whole, &domains::NAMED_IN_STATUS))),
        (
            "domains: how far was looked",
            whole.sql(&domains::LOOKED).bind(&org).text(before).bind(&5_000_u32).bind_opt(None::<&String>),
        ),
        ("domains: claim in a hurry", claim(domains::CLAIM[0])),
        ("domains: claim calm", claim(domains::CLAIM[1])),
        ("domains: next that is free", sql(domains::NEXT_FREE)),
        ("domains: next whose lease ends", sql(domains::NEXT_LEASED)),
        ("keys: whether the pool has some", sql(dkim_keys::HAS).bind(&30_u32)),
        ("keys: told of a selector", sql(retired_keys::TOLD).text("abc").bind(&10_u32)),
        ("keys: retired and waiting", sql(retired_keys::WAITING).bind(&now).bind(&now).bind(&20_u32)),
        ("keys: of a domain", sql(dkim_keys::OF_ONE).bind(&domain)),
        ("requests: how many", sql(idempotency::COUNTED).bind(&org).bind(&7_i64)),
        ("claims: of many domains", { (0..20).fold(sql(claims::OF_TWENTY), |query, _| query.bind(&domain)) }),
        ("keys: selectors of a name", sql(dkim_keys::SELECTORS_OF).text("acme.test")),
        ("API keys: by secret", sql(api_keys::BY_HASH).blob(&[7; 32])),
        ("API keys: list", page(whole, &api_keys::LIST, "key_~")),
        ("tenants: list", page(whole, &tenants::LIST, "tnt_~")),
        ("contacts: list", page(whole, &contacts::LIST, "ctc_~")),
        ("messages: list", page(whole, &messages::LIST, "msg_~")),
        ("messages: list of a tenant", page(visible(true, false), &messages::LIST, "msg_~")),
        ("deliveries: claim", claim((deliveries::CLAIM, deliveries::CLAIM_ON_POSTGRES))),
        ("deliveries: next that is free", sql(deliveries::NEXT_FREE)),
        ("deliveries: next whose lease ends", sql(deliveries::NEXT_LEASED)),
        ("deliveries: wake those of a domain", sql(deliveries::WAKE).bind(&domain).bind(&now)),
        ("reputation: of a domain", sql(reputation::JUDGED_DOMAIN).bind(&domain).bind(&20_000_i64)),
        (
            "reputation: of a tenant",
            sql(reputation::JUDGED_TENANT).bind(&org).bind(&TenantId::from_parts(0, 1)).bind(&20_000_i64),
        ),
        ("events: feed", feed(whole)),
        ("events: feed of a tenant", feed(visible(true, false))),
        ("events: number", sql(events::NUMBER).bind(&7_i64).bind(&1_000_u32)),
        ("webhooks: list", page(whole, &webhooks::LIST, "whk_~")),
        (
            "webhook deliveries: claim",
            claim((webhook_deliveries::CLAIM, webhook_deliveries::CLAIM_ON_POSTGRES)).text(","),
        ),
        ("webhook deliveries: list", sql(webhook_deliveries::LIST).text("whk_1").text("whd_~").bind(&21_u32)),
        ("audit log: list", sql(audit::LIST).bind(&org).text("aud_~").bind(&21_u32)),
    ]
}

async fn plans(store: &Store) -> String {
    let mut out = String::new();
    for (name, statement) in statements() {
        out.push_str("# ");
        out.push_str(name);
        out.push('\n');
        let (explained, column) = statement.explained(matches!(store.pools.kind, Kind::Postgres(_)));
        let rows = store.read_all(explained).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        for row in rows {
            out.push_str(&row.get::<String>(column).unwrap());
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// What reads a whole table that grows.
fn scans(plans: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in plans.split("# ").skip(1) {
        let (name, lines) = part.split_once('\n').unwrap();
        for line in lines.lines() {
            let table = match line.trim().trim_start_matches("-> ").trim() {
                // SQLite says so too of a scan of an index that stands for the order.
                line if line.starts_with("SCAN ") && !line.contains(" USING ") => line.split(' ').nth(1),
                line if line.contains("Seq Scan on ") => {
                    line.split("Seq Scan on ").nth(1).and_then(|rest| rest.split(' ').next())
                }
                _ => None,
            };
            if table.is_some_and(|table| BIG.contains(&table)) {
                found.push(format!("{name}: {line}"));
            }
        }
    }
    found
}

fn compare(name: &str, plans: &str) {
    assert_eq!(scans(plans), Vec::<String>::new(), "{plans}");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/plans").join(name);
    if std::env::var_os("COUNTERSIGN_WRITE_PLANS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, plans).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == plans, "{} is another; see `plans.rs`. Now:\n{plans}", file.display());
}

#[tokio::test]
async fn plans_on_sqlite_are_as_checked_in_and_read_no_whole_table() {
    let folder = std::env::temp_dir().join(format!("store-all-plans-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let store = Store::open(&folder.join("store.db"), StoreOptions::default()).await.unwrap();
    compare("sqlite.txt", &plans(&store).await);
    store.close().await;
    fs::remove_dir_all(&folder).unwrap();
}

/// 20,000 of everything, of 200 organisations, one in a hundred or a thousand of it in the state that is looked for.
const FILL: &str = "
INSERT INTO organisations (id, name, created_at)
    SELECT 'org_' || lpad(n::text, 26, '0'), 'x', 0 FROM generate_series(0, 199) AS n;
INSERT INTO domains (id, org_id, name, profile, status, spf_status, dkim_status, dmarc_status, return_path_status,
        health, approval_status, created_at, next_check_at, variables, capabilities, watch_seconds, tenant_id,
        lease_owner, lease_until)
    SELECT 'dom_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), 'd' || n || '.test', 'p',
        CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'verified' END, 'verified', 'verified', 'verified', 'verified', 'ok', 'none',
        0, 1700000000000 + n::bigint * 100000000, '{}', '{}', CASE WHEN n % 100 = 0 THEN NULL ELSE 3600 END,
        'tnt_' || lpad((n % 2000)::text, 26, '0'), CASE WHEN n % 2000 = 0 THEN 'n' END, CASE WHEN n % 2000 = 0 THEN 5 END
    FROM generate_series(1, 20000) AS n;
INSERT INTO warmup_days (domain_id, day, accepted)
    SELECT 'dom_' || lpad(n::text, 26, '0'), 20000, 1 FROM generate_series(1, 20000) AS n;
INSERT INTO sending_days (domain_id, day, epoch, shard, org_id, tenant_id, delivered, bounced, refused, complained)
    SELECT 'dom_' || lpad(n::text, 26, '0'), 20000, 0, 0, 'org_' || lpad((n % 200)::text, 26, '0'),
        'tnt_' || lpad((n % 2000)::text, 26, '0'), 1, 0, 0, 0 FROM generate_series(1, 20000) AS n;
INSERT INTO dkim_keys (id, domain_id, selector, public_key, private_key, state, position, created_at)
    SELECT 'dkm_' || n, 'dom_' || lpad(n::text, 26, '0'), 's' || n, 'k', 'k', 'active', 0, 0 FROM generate_series(1, 20000) AS n;
INSERT INTO dkim_key_pool (id, public_key, private_key, created_at)
    SELECT 'dkm_p' || n, 'k', 'k', n FROM generate_series(1, 20000) AS n;
INSERT INTO retired_keys (id, owner, selector, public_key, private_key, retired_at, look_at, told_at)
    SELECT 'dkm_r' || n, 'o', 's' || n, 'k', 'k', 1700000000000 + n::bigint * 100000000,
        CASE WHEN n % 100 = 0 THEN 1700000000000 + n::bigint * 100000000 END, CASE WHEN n % 100 > 0 THEN 1 END
    FROM generate_series(1, 20000) AS n;
INSERT INTO tenants (id, org_id, reference, created_at)
    SELECT 'tnt_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), n::text, 0 FROM generate_series(1, 20000) AS n;
INSERT INTO api_keys (id, org_id, name, secret_hash, display_prefix, scopes, created_at)
    SELECT 'key_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), 'x', decode(lpad(to_hex(n), 64, '0'), 'hex'),
        'x', '[]', 0 FROM generate_series(1, 20000) AS n;
INSERT INTO api_key_domains (key_id, domain_id)
    SELECT 'key_' || lpad((n % 1000)::text, 26, '0'), 'dom_' || lpad(n::text, 26, '0') FROM generate_series(1, 20000) AS n
    WHERE n % 1000 > 0;
INSERT INTO messages (id, org_id, domain_id, tenant_id, from_address, recipients, subject, size, created_at, raw)
    SELECT 'msg_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), 'dom_' || lpad(n::text, 26, '0'),
        'tnt_' || lpad((n % 2000)::text, 26, '0'), 'a', 'b', 'c', 1, 0, 'x' FROM generate_series(1, 20000) AS n;
INSERT INTO deliveries (message_id, recipient, return_path, state, next_attempt_at, created_at, updated_at)
    SELECT 'msg_' || lpad(n::text, 26, '0'), 'b', 'c', CASE WHEN n % 100 = 0 THEN 'queued' ELSE 'delivered' END,
        CASE WHEN n % 100 = 0 THEN 1700000000000 + n::bigint * 100000000 END, 0, 0 FROM generate_series(1, 20000) AS n;
INSERT INTO events (id, org_id, event_type, subject, data, created_at, seq, tenant_id, domain_id)
    SELECT 'evt_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), 't', 's', '{}', n,
        CASE WHEN n <= 19990 THEN n END, 'tnt_' || lpad((n % 2000)::text, 26, '0'), 'dom_' || lpad(n::text, 26, '0')
    FROM generate_series(1, 20000) AS n;
INSERT INTO webhooks (id, org_id, url, description, event_types, status, created_at, updated_at, secret)
    SELECT 'whk_' || n, 'org_' || lpad((n % 200)::text, 26, '0'), 'u', '', '[]', 'enabled', 0, 0, 'x' FROM generate_series(1, 300) AS n;
INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, state, started_at, next_attempt_at, created_at, updated_at)
    SELECT 'whd_' || lpad(n::text, 26, '0'), 'whk_' || (n % 300 + 1), 'evt_' || n, 't',
        CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'delivered' END, 0,
        CASE WHEN n % 100 = 0 THEN 1700000000000 + n::bigint * 100000000 END, 0, n FROM generate_series(1, 20000) AS n;
INSERT INTO audit_log (id, org_id, at, actor_kind, actor_id, action, subject, data)
    SELECT 'aud_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), n, 'key', 'k' || n % 9, 'a', 's' || n, '{}'
    FROM generate_series(1, 20000) AS n;
INSERT INTO contacts (id, org_id, address, created_at)
    SELECT 'ctc_' || lpad(n::text, 26, '0'), 'org_' || lpad((n % 200)::text, 26, '0'), 'a', 0 FROM generate_series(1, 3000) AS n;
ANALYZE;
";

#[tokio::test]
async fn plans_on_postgres_are_as_checked_in_and_read_no_whole_table() {
    let Some(server) = postgres_server::Server::start_or_skip("store::plans::on_postgres") else { return };
    let store = Store::connect(&server.database("plans"), StoreOptions::default()).await.unwrap();
    let mut tx = store.pools.write().await.unwrap();
    tx.run_script(FILL).await.unwrap();
    tx.commit().await.unwrap();
    let plans = plans(&store).await;
    let version = sql("SHOW server_version").first(&mut store.pools.read().await.unwrap()).await.unwrap();
    let version: String = version.unwrap().get("server_version").unwrap();
    let major = version.split('.').next().unwrap().to_owned();
    if major == "15" {
        compare("postgres.txt", &plans);
    } else {
        // Others plan otherwise, and as well.
        assert_eq!(scans(&plans), Vec::<String>::new(), "{plans}");
    }
    store.close().await;
}
