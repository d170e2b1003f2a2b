//! Messages and the queue.

use crate::seed::{at, domain, event, new_message, organisation, to};
use store::{DeliveryResult, DeliveryState, Store, StoreError, Visible};

pub async fn a_message_goes_through_the_queue(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let message = new_message(&domain);
    let recipients = [to("Anna@example.net"), to("bo@example.org"), to("Anna@example.net")];
    let accepted = event(org, "message.accepted", &message.id);
    store.accept_message(&message, &recipients, std::slice::from_ref(&accepted)).await.unwrap();
    assert_eq!(store.queue_depth().await.unwrap(), (2, Some(at(0))));
    assert_eq!(store.next_delivery_due_at().await.unwrap(), Some(at(0)));
    assert_eq!(&store.get_message_raw(org, message.id).await.unwrap()[..], &message.raw[..]);

    let claimed = store.claim_deliveries(at(1), "a", at(100), 9).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert_eq!((&claimed[0].raw, claimed[0].domain_id), (&message.raw, domain.id));
    for claim in claimed {
        let delivered = claim.recipient.local_part() == "bo";
        let result = DeliveryResult {
            message_id: claim.message_id,
            recipient: claim.recipient,
            owner: "a".into(),
            epoch: claim.epoch,
            state: if delivered { DeliveryState::Delivered } else { DeliveryState::Deferred },
            code: Some(if delivered { 250 } else { 451 }),
            reply: "2.0.0 queued as 1".into(),
            remote: Some("mx.example.org".into()),
            next_attempt_at: (!delivered).then(|| at(500)),
            at: at(20),
            became: None,
        };
        store.finish_delivery(&result, &[]).await.unwrap();
    }
    let (stored, deliveries, attempts) = store.get_message(&Visible::all_of(org), message.id).await.unwrap();
    assert_eq!((stored.size, stored.recipients.len()), (message.raw.len() as u64, 3));
    assert_eq!((deliveries[0].state, deliveries[0].last_code), (DeliveryState::Deferred, Some(451)));
    assert_eq!((deliveries[1].state, deliveries[1].delivered_at), (DeliveryState::Delivered, Some(at(20))));
    assert_eq!(attempts.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(store.queue_depth().await.unwrap(), (1, Some(at(0))));
    assert_eq!(store.next_delivery_due_at().await.unwrap(), Some(at(500)));
    assert!(store.claim_deliveries(at(499), "a", at(999), 9).await.unwrap().is_empty());
    let retried = store.claim_deliveries(at(500), "a", at(999), 9).await.unwrap();
    assert_eq!((retried.len(), retried[0].attempts), (1, 1));
    assert_eq!(store.list_events(org, None, 9).await.unwrap(), [accepted]);
}

pub async fn nothing_is_accepted_for_a_deleted_domain(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let before = new_message(&domain);
    store.accept_message(&before, &[to("r@example.net")], &[]).await.unwrap();
    store.delete_domain(org, domain.id, at(1), &[]).await.unwrap();
    let told = event(org, "message.accepted", &domain.id);
    let refused = store.accept_message(&new_message(&domain), &[to("r@example.net")], &[told]).await;
    assert!(matches!(refused, Err(StoreError::NotFound("domain"))), "{refused:?}");
    assert_eq!(
        store.list_messages(&Visible::all_of(org), None, 9).await.unwrap().len(),
        1,
        "the older one stays"
    );
    assert!(store.list_events(org, None, 9).await.unwrap().is_empty());
}

pub async fn messages_page_newest_first(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let domain = domain(store, org, "example.com").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let message = new_message(&domain);
        ids.insert(0, message.id);
        store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
    }
    let page = async |after| {
        let page = store.list_messages(&Visible::all_of(org), after, 2).await.unwrap();
        page.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ids[..2]);
    assert_eq!(page(Some(ids[1])).await, ids[2..]);
    assert!(store.list_messages(&Visible::all_of(other), None, 9).await.unwrap().is_empty());
    assert!(matches!(
        store.get_message(&Visible::all_of(other), ids[0]).await,
        Err(StoreError::NotFound("message"))
    ));
    assert!(matches!(store.get_message_raw(other, ids[0]).await, Err(StoreError::NotFound("message"))));
}
