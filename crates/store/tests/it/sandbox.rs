//! The sandbox inbox.

use crate::seed::{at, next, organisation, sandbox_id};
use model::OrgId;
use store::{NewSandboxMessage, SandboxLimits, Store, StoreError, Visible};

const ROOMY: SandboxLimits = SandboxLimits { messages: 100, bytes: 1_000_000 };

fn message(org_id: OrgId, recipient: &str, size: usize) -> NewSandboxMessage {
    NewSandboxMessage {
        id: sandbox_id(),
        org_id,
        tenant_id: None,
        domain_id: None,
        received_at: at(0),
        client_ip: "127.0.0.1".into(),
        helo: "client.example".into(),
        mail_from: None,
        recipients: vec!["first@example.com".into(), recipient.into()],
        tls: true,
        header_from: "news@example.com".into(),
        subject: format!("number {}", next()),
        raw: vec![b'x'; size].into(),
    }
}

async fn stored(store: &Store, org_id: OrgId) -> Vec<model::SandboxMessageId> {
    let list = store.list_sandbox_messages(&Visible::all_of(org_id), None, 999, None).await.unwrap();
    list.into_iter().map(|message| message.id).collect()
}

pub async fn the_inbox_is_bounded(store: &Store) {
    let org = organisation(store).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let new = message(org, "r@example.net", 100);
        ids.insert(0, new.id);
        store.receive_sandbox_message(&new, SandboxLimits { messages: 4, bytes: 1_000 }).await.unwrap();
    }
    assert_eq!(stored(store, org).await, ids[..4]);
    let new = message(org, "r@example.net", 700);
    store.receive_sandbox_message(&new, SandboxLimits { messages: 10, bytes: 1_000 }).await.unwrap();
    assert_eq!(stored(store, org).await, [new.id, ids[0], ids[1], ids[2]]);
    let limits = SandboxLimits { messages: 10, bytes: 1_000 };
    let huge = store.receive_sandbox_message(&message(org, "r@example.net", 1_001), limits).await;
    assert!(matches!(huge, Err(StoreError::LimitReached { limit: 1_000, .. })));
    assert_eq!(store.count_sandbox_messages().await.unwrap(), 4);

    store.delete_sandbox_message(new.id).await.unwrap();
    assert!(matches!(store.delete_sandbox_message(new.id).await, Err(StoreError::NotFound("message"))));
    assert_eq!(store.delete_sandbox_messages(&Visible::all_of(org), &[]).await.unwrap(), 3);
    assert_eq!(store.count_sandbox_messages().await.unwrap(), 0);
}

pub async fn authentication_is_put_off_and_stored(store: &Store) {
    let org = organisation(store).await;
    let new = message(org, "r@example.net", 10);
    store.receive_sandbox_message(&new, ROOMY).await.unwrap();
    let waiting = store.unauthenticated_sandbox_messages(at(0), 9).await.unwrap();
    assert_eq!((waiting.len(), &waiting[0].raw), (1, &new.raw));
    store.defer_sandbox_authentication(new.id, at(50)).await.unwrap();
    assert!(store.unauthenticated_sandbox_messages(at(49), 9).await.unwrap().is_empty());
    assert_eq!(store.next_authentication_due_at().await.unwrap(), Some(at(50)));
    assert_eq!(store.unauthenticated_sandbox_messages(at(50), 9).await.unwrap()[0].summary.attempts, 1);

    store.set_sandbox_authentication(new.id, "{\"spf\":\"pass\"}", at(60)).await.unwrap();
    store.defer_sandbox_authentication(new.id, at(70)).await.unwrap();
    assert!(store.unauthenticated_sandbox_messages(at(99), 9).await.unwrap().is_empty());
    assert_eq!(store.next_authentication_due_at().await.unwrap(), None);
    let summary = store.get_sandbox_message(&Visible::all_of(org), new.id).await.unwrap().summary;
    assert_eq!(summary.authentication.as_deref(), Some("{\"spf\":\"pass\"}"));
    assert_eq!((summary.authenticated_at, summary.mail_from, summary.tls), (Some(at(60)), None, true));
}

pub async fn the_inbox_lists_by_recipient(store: &Store) {
    let org = organisation(store).await;
    let anna = message(org, "Anna_1@example.net", 10);
    let other = message(org, "annax1@example.net", 10);
    store.receive_sandbox_message(&anna, ROOMY).await.unwrap();
    store.receive_sandbox_message(&other, ROOMY).await.unwrap();
    let list = async |after, recipient| {
        let page = store.list_sandbox_messages(&Visible::all_of(org), after, 9, recipient).await.unwrap();
        page.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, Some("anna_1@EXAMPLE.net")).await, [anna.id]);
    assert!(list(None, Some("1@example.net")).await.is_empty(), "a part of an address is another address");
    assert!(list(None, Some("%")).await.is_empty());
    assert_eq!(list(Some(other.id), None).await, [anna.id]);
}
