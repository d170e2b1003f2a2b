//! Addresses that get no mail.

use crate::seed::{at, domain, new_message, organisation, suppression_id, tenant_id, to};
use model::{OrgId, TenantId};
use store::{Store, StoreError, Suppression, Visible};

fn new(org_id: OrgId, tenant_id: Option<TenantId>, address: &str) -> Suppression {
    Suppression {
        id: suppression_id(),
        org_id,
        tenant_id,
        address: address.into(),
        reason: "manual".into(),
        created_at: at(1),
    }
}

pub async fn what_is_suppressed_is_not_accepted(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let sender = domain(store, org, "example.com").await;
    let (ours, theirs) = (tenant_id(), tenant_id());
    for entry in [
        new(org, None, "all@example.net"),
        new(org, Some(ours), "ours@example.net"),
        new(org, Some(theirs), "theirs@example.net"),
        new(other, None, "fine@example.net"),
    ] {
        store.add_suppression(&entry, &[]).await.unwrap();
    }
    let accept = async |tenant_id, recipients: &[&str]| {
        let mut message = new_message(&sender);
        message.tenant_id = tenant_id;
        let recipients: Vec<_> = recipients.iter().map(|recipient| to(recipient)).collect();
        match store.accept_message(&message, &recipients, &[]).await {
            Ok(()) => Vec::new(),
            Err(StoreError::Suppressed(addresses)) => addresses.iter().map(ToString::to_string).collect(),
            Err(error) => panic!("{error}"),
        }
    };
    let everyone = ["All@Example.net", "ours@example.net", "theirs@example.net", "fine@example.net"];
    assert_eq!(accept(None, &everyone).await, ["All@example.net"]);
    assert_eq!(accept(Some(ours), &everyone).await, ["All@example.net", "ours@example.net"]);
    assert_eq!(accept(Some(theirs), &["ours@example.net"]).await, [""; 0]);
    let messages = store.list_messages(&Visible::all_of(org), None, 9).await.unwrap();
    assert_eq!(messages.len(), 1, "a message is accepted whole or not at all");
}

pub async fn each_tenant_has_its_own(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let (ours, theirs) = (tenant_id(), tenant_id());
    let first = new(org, Some(ours), "a@example.net");
    assert_eq!(store.add_suppression(&first, &[]).await.unwrap(), (first.clone(), true));
    let again = new(org, Some(ours), "a@example.net");
    assert_eq!(store.add_suppression(&again, &[]).await.unwrap(), (first.clone(), false));
    let of_all = store.add_suppression(&new(org, None, "a@example.net"), &[]).await.unwrap().0;
    let of_them = store.add_suppression(&new(org, Some(theirs), "b@example.net"), &[]).await.unwrap().0;
    let all = Visible::all_of(org);
    let only = Visible { tenant_id: Some(ours), ..all };
    let list = async |visible, address| {
        let listed = store.list_suppressions(&visible, address, None, 9).await.unwrap();
        listed.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(list(all, None).await, [of_them.id, of_all.id, first.id]);
    assert_eq!(list(only, None).await, [first.id]);
    assert_eq!(list(all, Some("a@example.net")).await, [of_all.id, first.id]);
    assert_eq!(list(only, Some("b@example.net")).await, []);
    let page = store.list_suppressions(&all, None, Some(of_them.id), 1).await.unwrap();
    assert_eq!(page[0].id, of_all.id);
    assert!(store.get_suppression(&only, of_them.id).await.is_err());
    assert_eq!(store.get_suppression(&all, of_them.id).await.unwrap(), of_them);
    assert!(store.delete_suppression(other, first.id, &[]).await.is_err());
    store.delete_suppression(org, first.id, &[]).await.unwrap();
    assert_eq!(list(only, None).await, []);
}
