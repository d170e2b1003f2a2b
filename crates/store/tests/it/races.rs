//! Several callers at once: what one writer at a time gives for nothing, and many writers must be made to keep.

use crate::seed::{at, domain, new_domain, new_message, next, organisation, pool_key, sandbox_id, to};
use std::collections::HashSet;
use store::{Hidden, KeySource, NewSandboxMessage, SandboxLimits, Store, StoreError};

pub async fn keys_of_the_pool_are_given_once(store: &Store) {
    let org = organisation(store).await;
    for n in 0..20 {
        store.add_pool_key(&pool_key(at(n))).await.unwrap();
    }
    let adders: Vec<_> = (0..12)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let selectors = vec![format!("s{n}"), format!("t{n}")];
                let new = new_domain(org, &format!("n{n}.example.com"));
                store.create_domain(&new, KeySource::Pool { selectors }, &[]).await
            })
        })
        .collect();
    let mut given = Vec::new();
    let mut refused = 0;
    for adder in adders {
        match adder.await.unwrap() {
            Ok((_, keys)) => given.extend(keys.into_iter().map(|key| key.id)),
            Err(StoreError::PoolEmpty) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len());
    // One who finds fewer keys than wanted, because others hold them, gives his back.
    assert_eq!(store.count_pool_keys().await.unwrap(), 20 - given.len() as u64);
    assert_eq!(given.len(), (12 - refused) * 2);
    assert!(refused >= 2, "there were keys for ten");
}

pub async fn messages_and_deleting_wait_for_each_other(store: &Store) {
    let org = organisation(store).await;
    for round in 0..10 {
        let domain = domain(store, org, &format!("n{round}.example.com")).await;
        let senders: Vec<_> = (0..6)
            .map(|_| {
                let (store, message) = (store.clone(), new_message(&domain));
                tokio::spawn(async move {
                    store.accept_message(&message, &[to("r@example.net")], &[]).await.is_ok()
                })
            })
            .collect();
        store.delete_domain(org, domain.id, at(1), &[]).await.unwrap();
        let known = store.list_messages(&store::Visible::all_of(org), None, 1_000).await.unwrap().len();
        let mut accepted = 0;
        for sender in senders {
            accepted += usize::from(sender.await.unwrap());
        }
        assert!(accepted <= 6);
        let now = store.list_messages(&store::Visible::all_of(org), None, 1_000).await.unwrap().len();
        assert_eq!(now, known, "nothing is accepted once the domain is seen to be deleted");
    }
}

pub async fn the_inbox_stays_bounded(store: &Store) {
    let org_id = organisation(store).await;
    let limits = SandboxLimits { messages: 5, bytes: 1_000_000 };
    let senders: Vec<_> = (0..30)
        .map(|_| {
            let store = store.clone();
            let message = NewSandboxMessage {
                id: sandbox_id(),
                org_id,
                tenant_id: None,
                domain_id: None,
                received_at: at(0),
                client_ip: "127.0.0.1".into(),
                helo: "client.example".into(),
                mail_from: None,
                recipients: vec!["r@example.com".into()],
                tls: false,
                header_from: "news@example.com".into(),
                subject: format!("number {}", next()),
                raw: Hidden::from(vec![b'x'; 100]),
            };
            tokio::spawn(async move { store.receive_sandbox_message(&message, limits).await.unwrap() })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(store.count_sandbox_messages().await.unwrap(), 5);
}
