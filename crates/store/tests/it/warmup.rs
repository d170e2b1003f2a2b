//! The daily count of domains that are warming up.

use crate::seed::{at, domain, event, new_message, organisation, to};
use model::{CheckStatus, DomainStatus};
use store::{CheckRecord, DailyCap, Domain, Health, NewMessage, Store, StoreError};

fn capped(domain: &Domain, day: i64, messages: u64) -> NewMessage {
    NewMessage { daily_cap: Some(DailyCap { day, messages }), ..new_message(domain) }
}

async fn accept(store: &Store, message: &NewMessage) -> Result<(), StoreError> {
    store.accept_message(message, &[to("r@example.net"), to("s@example.net")], &[]).await
}

pub async fn a_message_past_the_cap_is_refused_whole(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    for _ in 0..2 {
        accept(store, &capped(&domain, 7, 2)).await.unwrap();
    }
    let late = capped(&domain, 7, 2);
    let told = event(org, "email.accepted", &late.id);
    let refused = store.accept_message(&late, &[to("r@example.net")], &[told]).await;
    assert!(matches!(refused, Err(StoreError::DailyCapReached { accepted: 2 })), "{refused:?}");
    assert_eq!(store.messages_on_day(domain.id, 7).await.unwrap(), 2, "messages are counted, not recipients");
    assert_eq!(store.list_messages(&store::Visible::all_of(org), None, 9).await.unwrap().len(), 2);
    assert!(store.list_events(org, None, 9).await.unwrap().is_empty());
    // A refusal takes nothing: a higher cap lets the next one pass.
    accept(store, &capped(&domain, 7, 3)).await.unwrap();
    // One that is refused for another reason is not counted.
    let again = capped(&domain, 7, 9);
    accept(store, &again).await.unwrap();
    assert!(accept(store, &again).await.is_err(), "the same id twice");
    assert_eq!(store.messages_on_day(domain.id, 7).await.unwrap(), 4);
}

pub async fn parallel_messages_never_pass_the_cap(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let (store, message) = (store.clone(), capped(&domain, 7, 25));
            tokio::spawn(async move { accept(&store, &message).await.is_ok() })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        accepted += u64::from(task.await.unwrap());
    }
    assert_eq!((accepted, store.messages_on_day(domain.id, 7).await.unwrap()), (25, 25));
}

pub async fn days_and_domains_are_counted_apart(store: &Store) {
    let org = organisation(store).await;
    let (one, two) = (domain(store, org, "one.example").await, domain(store, org, "two.example").await);
    accept(store, &capped(&one, 7, 1)).await.unwrap();
    accept(store, &capped(&two, 7, 1)).await.unwrap();
    accept(store, &capped(&one, 8, 1)).await.unwrap();
    // A clock that is set back finds the count of that day.
    assert!(accept(store, &capped(&one, 7, 1)).await.is_err());
    accept(store, &new_message(&one)).await.unwrap();
    assert_eq!(store.messages_on_day(one.id, 8).await.unwrap(), 1, "without a cap nothing is counted");
    assert_eq!(store.messages_on_day(one.id, 9).await.unwrap(), 0);
}

pub async fn the_warm_up_begins_once(store: &Store) {
    let org = organisation(store).await;
    let mut domain = domain(store, org, "example.com").await;
    assert_eq!(domain.warmup_started_at, None);
    for (ms, begins) in [(10, None), (20, Some(at(20))), (30, None), (40, Some(at(40)))] {
        let record = CheckRecord {
            domain_id: domain.id,
            version: domain.version,
            claimed_at: at(ms),
            checked_at: at(ms),
            report: "{}".into(),
            observation: "{}".into(),
            digest: 0,
            status: DomainStatus::Pending,
            spf_status: CheckStatus::Pending,
            dkim_status: CheckStatus::Pending,
            dmarc_status: CheckStatus::Pending,
            return_path_status: CheckStatus::Pending,
            health: Health::Ok,
            verified_at: begins,
            warmup_started_at: begins,
            fails_at: None,
            next_check_at: None,
            consecutive_failures: 0,
            watch: store::Watch::default(),
            watch_seconds: None,
            takes_hold: false,
            serves_anew: false,
            held_elsewhere: false,
            delegation: store::Delegation::default(),
            delegation_changed: None,
            alert: false,
            events: Vec::new(),
        };
        domain = store.record_check(&record).await.unwrap();
    }
    assert_eq!(domain.warmup_started_at, Some(at(20)));
    let told = event(org, "domain.updated", &domain.id);
    let changed = store.set_warmup_days(org, domain.id, 3, std::slice::from_ref(&told)).await.unwrap();
    assert_eq!((changed.warmup_days, changed.version), (Some(3), domain.version + 1));
    assert_eq!(store.list_events(org, None, 9).await.unwrap(), [told]);
    let other = organisation(store).await;
    let refused = store.set_warmup_days(other, domain.id, 0, &[]).await;
    assert!(matches!(refused, Err(StoreError::NotFound("domain"))), "{refused:?}");
}
