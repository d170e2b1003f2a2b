//! The end of a check.

use crate::seed::{at, domain, event, organisation};
use model::{CheckStatus, DomainStatus};
use store::{CheckRecord, Domain, Health, Held, Outcomes, Store, StoreError, Watch};

pub fn verified(domain: &Domain, claimed_ms: i64, checked_ms: i64) -> CheckRecord {
    CheckRecord {
        domain_id: domain.id,
        version: domain.version,
        claimed_at: at(claimed_ms),
        checked_at: at(checked_ms),
        report: format!("{{\"report\":{checked_ms}}}"),
        observation: format!("{{\"observation\":{checked_ms}}}"),
        digest: checked_ms,
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
        watch: Watch::default(),
        watch_seconds: None,
        takes_hold: false,
        serves_anew: false,
        held_elsewhere: false,
        delegation: store::Delegation::default(),
        delegation_changed: None,
        events: vec![event(domain.org_id, "domain.verified", &domain.id)],
        alert: false,
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
    assert_eq!((latest.observation, latest.since), (check.observation, at(15)));
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

pub async fn what_changed_is_kept_and_what_did_not_takes_the_place_of_the_last(store: &Store) {
    let org = organisation(store).await;
    let mut current = domain(store, org, "example.com").await;
    let other = domain(store, org, "example.org").await;
    store.record_check(&verified(&other, 0, 7)).await.unwrap();
    // Found first at 0, 10, 20 and so on, and three times more each.
    for ms in 0..60 {
        let check = CheckRecord { digest: -(ms / 10), ..verified(&current, ms, ms) };
        current = store.record_check(&check).await.unwrap();
        let latest = store.latest_observation(current.id).await.unwrap().unwrap();
        assert_eq!(
            (latest.observation, latest.checked_at),
            (check.observation, at(ms)),
            "always that of the last"
        );
        assert_eq!((latest.since, latest.version), (at(ms / 10 * 10), current.version));
    }
    let history = store.check_history(current.id, 99).await.unwrap();
    let times: Vec<_> = history.iter().map(|check| (check.since, check.checked_at)).collect();
    assert_eq!(times, [(50, 59), (40, 49), (30, 39), (20, 29)].map(|(since, last)| (at(since), at(last))));
    assert_eq!(store.check_history(current.id, 3).await.unwrap(), history[..3]);
    // What was there before comes back: that is a change too.
    let check = CheckRecord { digest: -4, ..verified(&current, 60, 60) };
    current = store.record_check(&check).await.unwrap();
    assert_eq!(store.check_history(current.id, 1).await.unwrap()[0].since, at(60));
    assert_eq!(store.check_history(other.id, 9).await.unwrap().len(), 1);
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

pub async fn what_is_remembered_of_breaks_reads_back(store: &Store) {
    let org = organisation(store).await;
    let added = domain(store, org, "example.com").await;
    assert_eq!(added.watch, Watch::default());
    let watch = Watch {
        suspected_since: Some(at(1)),
        last_failure_at: Some(at(2)),
        reminders: 1,
        breaks: 3,
        last_break_at: Some(at(3)),
    };
    let check = CheckRecord { watch: watch.clone(), ..verified(&added, 5, 6) };
    assert_eq!(store.record_check(&check).await.unwrap().watch, watch);
    assert_eq!(store.get_domain(org, added.id).await.unwrap().watch, watch);
}

pub async fn late_domains_go_to_their_next_place_once_and_hurried_ones_come_first(store: &Store) {
    let org = organisation(store).await;
    let mut ids = Vec::new();
    // Due at 900,000 and 1,000,000 ms with a period of 900 s; and one in a hurry, due later than both.
    for (name, due, watch_seconds) in
        [("a.test", 900_000, Some(900)), ("b.test", 1_000_000, Some(900)), ("c.test", 2_000_000, None)]
    {
        let added = domain(store, org, name).await;
        let next_check_at = Some(at(due));
        let check = CheckRecord { watch_seconds, next_check_at, ..verified(&added, 5, 6) };
        ids.push(store.record_check(&check).await.unwrap().id);
    }
    let [a, b, c] = ids[..] else { panic!() };
    let claim = async |now: i64, limit: u32| -> Vec<_> {
        let claimed = store.claim_due_domains(at(now), "n", at(now + 1), limit).await.unwrap();
        claimed.into_iter().map(|domain| domain.id).collect()
    };
    assert_eq!(claim(2_000_000, 2).await, [c, a], "whoever is in a hurry first");
    store.release_domain_lease(a, "n").await.unwrap();
    assert!(store.is_domain_late(at(1_500_000)).await.unwrap());
    assert_eq!(store.defer_late_domains(at(2_700_000), at(950_000), 9).await.unwrap(), 1);
    assert_eq!(store.defer_late_domains(at(2_700_000), at(1_500_000), 9).await.unwrap(), 1);
    let due = async |id| store.get_domain(org, id).await.unwrap().next_check_at;
    // The first place in their period behind now.
    assert_eq!((due(a).await, due(b).await), (Some(at(3_600_000)), Some(at(2_800_000))));
    // Late once more: they are looked at, whatever is behind.
    assert_eq!(store.defer_late_domains(at(9_000_000), at(9_000_000), 9).await.unwrap(), 0);
    assert!(!store.is_domain_late(at(9_000_000)).await.unwrap());
    assert_eq!(claim(9_000_000, 9).await, [c, b, a]);
    // A check makes it one that may be moved again; a poke makes it one in a hurry.
    let domain = store.get_domain(org, a).await.unwrap();
    let next_check_at = Some(at(9_900_000));
    let check =
        CheckRecord { watch_seconds: Some(900), next_check_at, ..verified(&domain, 9_000_000, 9_000_001) };
    store.record_check(&check).await.unwrap();
    assert!(store.is_domain_late(at(9_900_001)).await.unwrap());
    store.poke_domain(a, at(9_100_000)).await.unwrap();
    assert!(!store.is_domain_late(at(99_000_000)).await.unwrap());
}

pub async fn outcomes_are_summed_over_nodes_and_the_brake_is_one(store: &Store) {
    let org = organisation(store).await;
    let put = async |node: &str, minutes: &[(i64, u64, u64)]| {
        let of = |&(minute, looked, turned): &(i64, u64, u64)| (minute, Outcomes { looked, turned });
        let minutes: Vec<_> = minutes.iter().map(of).collect();
        store.put_outcomes(node, &minutes, 90).await.unwrap();
    };
    put("a", &[(99, 10, 1), (100, 5, 0)]).await;
    put("a", &[(100, 7, 2)]).await;
    put("b", &[(100, 3, 3), (80, 50, 50)]).await;
    assert_eq!(store.outcomes_since(90).await.unwrap(), Outcomes { looked: 20, turned: 6 });
    assert_eq!(store.outcomes_since(0).await.unwrap(), Outcomes { looked: 20, turned: 6 }, "80 is forgotten");
    assert_eq!(store.outcomes_since(101).await.unwrap(), Outcomes::default());

    assert_eq!(store.demotions_held().await.unwrap(), None);
    let held = Held { since: at(7), reason: "sentinel".into(), renewed_at: at(7) };
    let told = event(org, "platform.demotions_held", &"x");
    assert!(store.hold_demotions(&held, std::slice::from_ref(&told)).await.unwrap());
    let again = Held { since: at(9), reason: "many_at_once".into(), renewed_at: at(9) };
    assert!(!store.hold_demotions(&again, &[event(org, "x", &"x")]).await.unwrap());
    let renewed = Held { renewed_at: at(9), ..held.clone() };
    assert_eq!(store.demotions_held().await.unwrap(), Some(renewed.clone()));
    assert!(!store.hold_demotions(&held, &[]).await.unwrap());
    assert_eq!(store.demotions_held().await.unwrap(), Some(renewed), "no node takes back another's word");
    assert_eq!(store.list_events(org, None, 9).await.unwrap(), [told], "told once");
    // One that sees no reason lets nothing go while another one has just seen one.
    assert!(!store.release_demotions(at(8), &[]).await.unwrap());
    assert!(store.release_demotions(at(9), &[]).await.unwrap());
    assert!(!store.release_demotions(at(99), &[]).await.unwrap());
    assert_eq!(store.demotions_held().await.unwrap(), None);
}
