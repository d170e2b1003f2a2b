//! What a million domains take on disk, and what looking at them and claiming what is due costs among so many, against ten
//! thousand, on SQLite and on PostgreSQL: `cargo xtask bench million`.
//!
//! Rows are seeded by SQL, since adding a million over the API is not what is measured: each domain with three keys, a report and
//! an observation of the length that compressed ones have (2.8 KB and 2.1 KB for a domain that is right). Of a thousand domains one
//! has failed, of a hundred one is due.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench that cannot go on says so"
)]

#[path = "../tests/it/postgres_server.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod postgres_server;

use model::{DomainId, DomainStatus, OrgId, Timestamp};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};
use store::{DomainFilter, Store, StoreOptions, Visible};

const SIZES: [u64; 2] = [10_000, 1_000_000];
const TIMES: u64 = 200;

/// `{series}` makes `n` from 1 to the size, `{packed}` and `{observed}` are what compressed texts are like, `{pad}` makes 26
/// characters of a number.
const SEED: [&str; 4] = [
    "INSERT INTO organisations (id, name, created_at) VALUES ('org_00000000000000000000000001', 'x', 0)",
    "INSERT INTO domains (id, org_id, name, profile, status, spf_status, dkim_status, dmarc_status, return_path_status,
            health, approval_status, created_at, verified_at, last_checked_at, next_check_at, variables, capabilities,
            watch_seconds, packed_report)
        SELECT 'dom_' || {pad}, 'org_00000000000000000000000001', 'mail.customer-' || n || '.example', 'three-cname',
            CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'verified' END, 'verified', 'verified', 'verified', 'verified', 'ok',
            'none', 1750000000000, 1750000000000, 1750000000000,
            CASE WHEN n % 100 = 0 THEN 1750000000000 + n ELSE 1850000000000 + n END,
            '{\"platform\":\"send.example.net\",\"token1\":\"aaaaaaaaaaaaaaaaaaaaaaaa\",\"token2\":\"aaaaaaaaaaaaaaaaaaaaaaaa\",\"token3\":\"aaaaaaaaaaaaaaaaaaaaaaaa\",\"dmarcrua\":\"dmarc@send.example.net\"}',
            '{\"sending\":true,\"receiving\":false}', 43200, {packed}
        FROM {series}",
    "INSERT INTO dkim_keys (id, domain_id, selector, public_key, private_key, state, position, created_at, dns_generation)
        SELECT 'dkm_' || {pad} || k, 'dom_' || {pad}, 's' || n || '-' || k, {public}, {private}, 'active', k, 0, 1
        FROM {series}, (SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3) AS three",
    "INSERT INTO observations (domain_id, version, checked_at, digest, since, packed, observation, report)
        SELECT 'dom_' || {pad}, 2, 1750000000000, n, 1750000000000, {observed}, '', '' FROM {series}",
];

/// A deflate stream without compression: as hard to compress further as what was compressed, and a text when it is opened.
fn stored(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut text = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'!' + u8::try_from(state % 90).unwrap()
    };
    let length = u16::try_from(length).unwrap();
    let mut out = vec![1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend((0..length).map(|_| text()));
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02X}").unwrap();
        text
    })
}

fn statement(text: &str, size: u64, on_postgres: bool) -> String {
    let blob = |bytes: &[u8]| {
        if on_postgres { format!("'\\x{}'::bytea", hex(bytes)) } else { format!("X'{}'", hex(bytes)) }
    };
    let (series, pad) = if on_postgres {
        (format!("generate_series(1, {size}) AS n"), "lpad(upper(to_hex(n)), 26, '0')")
    } else {
        let series = format!(
            "(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {size}) SELECT n FROM numbers)"
        );
        (series, "printf('%026X', n)")
    };
    text.replace("{series}", &series)
        .replace("{pad}", pad)
        .replace("{packed}", &blob(&stored(2_800)))
        .replace("{observed}", &blob(&stored(2_100)))
        .replace("{public}", &format!("'{}'", "A".repeat(392)))
        .replace("{private}", &blob(&stored(1_250)))
}

#[tokio::main]
async fn main() {
    // Another number than a million where one is given.
    let given = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let sizes = [SIZES[0], given.unwrap_or(SIZES[1])];
    let folder = std::env::temp_dir().join(format!("countersign-million-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut costs = Vec::new();
    for size in sizes {
        let path = folder.join(format!("{size}.db"));
        let store = Store::open(&path, StoreOptions::default()).await.unwrap();
        seed_sqlite(&path, size).await;
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!("SQLite, {size} domains: {:.1} KB each", bytes as f64 / size as f64 / 1_000.0);
        costs.push(measure(&store, size).await);
        store.close().await;
    }
    show("SQLite", sizes, &costs);
    std::fs::remove_dir_all(&folder).unwrap();
    let Some(programs) = postgres_server::programs() else {
        println!("no postgres (Debian package postgresql)");
        return;
    };
    let server = postgres_server::Server::start(programs, &["fsync=on"]);
    costs.clear();
    for size in sizes {
        let url = server.database(&format!("of_{size}"));
        let store = Store::connect(&url, StoreOptions::default()).await.unwrap();
        let bytes = seed_postgres(&url, size).await;
        println!("PostgreSQL, {size} domains: {:.1} KB each", bytes as f64 / size as f64 / 1_000.0);
        costs.push(measure(&store, size).await);
        store.close().await;
    }
    show("PostgreSQL", sizes, &costs);
}

async fn seed_sqlite(path: &Path, size: u64) {
    let mut connection =
        sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false).connect().await.unwrap();
    for text in SEED {
        let text = AssertSqlSafe(statement(text, size, false));
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn seed_postgres(url: &str, size: u64) -> u64 {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    for text in SEED {
        let text = AssertSqlSafe(statement(text, size, true));
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await.unwrap();
    let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    u64::try_from(bytes).unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// The median of what each takes.
async fn measure(store: &Store, size: u64) -> Vec<(&'static str, Duration)> {
    let org = OrgId::from_parts(0, 1);
    let visible = Visible::all_of(org);
    let list = async |filter: &DomainFilter, after: Option<DomainId>, wanted: Option<usize>| {
        let page = store.list_domains(&visible, filter, after, 21, 0).await.unwrap();
        assert!(wanted.is_none_or(|wanted| page.domains.len() == wanted), "{}", page.domains.len());
    };
    let all = DomainFilter::default();
    let failed = DomainFilter { status: Some(DomainStatus::Failed), ..all.clone() };
    let few = usize::try_from(size / 1_000).unwrap().min(21);
    let rare = DomainFilter { name_contains: Some("no-such-name".into()), ..all.clone() };
    let place =
        |number: u64| -> DomainId { format!("dom_{:026X}", number * 7_919 % size + 1).parse().unwrap() };
    let mut out = Vec::new();
    let mut times = |what, run: Vec<Duration>| {
        let mut run = run;
        run.sort();
        out.push((what, run[run.len() / 2]));
    };
    macro_rules! timed {
        ($what:literal, $number:ident => $work:expr) => {{
            let mut run = Vec::new();
            for $number in 0..TIMES {
                let start = Instant::now();
                $work;
                run.push(start.elapsed());
            }
            times($what, run);
        }};
    }
    timed!("a domain by its id", number => store.get_domain(org, place(number)).await.unwrap());
    timed!("list, first page of 20", _number => list(&all, None, Some(21)).await);
    timed!("list, a page anywhere", number => list(&all, Some(place(number)), None).await);
    timed!("list, the failed ones", _number => list(&failed, None, Some(few)).await);
    timed!("part of a name that none has", _number => list(&rare, None, Some(0)).await);
    timed!("claim of 16 that are due", number => {
        let now = at(1_760_000_000_000 + i64::try_from(number).unwrap());
        // The lease is over with the next one, so that there is always as much due.
        store.claim_due_domains(now, "bench", now, 16).await.unwrap()
    });
    timed!("when the next one is due", _number => store.next_domain_due_at().await.unwrap());
    out
}

fn show(database: &str, sizes: [u64; 2], costs: &[Vec<(&'static str, Duration)>]) {
    println!("{database:<32} {:>12} {:>12} {:>7}", sizes[0], sizes[1], "ratio");
    for ((what, few), (_, many)) in costs[0].iter().zip(&costs[1]) {
        println!("  {what:<30} {few:>12.1?} {many:>12.1?} {:>7.2}", many.as_secs_f64() / few.as_secs_f64());
    }
}
