//! The end of a check.

use crate::seed::{at, domain, event, organisation};
use model::{CheckStatus, DomainStatus};
use store::{CheckRecord, Domain, Health, Store, StoreError};

fn verified(domain: &Domain, claimed_ms: i64, checked_ms: i64) -> CheckRecord {
    CheckRecord {
        domain_id: domain.id,
        version: domain.version,
        claimed_at: at(claimed_ms),
        checked_at: at(checked_ms),
        report: format!("{{\"report\":{checked_ms}}}"),
        observation: format!("{{\"observation\":{checked_ms}}}"),
        status: DomainStatus::Verified,
        spf_status: CheckStatus::Verified,
        dkim_status: CheckStatus::Verified,
        dmarc_status: CheckStatus::Missing,
        return_path_status: CheckStatus::Verified,
        health: Health::Warning,
        verified_at: Some(at(checked_ms)),
        warmup_started_at: Some(at(checked_ms)),
        fails_at: None,
        next_check_at: Some(at(checked_ms + 1_000)),
        consecutive_failures: 0,
        events: vec![event(domain.org_id, "domain.verified", &domain.id)],
    }
}

async fn claim_one(store: &Store, now: i64) -> Domain {
    store.claim_due_domains(at(now), "a", at(now + 60_000), 1).await.unwrap().remove(0)
}

pub async fn a_check_is_stored_whole(store: &Store) {
    let org = organisation(store).await;
    domain(store, org, "example.com").await;
    let claimed = claim_one(store, 10).await;
    assert_eq!(store.latest_observation(claimed.id).await.unwrap(), None);
    let check = verified(&claimed, 10, 15);
    let after = store.record_check(&check).await.unwrap();

    assert_eq!(store.get_domain(org, claimed.id).await.unwrap(), after);
    assert_eq!((after.status, after.health), (DomainStatus::Verified, Health::Warning));
    assert_eq!((after.spf_status, after.dmarc_status), (CheckStatus::Verified, CheckStatus::Missing));
    assert_eq!((after.verified_at, after.fails_at), (Some(at(15)), None));
    assert_eq!(after.warmup_started_at, Some(at(15)));
    assert_eq!((after.last_checked_at, after.next_check_at), (Some(at(15)), Some(at(1_015))));
    assert_eq!((after.lease_owner, after.lease_until), (None, None));
    assert_eq!(after.version, claimed.version + 1);
    assert_eq!(after.report.as_deref(), Some(check.report.as_str()));
    let latest = store.latest_observation(claimed.id).await.unwrap().unwrap();
    assert_eq!((latest.observation, latest.report), (check.observation, check.report));
    assert_eq!(store.list_events(org, None, 9).await.unwrap(), check.events);
}

pub async fn a_stale_check_changes_nothing(store: &Store) {
    let org = organisation(store).await;
    domain(store, org, "example.com").await;
    let claimed = claim_one(store, 10).await;
    store.set_domain_status(org, claimed.id, DomainStatus::Disabled, None, &[]).await.unwrap();
    let before = store.get_domain(org, claimed.id).await.unwrap();
    let stale = store.record_check(&verified(&claimed, 10, 15)).await;
    assert!(matches!(stale, Err(StoreError::StaleVersion)), "{stale:?}");
    assert_eq!(store.get_domain(org, claimed.id).await.unwrap(), before);
    assert_eq!(store.latest_observation(claimed.id).await.unwrap(), None);
    assert!(store.list_events(org, None, 9).await.unwrap().is_empty());
}

pub async fn a_poke_during_a_check_is_not_lost(store: &Store) {
    let org = organisation(store).await;
    let id = domain(store, org, "example.com").await.id;
    // In the same millisecond as the claim, but before it: the check answers this poke.
    store.poke_domain(id, at(10)).await.unwrap();
    let claimed = claim_one(store, 10).await;
    let after = store.record_check(&verified(&claimed, 10, 15)).await.unwrap();
    assert_eq!(after.next_check_at, Some(at(1_015)));

    // In the same millisecond as the claim, and behind it: the check may have looked before.
    let claimed = claim_one(store, 2_000).await;
    store.poke_domain(id, at(2_000)).await.unwrap();
    assert!(store.claim_due_domains(at(2_001), "b", at(9_000), 1).await.unwrap().is_empty(), "it is leased");
    let after = store.record_check(&verified(&claimed, 2_000, 2_005)).await.unwrap();
    assert_eq!(after.next_check_at, Some(at(2_005)));
    let claimed = claim_one(store, 2_005).await;
    let after = store.record_check(&verified(&claimed, 2_005, 2_010)).await.unwrap();
    assert_eq!(after.next_check_at, Some(at(3_010)), "one poke, one more check");
}

pub async fn only_the_newest_checks_are_kept(store: &Store) {
    let org = organisation(store).await;
    let mut current = domain(store, org, "example.com").await;
    for ms in 0..25 {
        current = store.record_check(&verified(&current, ms, ms)).await.unwrap();
    }
    let history = store.check_history(current.id, 99).await.unwrap();
    let times: Vec<_> = history.iter().map(|check| check.checked_at).collect();
    assert_eq!(times, (5..25).rev().map(at).collect::<Vec<_>>());
    assert_eq!(store.check_history(current.id, 3).await.unwrap(), history[..3]);
}

pub async fn a_deleted_domain_takes_no_check(store: &Store) {
    let org = organisation(store).await;
    domain(store, org, "example.com").await;
    let claimed = claim_one(store, 10).await;
    store.delete_domain(org, claimed.id, at(11), &[]).await.unwrap();
    let refused = store.record_check(&verified(&claimed, 10, 15)).await;
    assert!(matches!(refused, Err(StoreError::NotFound("domain"))), "{refused:?}");
    assert!(store.check_history(claimed.id, 9).await.unwrap().is_empty());
}
