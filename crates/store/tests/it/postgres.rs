//! What only a server with many clients can do: be started on by several nodes at once, hold rows that one node has
//! locked, cut a connection, be gone.

use crate::{
    postgres_server::Server,
    seed::{Database, at, domain, event, new_message, organisation, to},
};
use model::{OrgId, RequestId};
use sqlx::{Connection as _, Executor as _, PgConnection};
use store::{Begun, DailyCap, Hidden, IdempotentRequest, Store, StoreError, StoreOptions, Visible};

async fn connect(url: &str) -> Store {
    Store::connect(url, StoreOptions::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_many_clients() {
    let Some(server) = Server::start_or_skip("store::postgres::a_server_with_many_clients") else { return };
    several_nodes_start_at_once(&server.database("start")).await;
    a_locked_row_holds_up_nobody_else(&server.database("locked")).await;
    a_message_being_accepted_keeps_no_check_away(&server.database("check")).await;
    a_cut_connection_is_temporary(&server.database("cut")).await;
    a_cancelled_call_leaves_no_open_transaction(&server.database("cancel")).await;
    a_newer_or_edited_schema_is_refused(&server.database("schema")).await;
    requests_of_an_organisation_do_not_wait_for_each_other(&server.database("requests")).await;
    wrong_databases_are_named(&server).await;
    everything_moves_from_a_file(&server.database("moved")).await;
    let url = server.database("gone");
    let store = connect(&url).await;
    drop(server);
    let gone = store.ping_write(at(1)).await.unwrap_err();
    assert!(gone.is_temporary(), "{gone:?}");
    let gone = Store::connect(&url, StoreOptions::default()).await.unwrap_err();
    assert!(matches!(gone, StoreError::Unreachable(_)), "{gone:?}");
}

async fn several_nodes_start_at_once(url: &str) {
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move { connect(&url).await })
        })
        .collect();
    for start in starts {
        let store = start.await.unwrap();
        assert!(store.is_shared());
        store.ping_write(at(1)).await.unwrap();
        store.close().await;
    }
}

/// Another node's transaction that has locked a due domain and a due delivery, and stands still.
async fn a_locked_row_holds_up_nobody_else(url: &str) {
    let store = connect(url).await;
    let org = organisation(&store).await;
    let locked = domain(&store, org, "one.example").await;
    let free = domain(&store, org, "two.example").await;
    let message = new_message(&free);
    store.accept_message(&message, &[to("a@example.net"), to("b@example.net")], &[]).await.unwrap();
    let mut frozen = PgConnection::connect(url).await.unwrap();
    frozen.execute("BEGIN").await.unwrap();
    frozen.execute("SELECT 1 FROM domains WHERE name = 'one.example' FOR UPDATE").await.unwrap();
    frozen.execute("SELECT 1 FROM deliveries WHERE recipient = 'a@example.net' FOR UPDATE").await.unwrap();

    let domains = store.claim_due_domains(at(1), "n", at(100), 9).await.unwrap();
    assert_eq!(domains.iter().map(|domain| domain.id).collect::<Vec<_>>(), [free.id]);
    let deliveries = store.claim_deliveries(at(1), "n", at(100), 9).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    // A write to the row itself waits, for a bounded time.
    let blocked = store.poke_domain(locked.id, at(2)).await;
    assert!(matches!(blocked, Err(StoreError::Busy)), "{blocked:?}");
    frozen.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.claim_due_domains(at(1), "n", at(100), 9).await.unwrap()[0].id, locked.id);
    frozen.close().await.unwrap();
    store.close().await;
}

/// A request with an `Idempotency-Key` is being stored, and stands still.
async fn requests_of_an_organisation_do_not_wait_for_each_other(url: &str) {
    let store = connect(url).await;
    let request = |number: u64| IdempotentRequest {
        org_id: OrgId::from_parts(1, 1),
        principal: "key_1".into(),
        key: format!("k{number}"),
        request_hash: Hidden::from(vec![1; 32]),
        reserved_id: RequestId::from_parts(1, u128::from(number)),
        now: at(0),
        lease_until: at(60),
        not_before: at(-1_000),
        most: 40,
    };
    let mut frozen = PgConnection::connect(url).await.unwrap();
    frozen.execute("BEGIN").await.unwrap();
    // All rows in which one of them was counted.
    assert!(matches!(store.begin_idempotent(&request(0)).await.unwrap(), Begun::Claimed { .. }));
    let counted = "SELECT 1 FROM idempotency_counts FOR UPDATE; SELECT 1 FROM idempotency_shards FOR UPDATE";
    frozen.execute(counted).await.unwrap();
    for number in 1..16 {
        let begun = store.begin_idempotent(&request(number)).await.unwrap();
        assert!(matches!(begun, Begun::Claimed { .. }), "{begun:?}");
    }
    frozen.execute("ROLLBACK").await.unwrap();
    // The bound is that of all rows together.
    for number in 16..40 {
        assert!(matches!(store.begin_idempotent(&request(number)).await.unwrap(), Begun::Claimed { .. }));
    }
    let over = store.begin_idempotent(&request(40)).await.unwrap();
    assert!(matches!(over, Begun::TooMany(_)), "{over:?}");
    frozen.close().await.unwrap();
    store.close().await;
}

async fn a_message_being_accepted_keeps_no_check_away(url: &str) {
    let store = connect(url).await;
    let org = organisation(&store).await;
    domain(&store, org, "example.com").await;
    let mut accepting = PgConnection::connect(url).await.unwrap();
    accepting.execute("BEGIN").await.unwrap();
    accepting.execute("SELECT 1 FROM domains FOR KEY SHARE").await.unwrap();
    assert_eq!(store.claim_due_domains(at(1), "n", at(100), 9).await.unwrap().len(), 1);
    accepting.close().await.unwrap();
    store.close().await;
}

async fn a_cut_connection_is_temporary(url: &str) {
    let options = StoreOptions { connections: 2, ..StoreOptions::default() };
    let store = Store::connect(url, options).await.unwrap();
    let org = organisation(&store).await;
    let mut operator = PgConnection::connect(url).await.unwrap();
    for _ in 0..5 {
        operator
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'countersign' AND datname = current_database()",
            )
            .await
            .unwrap();
        // What is idle in the pool is tried before it is given out.
        store.ping_write(at(1)).await.unwrap();
        assert_eq!(store.first_organisation().await.unwrap().unwrap().id, org);
    }
    operator.close().await.unwrap();
    store.close().await;
}

async fn a_cancelled_call_leaves_no_open_transaction(url: &str) {
    let options = StoreOptions { connections: 2, ..StoreOptions::default() };
    let store = Store::connect(url, options).await.unwrap();
    let org = organisation(&store).await;
    for n in 0..60 {
        let name = format!("n{n}.example.com");
        tokio::select! {
            biased;
            () = async { for _ in 0..n { tokio::task::yield_now().await } } => {}
            _ = domain(&store, org, &name) => {}
        }
        store.ping_write(at(n)).await.unwrap();
    }
    let mut operator = PgConnection::connect(url).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let open: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_activity
             WHERE application_name = 'countersign' AND datname = current_database() AND xact_start IS NOT NULL",
        )
        .fetch_one(&mut operator)
        .await
        .unwrap();
        if open == 0 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{open} transactions are still open");
        tokio::task::yield_now().await;
    }
    operator.close().await.unwrap();
    store.close().await;
}

async fn a_newer_or_edited_schema_is_refused(url: &str) {
    connect(url).await.close().await;
    let mut operator = PgConnection::connect(url).await.unwrap();
    operator.execute("UPDATE schema_migrations SET checksum = 'edited' WHERE version = 1").await.unwrap();
    let edited = Store::connect(url, StoreOptions::default()).await;
    assert!(matches!(edited, Err(StoreError::Corrupt(_))), "{edited:?}");
    operator.execute("INSERT INTO schema_migrations VALUES (999, 'x', 'y')").await.unwrap();
    let newer = Store::connect(url, StoreOptions::default()).await;
    assert!(matches!(newer, Err(StoreError::SchemaTooNew { found: 999, .. })), "{newer:?}");
    operator.close().await.unwrap();
}

async fn everything_moves_from_a_file(url: &str) {
    let file = Database::new().await;
    let from = &file.store;
    let org = organisation(from).await;
    let domain = domain(from, org, "example.com").await;
    let mut message = new_message(&domain);
    message.subject = "Grüße".into();
    message.daily_cap = Some(DailyCap { day: 7, messages: 3 });
    let told = event(org, "message.accepted", &message.id);
    from.accept_message(&message, &[to("a@example.net"), to("b@example.net")], &[told]).await.unwrap();
    from.set_setting("token_key", "secret").await.unwrap();
    from.add_pool_key(&crate::seed::pool_key(at(1))).await.unwrap();
    from.number_key_changes().await.unwrap();

    let store = connect(url).await;
    let copied = from.copy_to(&store).await.unwrap();
    let count = |name: &str| copied.iter().find(|(table, _)| *table == name).unwrap().1;
    assert_eq!((count("organisations"), count("deliveries"), count("events")), (1, 2, 1));
    assert_eq!(store.get_domain(org, domain.id).await.unwrap(), domain);
    assert_eq!(store.keys_of_domain(domain.id).await.unwrap(), from.keys_of_domain(domain.id).await.unwrap());
    assert_eq!(store.published_keys().await.unwrap(), from.published_keys().await.unwrap());
    assert_eq!(
        store.get_message(&Visible::all_of(org), message.id).await.unwrap(),
        from.get_message(&Visible::all_of(org), message.id).await.unwrap()
    );
    assert_eq!(store.messages_on_day(domain.id, 7).await.unwrap(), 1);
    assert_eq!(store.get_setting("token_key").await.unwrap().as_deref(), Some("secret"));
    assert_eq!(store.first_organisation().await.unwrap().unwrap().id, org);
    // The work goes on there.
    let claimed = store.claim_deliveries(at(1), "n", at(9), 9).await.unwrap();
    assert_eq!((claimed.len(), &claimed[0].raw), (2, &message.raw));
    store.ping_write(at(3)).await.unwrap();

    let again = from.copy_to(&store).await;
    assert!(matches!(again, Err(StoreError::NotEmpty)), "{again:?}");
    store.close().await;
}

async fn wrong_databases_are_named(server: &Server) {
    let url = server.database("right");
    let mut operator = PgConnection::connect(&url).await.unwrap();
    operator
        .execute(
            "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'
             LOCALE 'C' LOCALE_PROVIDER libc",
        )
        .await
        .unwrap();
    operator.close().await.unwrap();
    let latin = Store::connect(&url.replace("/right", "/latin"), StoreOptions::default()).await;
    assert!(matches!(&latin, Err(StoreError::Encoding(name)) if name == "LATIN1"), "{latin:?}");
    let none = Store::connect(&url.replace("/right", "/none"), StoreOptions::default()).await.unwrap_err();
    assert!(none.to_string().contains("\"none\" does not exist"), "{none}");
}
