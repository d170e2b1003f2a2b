//! What is kept for a time and then goes.

use crate::{
    audit::entry,
    keys::api_key,
    seed::{at, event, organisation, webhook_delivery_id},
    webhooks::{add, happen, result, types_of},
};
use store::{AuditFilter, Store, Visible, WebhookDeliveryState as State};

pub async fn who_fell_behind_the_events_that_are_kept_is_told(store: &Store) {
    let org = organisation(store).await;
    let mut events: Vec<_> = (0..6).map(|n| event(org, "domain.created", &n)).collect();
    for (age, event) in (0..).zip(&mut events) {
        event.created_at = at(age);
    }
    happen(store, &events).await;
    let feed = async || store.event_feed(&Visible::all_of(org), 0, &[], 9).await.unwrap();
    assert_eq!((feed().await.gone, feed().await.last_seq), (0, 6));
    assert_eq!(store.delete_events_before(at(0), 2).await.unwrap(), 0);
    assert_eq!(feed().await.gone, 0);
    // The oldest first, and few at once.
    for (deleted, gone) in [(2, 2), (2, 4), (0, 4)] {
        assert_eq!(store.delete_events_before(at(4), 2).await.unwrap(), deleted);
        let left = feed().await;
        assert_eq!((left.gone, left.last_seq), (gone, 6));
        assert!(left.events.iter().all(|found| found.seq > gone));
    }
    assert_eq!(feed().await.events.len(), 2);
}

pub async fn deliveries_go_when_they_are_over_with_their_attempts(store: &Store) {
    let org = organisation(store).await;
    let hook = add(store, org, &[]).await;
    let events: Vec<_> = (0..4).map(|n| event(org, "domain.created", &n)).collect();
    happen(store, &events).await;
    let claimed = store.claim_webhook_deliveries(at(0), "n", at(9), 9, &[]).await.unwrap();
    let states = [State::Delivered, State::Failed, State::Waiting, State::Delivered];
    for (ended, (claimed, state)) in (0..).zip(claimed.iter().zip(states)) {
        let mut result = result(claimed, "n", state);
        result.attempt.at = at(ended);
        store.finish_webhook_delivery(&result, &[]).await.unwrap();
    }
    assert_eq!(store.delete_webhook_deliveries_before(at(0), 9).await.unwrap(), 0);
    assert_eq!(store.delete_webhook_deliveries_before(at(3), 1).await.unwrap(), 1);
    assert_eq!(store.delete_webhook_deliveries_before(at(3), 9).await.unwrap(), 1);
    assert_eq!(types_of(store, hook.id).await.len(), 2, "one waits, one ended later");
    assert!(store.get_webhook_delivery(claimed[0].id).await.is_err());
    assert_eq!(store.get_webhook_delivery(claimed[2].id).await.unwrap().1.len(), 1);
    // What went is not told again by itself.
    store.number_events(9, at(9), &mut webhook_delivery_id).await.unwrap();
    assert_eq!(types_of(store, hook.id).await.len(), 2);
}

pub async fn the_audit_log_goes_by_its_age(store: &Store) {
    let org = organisation(store).await;
    for age in 0..3 {
        let line = store::AuditEntry { at: at(age), ..entry(org, "key_1", "domain.updated", "dom_1") };
        store.add_audit(&line).await.unwrap();
    }
    assert_eq!(store.delete_audit_before(at(2), 1).await.unwrap(), 1);
    assert_eq!(store.delete_audit_before(at(2), 9).await.unwrap(), 1);
    assert_eq!(store.delete_audit_before(at(2), 9).await.unwrap(), 0);
    let left = store.list_audit(org, &AuditFilter::default(), None, 9).await.unwrap();
    assert_eq!(left.iter().map(|line| line.at).collect::<Vec<_>>(), [at(2)]);
}

pub async fn uses_of_keys_are_noted_together(store: &Store) {
    let org = organisation(store).await;
    let keys = [api_key(org, 1), api_key(org, 2), api_key(org, 3)];
    for key in &keys {
        store.insert_api_key(key, 10, &[]).await.unwrap();
    }
    store.note_key_uses(&[]).await.unwrap();
    store.note_key_uses(&[(keys[0].id, at(5)), (keys[1].id, at(6))]).await.unwrap();
    // Another node saw an earlier one, and wrote it down later.
    store.note_key_uses(&[(keys[0].id, at(7)), (keys[1].id, at(2))]).await.unwrap();
    let listed = store.list_api_keys(&Visible::all_of(org), None, 9).await.unwrap();
    let uses: Vec<_> = listed.into_iter().rev().map(|key| key.last_used_at).collect();
    assert_eq!(uses, [Some(at(7)), Some(at(6)), None]);
}
