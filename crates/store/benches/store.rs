//! What the store does in a second, on SQLite and on PostgreSQL, each commit on disk: `cargo bench -p store`.
//!
//! Everything runs on one machine, the PostgreSQL server too, so its numbers are those of shared cores. The ceiling is
//! an INSERT of one row and its commit, with the same number of callers.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that cannot go on says so")]

#[path = "../tests/it/postgres_server.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod postgres_server;
#[path = "../tests/it/seed.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod seed;

use seed::{at, event, new_domain, new_key, new_message, next, organisation, to};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use store::{KeySource, Store, StoreOptions};

const TIME: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    println!("{:<46} {:>6} {:>8} {:>8}", "", "nodes", "callers", "a second");
    let file = seed::Database::new().await;
    for callers in [1, 16] {
        measure("SQLite", std::slice::from_ref(&file.store), callers).await;
    }
    let Some(programs) = postgres_server::programs() else {
        println!("no postgres (Debian package postgresql)");
        return;
    };
    let server = postgres_server::Server::start(programs, &["fsync=on"]);
    for (nodes, callers) in [(1, 1), (1, 16), (3, 16)] {
        let url = server.database(&format!("bench_{nodes}_{callers}"));
        let mut stores = Vec::new();
        for _ in 0..nodes {
            stores.push(Store::connect(&url, StoreOptions::default()).await.unwrap());
        }
        measure("PostgreSQL", &stores, callers).await;
        for store in stores {
            store.close().await;
        }
    }
}

/// Each piece of work with so many callers at each node.
async fn measure(database: &str, stores: &[Store], callers: usize) {
    let org = organisation(&stores[0]).await;
    let say = |what: &str, rate: f64| {
        let what = format!("{database}: {what}");
        println!("{what:<46} {:>6} {callers:>8} {rate:>8.0}", stores.len());
    };
    let insert = move |store: Store| async move {
        store.add_events(&[event(org, "bench", &next())]).await.unwrap();
    };
    say("one INSERT (the ceiling)", rate(stores, callers, insert).await);
    let create = move |store: Store| async move {
        let number = next();
        let keys = (0..3).map(|key| new_key(&format!("s{number}-{key}"))).collect();
        let new = new_domain(org, &format!("n{number}.example.com"));
        let told = event(org, "domain.created", &new.id);
        store.create_domain(&new, KeySource::Given(keys), &[told]).await.unwrap();
    };
    say("create_domain, 3 keys, 1 event", rate(stores, callers, create).await);
    let domain = Arc::new(seed::domain(&stores[0], org, &format!("m{}.example.com", next())).await);
    let accept = move |store: Store| {
        let message = new_message(&domain);
        async move {
            let told = event(org, "email.accepted", &message.id);
            store.accept_message(&message, &[to("r@example.net")], &[told]).await.unwrap();
        }
    };
    say("accept_message, 1 recipient, 1 event", rate(stores, callers, accept).await);
    let claim = move |store: Store| async move {
        // The lease is over at once, so there is always something due. Those who come together may find it held.
        store.claim_due_domains(at(1), "bench", at(0), 16).await.unwrap();
    };
    say("claim of 16 due domains", rate(stores, callers, claim).await);
}

/// How often the work was done in a second.
async fn rate<F>(stores: &[Store], callers: usize, work: impl Fn(Store) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let (started, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let running: Vec<_> = stores
        .iter()
        .flat_map(|store| std::iter::repeat_n(store, callers))
        .map(|store| {
            let (store, work, count) = (store.clone(), work.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                while started.elapsed() < TIME {
                    work(store.clone()).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in running {
        caller.await.unwrap();
    }
    f64::from(u32::try_from(count.load(Ordering::Relaxed)).unwrap_or(u32::MAX))
        / started.elapsed().as_secs_f64()
}
