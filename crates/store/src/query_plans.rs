//! The statements that run all the time must find their rows through an index, whatever the size of the table.

use crate::{Store, StoreOptions, database::sql, deliveries, domains, events, messages, sandbox};

async fn plan(store: &Store, statement: &'static str) -> String {
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
    let rows = store.read_all(sql(explain)).await.unwrap();
    rows.iter().map(|row| row.get::<String>("detail").unwrap()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn frequent_statements_use_their_index_and_sort_nothing() {
    let folder = std::env::temp_dir().join(format!("store-plans-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = Store::open(&folder.join("plans.db"), StoreOptions::default()).await.unwrap();
    for (statement, index) in [
        (domains::CLAIM, "domains_due"),
        (domains::NEXT_FREE, "domains_due"),
        (domains::NEXT_LEASED, "domains_leased"),
        (domains::LIST, "domains_list"),
        (deliveries::CLAIM, "deliveries_due"),
        (deliveries::NEXT_FREE, "deliveries_due"),
        (deliveries::NEXT_LEASED, "deliveries_leased"),
        (deliveries::DEPTH, "deliveries_open"),
        (messages::LIST, "messages_list"),
        (events::LIST, "events_list"),
        (events::LIST_FOR_SUBJECT, "events_of_subject"),
        (sandbox::UNAUTHENTICATED, "sandbox_messages_due"),
    ] {
        let plan = plan(&store, statement).await;
        assert!(plan.contains(index), "{statement}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{statement}\n{plan}");
    }
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
