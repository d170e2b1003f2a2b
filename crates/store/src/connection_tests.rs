//! What the outside cannot see: frequent statements must find their rows through an index, whatever the size of the
//! table, and the writing connection must sync every commit.

use crate::{
    Store, StoreOptions, api_keys, claims, database::sql, deliveries, dkim_keys, domains, events, key_feed,
    key_rotation, messages, sandbox, tenants, webhook_deliveries, webhooks,
};
use std::path::PathBuf;

async fn plan(store: &Store, statement: &'static str) -> String {
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
    let rows = store.read_all(sql(explain)).await.unwrap();
    rows.iter().map(|row| row.get::<String>("detail").unwrap()).collect::<Vec<_>>().join("\n")
}

/// A store in a folder of its own.
async fn open(name: &str) -> (Store, PathBuf) {
    let folder = std::env::temp_dir().join(format!("store-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    (Store::open(&folder.join("store.db"), StoreOptions::default()).await.unwrap(), folder)
}

#[tokio::test]
async fn the_writer_syncs_every_commit_and_readers_cannot_write() {
    let (store, folder) = open("pragmas").await;
    let mut tx = store.pools.write().await.unwrap();
    for (pragma, wanted) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA query_only", 0)]
    {
        let row = sql(pragma).first(&mut tx).await.unwrap().unwrap();
        assert_eq!(row.get::<i64>(pragma.split(' ').next_back().unwrap()).unwrap(), wanted, "{pragma}");
    }
    drop(tx);
    let mut reader = store.pools.read().await.unwrap();
    assert!(sql("DELETE FROM settings").run(&mut reader).await.is_err());
    drop(reader);
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A prepared statement with a `*` fails on PostgreSQL once another node's migration has added a column.
#[test]
fn statements_name_their_columns() {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(sources).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for words in ["SELECT", "RETURNING"] {
            let star = format!("{words} *");
            assert!(!text.contains(&star), "{star} in {}", entry.path().display());
        }
    }
}

#[tokio::test]
async fn frequent_statements_use_their_index_and_sort_nothing() {
    let (store, folder) = open("plans").await;
    for (statement, index) in [
        (domains::CLAIM[0].0, "domains_due_soon"),
        (domains::CLAIM[1].0, "domains_due"),
        (domains::DEFER, "domains_due_calm"),
        (domains::NEXT_FREE, "domains_due"),
        (domains::NEXT_LEASED, "domains_leased"),
        (domains::LIST.whole, "domains_list"),
        (domains::LIST.tenant, "domains_list_tenant"),
        (domains::LIST_IN_STATUS.whole, "domains_list_status"),
        (domains::NAMED.whole, "domains_names"),
        (domains::NAMED_IN_STATUS.whole, "domains_list_status"),
        (domains::LOOKED.whole, "domains_names"),
        (dkim_keys::OF_TWENTY, "dkim_keys_of_domain"),
        (dkim_keys::SELECTORS_OF, "domains_named"),
        (key_rotation::DRAINED, "dkim_keys_draining"),
        (key_rotation::ROTATION_DUE, "domains_rotate"),
        (key_rotation::UNSCHEDULED, "domains_unscheduled"),
        (key_feed::GONE, "dkim_keys_feed"),
        (key_feed::SERVED, "dkim_keys_feed"),
        (key_feed::SUB_ZONES, "domains_named"),
        (key_feed::HELD, "domains_"),
        (claims::DUE, "domain_claims_due"),
        (claims::HOLDER_OF, "domains_holder"),
        (deliveries::CLAIM, "deliveries_due"),
        (deliveries::NEXT_FREE, "deliveries_due"),
        (deliveries::NEXT_LEASED, "deliveries_leased"),
        (deliveries::DEPTH, "deliveries_open"),
        (messages::LIST.whole, "messages_list"),
        (messages::LIST.tenant, "messages_list_tenant"),
        (sandbox::LIST.whole, "sandbox_messages_list"),
        (api_keys::LIST.whole, "api_keys_list"),
        (tenants::LIST.whole, "tenants_list"),
        (events::LIST, "events_list"),
        (events::LIST_FOR_SUBJECT, "events_of_subject"),
        (events::FEED.whole, "events_feed"),
        (events::FEED.tenant, "events_feed_tenant"),
        (webhooks::LIST.whole, "webhooks_list"),
        (webhooks::LIST.tenant, "webhooks_list_tenant"),
        (webhook_deliveries::CLAIM, "webhook_deliveries_due"),
        (webhook_deliveries::NEXT_FREE, "webhook_deliveries_due"),
        (webhook_deliveries::NEXT_LEASED, "webhook_deliveries_leased"),
        (webhook_deliveries::LIST, "webhook_deliveries_list"),
        (webhook_deliveries::LIST_IN_STATE, "webhook_deliveries_list"),
        (sandbox::UNAUTHENTICATED, "sandbox_messages_due"),
    ] {
        let plan = plan(&store, statement).await;
        assert!(plan.contains(index), "{statement}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{statement}\n{plan}");
    }
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
