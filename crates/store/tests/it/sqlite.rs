//! What only a file on a disk can do: be there again, be full, be locked, be from the future.

use crate::seed::{Database, at, domain, event, new_message, organisation, to};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{path::Path, time::Duration};
use store::{DomainFilter, Hidden, Store, StoreError, StoreOptions, Visible};

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_dropped_store_is_there_again() {
    let database = Database::new().await;
    let org = organisation(&database.store).await;
    let stored = domain(&database.store, org, "example.com").await;
    // No close, no checkpoint: as after kill -9.
    let second = Store::open(&database.path, StoreOptions::default()).await.unwrap();
    assert_eq!(second.get_domain(org, stored.id).await.unwrap(), stored);
    database.store.close().await;
    second.close().await;
    let third = Store::open(&database.path, StoreOptions::default()).await.unwrap();
    assert_eq!(third.get_domain(org, stored.id).await.unwrap(), stored);
    third.close().await;
}

#[tokio::test]
async fn a_copy_of_the_files_without_any_close_has_every_commit() {
    let database = Database::new().await;
    let org = organisation(&database.store).await;
    let stored = domain(&database.store, org, "example.com").await;
    let copy = database.path.with_file_name("copy.db");
    std::fs::copy(&database.path, &copy).unwrap();
    std::fs::copy(database.path.with_file_name("store.db-wal"), database.path.with_file_name("copy.db-wal"))
        .unwrap();
    let store = Store::open(&copy, StoreOptions::default()).await.unwrap();
    assert_eq!(store.get_domain(org, stored.id).await.unwrap(), stored);
    store.close().await;
}

#[tokio::test]
async fn a_mark_is_the_same_until_something_is_committed_by_anybody() {
    let database = Database::new().await;
    let store = &database.store;
    let mark = || store.mark().expect("it is told without asking");
    let first = mark();
    let org = organisation(store).await;
    let second = mark();
    assert_ne!(first, second);
    // Reading, a transaction that is given up, and a checkpoint change nothing that could be read.
    store.first_organisation().await.unwrap();
    let mut other = connect(&database.path).await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    run(&mut other, "UPDATE organisations SET name = 'x'").await;
    assert_eq!(mark(), second, "nobody sees it yet");
    run(&mut other, "ROLLBACK").await;
    run(&mut other, "PRAGMA wal_checkpoint(PASSIVE)").await;
    assert_eq!(mark(), second);
    // Another connection, and each commit whether or not it changes much.
    let mut marks = vec![first, second];
    for statement in ["UPDATE organisations SET name = 'x'", "UPDATE organisations SET name = 'Acme'"] {
        run(&mut other, statement).await;
        assert!(!marks.contains(&mark()), "{statement}");
        marks.push(mark());
    }
    // The log begins anew.
    run(&mut other, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    for n in 0..50 {
        store.ping_write(at(n)).await.unwrap();
        assert!(!marks.contains(&mark()));
        marks.push(mark());
    }
    other.close().await.unwrap();
    // SQLite takes the file away with its last connection and makes a new one.
    store.close().await;
    assert_eq!(store.mark(), None, "there is nobody to ask");
    let again = Store::open(&database.path, StoreOptions::default()).await.unwrap();
    again.get_organisation(org).await.unwrap();
    assert!(!marks.contains(&again.mark().unwrap()));
    assert_eq!(store.mark(), again.mark(), "whoever looks");
    again.close().await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let options = StoreOptions { max_page_count: Some(240), ..StoreOptions::default() };
    let database = Database::with(options).await;
    let store = &database.store;
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let mut accepted = 0;
    let error = loop {
        let mut message = new_message(&domain);
        message.raw = Hidden::from(vec![b'x'; 20_000]);
        let told = [event(org, "message.accepted", &message.id)];
        match store.accept_message(&message, &[to("r@example.net")], &told).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1_000, "the limit must be reached");
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(error.is_temporary());
    assert!(accepted > 0);

    // Again, because the first failure must not leave the writing connection unusable.
    let mut message = new_message(&domain);
    message.raw = Hidden::from(vec![b'x'; 200_000]);
    let again = store.accept_message(&message, &[to("r@example.net")], &[]).await;
    assert!(matches!(again, Err(StoreError::Full)), "{again:?}");
    let messages = store.list_messages(&Visible::all_of(org), None, 2_000).await.unwrap();
    assert_eq!(messages.len(), accepted);
    assert_eq!(store.get_message_raw(org, messages[0].id).await.unwrap().len(), 20_000);
    assert_eq!(store.list_events(org, None, 2_000).await.unwrap().len(), accepted);
    assert_eq!(store.queue_depth().await.unwrap().0, accepted as u64);
    store.ping_write(at(5)).await.expect("a write that needs no new page works");
    assert_eq!(store.delete_events_before(at(1), 9).await.unwrap(), accepted.min(9) as u64);

    let mut connection = connect(&database.path).await;
    let sound: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(sound, "ok");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_locked_database_is_busy_for_writes_and_open_for_reads() {
    let options = StoreOptions { busy_timeout: Duration::from_millis(50), ..StoreOptions::default() };
    let database = Database::with(options).await;
    let store = &database.store;
    let org = organisation(store).await;
    let mut other = connect(&database.path).await;
    run(&mut other, "BEGIN IMMEDIATE").await;

    let refused = store.ping_write(at(1)).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(refused.unwrap_err().is_temporary());
    assert_eq!(store.first_organisation().await.unwrap().unwrap().id, org);

    run(&mut other, "ROLLBACK").await;
    store.ping_write(at(2)).await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_call_leaves_no_open_transaction() {
    let database = Database::new().await;
    let store = &database.store;
    let org = organisation(store).await;
    for n in 0..30 {
        let name = format!("n{n}.example.com");
        // Polled for as long as one yield of the other branch takes, so it ends at many different places.
        tokio::select! {
            biased;
            () = async { for _ in 0..n { tokio::task::yield_now().await } } => {}
            _ = domain(store, org, &name) => {}
        }
        store.ping_write(at(n)).await.unwrap();
    }
}

#[tokio::test]
async fn a_newer_or_edited_schema_is_refused() {
    let database = Database::new().await;
    database.store.close().await;
    let mut connection = connect(&database.path).await;
    run(&mut connection, "UPDATE schema_migrations SET checksum = 'edited' WHERE version = 1").await;
    let edited = Store::open(&database.path, StoreOptions::default()).await;
    assert!(matches!(edited, Err(StoreError::Corrupt(_))), "{edited:?}");
    run(&mut connection, "INSERT INTO schema_migrations (version, name, checksum) VALUES (999, 'x', 'y')")
        .await;
    let newer = Store::open(&database.path, StoreOptions::default()).await;
    assert!(matches!(newer, Err(StoreError::SchemaTooNew { found: 999, .. })), "{newer:?}");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_domain_verified_before_there_was_a_warm_up_began_it_then() {
    let database = Database::new().await;
    let org = organisation(&database.store).await;
    let verified = domain(&database.store, org, "one.example").await;
    let pending = domain(&database.store, org, "two.example").await;
    database.store.close().await;
    let mut connection = connect(&database.path).await;
    // As the first schema left it.
    run(&mut connection, "DROP TABLE warmup_days").await;
    run(&mut connection, "DELETE FROM schema_migrations WHERE version = 2").await;
    run(&mut connection, "UPDATE domains SET verified_at = 1750000000000 WHERE name = 'one.example'").await;
    connection.close().await.unwrap();
    let store = Store::open(&database.path, StoreOptions::default()).await.unwrap();
    assert_eq!(store.get_domain(org, verified.id).await.unwrap().warmup_started_at, Some(at(0)));
    assert_eq!(store.get_domain(org, pending.id).await.unwrap().warmup_started_at, None);
    store.close().await;
}

#[tokio::test]
async fn what_was_there_before_there_were_tenants_belongs_to_the_first_organisation() {
    let database = Database::new().await;
    let org = organisation(&database.store).await;
    organisation(&database.store).await;
    let stored = domain(&database.store, org, "one.example").await;
    database.store.close().await;
    let mut connection = connect(&database.path).await;
    // As the third schema left it.
    for statement in [
        "DROP INDEX sandbox_messages_list",
        "DROP INDEX messages_list_tenant",
        "DROP INDEX messages_list_domain",
        "DROP INDEX domains_list_tenant",
        "DROP TABLE api_key_domains",
        "DROP TABLE tenants",
        "ALTER TABLE sandbox_messages DROP COLUMN org_id",
        "ALTER TABLE sandbox_messages DROP COLUMN tenant_id",
        "ALTER TABLE sandbox_messages DROP COLUMN domain_id",
        "ALTER TABLE messages DROP COLUMN key_id",
        "ALTER TABLE api_keys DROP COLUMN expires_at",
        "ALTER TABLE api_keys DROP COLUMN created_by",
        "ALTER TABLE api_keys DROP COLUMN replaced_by",
        "DELETE FROM schema_migrations WHERE version = 4",
        "INSERT INTO sandbox_messages (id, received_at, client_ip, helo, recipients, tls, size, header_from, subject,
             raw) VALUES ('sbx_01JD0000000000000000000000', 1, 'x', 'x', '[]', 0, 1, 'x', 'x', x'00')",
        "INSERT INTO api_keys (id, org_id, name, secret_hash, display_prefix, scopes, created_at, allowed_domain_ids)
             SELECT 'key_01JD0000000000000000000000', org_id, 'x', x'00', 'x', '[]', 1, '[\"' || id || '\"]'
             FROM domains",
    ] {
        run(&mut connection, statement).await;
    }
    connection.close().await.unwrap();
    let store = Store::open(&database.path, StoreOptions::default()).await.unwrap();
    let inbox = store.list_sandbox_messages(&Visible::all_of(org), None, 9, None).await.unwrap();
    assert_eq!(inbox.len(), 1);
    let key = "key_01JD0000000000000000000000".parse().ok();
    let limited = Visible { of_key: key, ..Visible::all_of(org) };
    let seen = store.list_domains(&limited, &DomainFilter::default(), None, 9, 0).await.unwrap().domains;
    assert_eq!(seen.iter().map(|(domain, _)| domain.id).collect::<Vec<_>>(), [stored.id]);
    store.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_and_a_value_nobody_wrote_are_corrupt() {
    let database = Database::new().await;
    let org = organisation(&database.store).await;
    let stored = domain(&database.store, org, "example.com").await;
    let mut connection = connect(&database.path).await;
    run(&mut connection, "UPDATE domains SET status = 'sideways'").await;
    let read = database.store.get_domain(org, stored.id).await;
    assert!(matches!(&read, Err(StoreError::Corrupt(what)) if what.contains("status")), "{read:?}");
    connection.close().await.unwrap();

    let garbage = database.path.with_file_name("garbage.db");
    std::fs::write(&garbage, vec![b'#'; 8192]).unwrap();
    let opened = Store::open(&garbage, StoreOptions::default()).await;
    assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{opened:?}");
}

#[tokio::test]
async fn the_log_is_written_ahead_and_the_files_are_private() {
    let database = Database::new().await;
    let mut connection = connect(&database.path).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mode, "wal");
    connection.close().await.unwrap();
    #[cfg(unix)]
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(database.path.with_file_name(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_all_that_was_acknowledged_before_it() {
    let database = Database::new().await;
    let org = organisation(&database.store).await;
    let domain = domain(&database.store, org, "example.com").await;
    let (sender, mut acknowledged) = tokio::sync::watch::channel(0_usize);
    let writer = tokio::spawn({
        let (store, domain) = (database.store.clone(), domain.clone());
        async move {
            for count in 1.. {
                store.accept_message(&new_message(&domain), &[to("r@example.net")], &[]).await.unwrap();
                if sender.send(count).is_err() {
                    return count;
                }
            }
            0
        }
    });
    let mut sizes = Vec::new();
    for number in 0..3 {
        acknowledged.changed().await.unwrap();
        let before = *acknowledged.borrow();
        let to = database.path.with_file_name(format!("backup-{number}.db"));
        // As another process would: by the file alone.
        assert!(store::back_up(&database.path, &to).await.unwrap() > 0);
        let copy = database.path.with_file_name(format!("restored-{number}.db"));
        store::restore(&to, &copy).await.unwrap();
        let copy = Store::open(&copy, StoreOptions::default()).await.unwrap();
        let kept = copy.list_messages(&store::Visible::all_of(org), None, 1_000_000).await.unwrap().len();
        assert!(kept >= before, "{before} were acknowledged and {kept} are in the copy");
        assert_eq!(copy.queue_depth().await.unwrap().0, kept as u64, "of one moment");
        copy.close().await;
        sizes.push(kept);
    }
    drop(acknowledged);
    assert!(writer.await.unwrap() >= sizes[2]);

    let twice = store::back_up(&database.path, &database.path.with_file_name("backup-0.db")).await;
    assert!(twice.unwrap_err().to_string().contains("exists"));
    let damaged = database.path.with_file_name("damaged.db");
    let mut bytes = std::fs::read(database.path.with_file_name("backup-1.db")).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 8192].fill(0xff);
    std::fs::write(&damaged, bytes).unwrap();
    let refused = store::restore(&damaged, &database.path.with_file_name("never.db")).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert!(!database.path.with_file_name("never.db").exists());
    #[cfg(unix)]
    for file in ["backup-0.db", "restored-0.db"] {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(database.path.with_file_name(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
}
