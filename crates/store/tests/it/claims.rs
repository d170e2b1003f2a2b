//! Claims and leases.

use crate::seed::{at, domain, new_message, organisation, to};
use std::collections::HashSet;
use store::{DeliveryClaim, DeliveryResult, DeliveryState, Store, StoreError};

pub async fn no_domain_is_claimed_twice(store: &Store) {
    let org = organisation(store).await;
    for n in 0..40 {
        domain(store, org, &format!("n{n}.example.com")).await;
    }
    let claimers: Vec<_> = (0..6)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed =
                        store.claim_due_domains(at(1), &format!("owner{n}"), at(100), 3).await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|domain| domain.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 40);
}

pub async fn a_lease_ends(store: &Store) {
    let org = organisation(store).await;
    let id = domain(store, org, "example.com").await.id;
    let claim = async |now: i64, owner: &str| {
        store.claim_due_domains(at(now), owner, at(now + 10), 9).await.unwrap().len()
    };
    assert_eq!(claim(0, "a").await, 1);
    assert_eq!(claim(9, "b").await, 0);
    assert_eq!(store.next_domain_due_at().await.unwrap(), Some(at(10)));
    assert_eq!(claim(10, "b").await, 1, "the owner died");
    store.release_domain_lease(id, "a").await.unwrap();
    assert_eq!(claim(11, "c").await, 0, "a has no lease to give back");
    store.release_domain_lease(id, "b").await.unwrap();
    assert_eq!(claim(11, "c").await, 1);
}

pub async fn no_delivery_is_claimed_twice(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    for _ in 0..10 {
        let recipients: Vec<_> = (0..4).map(|n| to(&format!("r{n}@example.net"))).collect();
        store.accept_message(&new_message(&domain), &recipients, &[]).await.unwrap();
    }
    let claimers: Vec<_> = (0..6)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = store.claim_deliveries(at(1), &format!("o{n}"), at(100), 3).await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|claim| (claim.message_id, claim.recipient)));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 40);
}

pub async fn a_lost_lease_finishes_nothing(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let message = new_message(&domain);
    store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
    assert_eq!(store.claim_deliveries(at(0), "slow", at(10), 1).await.unwrap().len(), 1);
    assert_eq!(store.next_delivery_due_at().await.unwrap(), Some(at(10)));
    let second = store.claim_deliveries(at(10), "quick", at(20), 1).await.unwrap().remove(0);
    let mut result = DeliveryResult {
        message_id: message.id,
        recipient: "r@example.net".parse().unwrap(),
        owner: "slow".into(),
        epoch: 1,
        state: DeliveryState::Failed,
        code: None,
        reply: "timed out".into(),
        remote: None,
        next_attempt_at: None,
        at: at(12),
        became: None,
    };
    let lost = store.finish_delivery(&result, &[]).await;
    assert!(matches!(lost, Err(StoreError::StaleVersion)), "{lost:?}");
    let (_, deliveries, attempts) =
        store.get_message(&store::Visible::all_of(org), message.id).await.unwrap();
    assert_eq!((deliveries[0].state, attempts.len()), (DeliveryState::Queued, 0));
    // The same node, of an earlier claim.
    result.owner = "quick".into();
    let earlier = store.finish_delivery(&result, &[]).await;
    assert!(matches!(earlier, Err(StoreError::StaleVersion)), "{earlier:?}");
    let recipient = "r@example.net".parse().unwrap();
    let claim = |owner, epoch| DeliveryClaim { message_id: message.id, recipient: &recipient, owner, epoch };
    for lost in [claim("slow", 1), claim("quick", 1), claim("slow", 2)] {
        assert!(!store.renew_delivery(lost, at(90)).await.unwrap());
        assert!(!store.release_delivery(lost).await.unwrap());
    }
    assert!(store.renew_delivery(claim("quick", second.epoch), at(30)).await.unwrap());
    assert!(store.claim_deliveries(at(29), "slow", at(99), 1).await.unwrap().is_empty(), "it was renewed");
    assert!(store.release_delivery(claim("quick", second.epoch)).await.unwrap());
    let third = store.claim_deliveries(at(15), "quick", at(40), 1).await.unwrap().remove(0);
    assert_eq!((third.epoch, third.attempts), (3, 0), "it was given back untried");
    result.epoch = third.epoch;
    store.finish_delivery(&result, &[]).await.unwrap();
    let again = store.finish_delivery(&result, &[]).await;
    assert!(matches!(again, Err(StoreError::StaleVersion)), "{again:?}");
}
