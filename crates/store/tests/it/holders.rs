//! One holder of a name, and claims of it.

use crate::{
    checks::verified,
    seed::{at, domain, event, name, organisation},
};
use model::{DomainId, DomainStatus};
use store::{
    CheckRecord, ClaimEnd, ClaimLook, ClaimMove, ClaimStart, Domain, DomainClaim, Store, StoreError, Switch,
    Told,
};

const HOUR: i64 = 3_600_000;

/// A check after which the domain holds its name.
fn holding(domain: &Domain) -> CheckRecord {
    CheckRecord { takes_hold: true, ..verified(domain, 1, 2) }
}

/// A check after which it waits for its name.
fn waiting(domain: &Domain) -> CheckRecord {
    CheckRecord { status: DomainStatus::Pending, held_elsewhere: true, ..verified(domain, 1, 2) }
}

fn claim_for(domain: &Domain, holder: DomainId, token: &str) -> DomainClaim {
    DomainClaim {
        domain_id: domain.id,
        name: domain.name.clone(),
        holder_id: holder,
        token: token.into(),
        version: 0,
        created_at: at(10),
        expires_at: at(10 + HOUR),
        first_seen_at: None,
        looked_at: None,
        found: None,
        next_look_at: Some(at(10)),
        ended_at: None,
        outcome: None,
    }
}

async fn begin(store: &Store, claim: &DomainClaim, holder: &Domain) -> Result<DomainClaim, StoreError> {
    let to_holder = event(holder.org_id, "domain.contested", &holder.id);
    store.begin_claim(&ClaimStart { claim, told: Told::default(), to_holder: &to_holder }).await
}

async fn move_hold(
    store: &Store,
    claim: &DomainClaim,
    holder: &Domain,
    claimer: &Domain,
    now: i64,
) -> Result<Domain, StoreError> {
    let to_claimer = event(claimer.org_id, "domain.claimed", &claimer.id);
    let to_holder = event(holder.org_id, "domain.disabled", &holder.id);
    let told = ClaimMove { at: at(now), reason: "claimed", to_claimer: &to_claimer, to_holder: &to_holder };
    store.move_hold(claim, &told).await
}

/// A holder, and some domains of other organisations that wait for the name.
async fn contested(store: &Store, others: usize) -> (Domain, Vec<Domain>) {
    let ours = domain(store, organisation(store).await, "example.com").await;
    let holder = store.record_check(&holding(&ours)).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..others {
        let theirs = domain(store, organisation(store).await, "example.com").await;
        waiters.push(store.record_check(&waiting(&theirs)).await.unwrap());
    }
    (holder, waiters)
}

pub async fn a_name_has_one_holder_whoever_is_quicker(store: &Store) {
    let mut rivals = Vec::new();
    for _ in 0..8 {
        rivals.push(domain(store, organisation(store).await, "example.com").await);
    }
    let tries: Vec<_> = rivals
        .iter()
        .map(|rival| {
            let (store, check) = (store.clone(), holding(rival));
            tokio::spawn(async move { store.record_check(&check).await })
        })
        .collect();
    let mut holders = Vec::new();
    for one in tries {
        match one.await.unwrap() {
            Ok(holder) => holders.push(holder),
            Err(StoreError::HeldElsewhere) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(holders.len(), 1);
    let holder = store.holder_of(&name("example.com")).await.unwrap().unwrap();
    assert_eq!((holder.id, holder.holder), (holders[0].id, true));
    // Nothing of the others was stored.
    let other = rivals.iter().find(|rival| rival.id != holder.id).unwrap();
    let stored = store.get_domain(other.org_id, other.id).await.unwrap();
    assert_eq!(stored, *other);
    assert!(store.latest_observation(other.id).await.unwrap().is_none());

    // It comes free with the holder, and those who wait for it are looked at.
    let waits = store.record_check(&waiting(other)).await.unwrap();
    store.delete_domain(holder.org_id, holder.id, at(50), &[]).await.unwrap();
    assert_eq!(store.holder_of(&name("example.com")).await.unwrap(), None);
    let poked = store.get_domain(waits.org_id, waits.id).await.unwrap();
    assert_eq!(poked.next_check_at, Some(at(50)));
    assert!(store.record_check(&holding(&poked)).await.unwrap().holder);
}

pub async fn a_claim_moves_the_hold_whole_or_not_at_all(store: &Store) {
    let (holder, waiters) = contested(store, 1).await;
    let claimer = &waiters[0];
    let claim = begin(store, &claim_for(claimer, holder.id, "t1"), &holder).await.unwrap();
    let alerts = store.open_alerts(9).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].domain_id), (1, holder.id));

    // Too late, and what was read before something changed.
    let late = move_hold(store, &claim, &holder, claimer, 10 + HOUR).await;
    assert!(matches!(late, Err(StoreError::StaleVersion)), "{late:?}");
    let older = DomainClaim { version: claim.version - 1, ..claim.clone() };
    assert!(move_hold(store, &older, &holder, claimer, 20).await.is_err());
    assert_eq!(store.holder_of(&claimer.name).await.unwrap().unwrap(), holder);
    assert_eq!(store.claim_of(claimer.id).await.unwrap().unwrap(), claim);

    let new = move_hold(store, &claim, &holder, claimer, 20).await.unwrap();
    assert!(new.holder && !new.held_elsewhere && new.next_check_at == Some(at(20)));
    let former = store.get_domain(holder.org_id, holder.id).await.unwrap();
    assert_eq!((former.status, former.holder), (DomainStatus::Disabled, false));
    assert_eq!((former.claimed_at, former.disabled_reason.as_deref()), (Some(at(20)), Some("claimed")));
    let told = store.list_events_for_subject(former.org_id, &former.id.to_string(), 1).await.unwrap();
    assert_eq!(told[0].event_type, "domain.disabled");
    assert_eq!(store.open_alerts(9).await.unwrap().len(), 2);
    let ended = store.claim_of(claimer.id).await.unwrap().unwrap();
    assert_eq!((ended.outcome, ended.ended_at), (Some(ClaimEnd::Moved), Some(at(20))));
    // The same proof moves nothing again.
    let again = move_hold(store, &ended, &holder, claimer, 21).await;
    assert!(matches!(again, Err(StoreError::StaleVersion)), "{again:?}");
}

pub async fn a_name_that_was_claimed_away_is_not_switched_on(store: &Store) {
    let (holder, waiters) = contested(store, 3).await;
    let claimer = &waiters[0];
    let claim = begin(store, &claim_for(claimer, holder.id, "t1"), &holder).await.unwrap();
    let on = Switch::On { now: at(30), fails_at: at(40) };
    let switch = async |domain: &Domain, switch: &Switch| {
        store.switch_domain(domain.org_id, domain.id, switch, &[]).await
    };
    // What is not off is not switched on.
    let refused = switch(&holder, &on).await;
    assert!(matches!(refused, Err(StoreError::StaleVersion)), "{refused:?}");
    let off = switch(&holder, &Switch::Off { reason: None }).await.unwrap();
    assert_eq!(off.status, DomainStatus::Disabled);
    // The name goes while its former holder switches it on: whoever is second changes nothing.
    move_hold(store, &claim, &holder, claimer, 20).await.unwrap();
    let refused = switch(&holder, &on).await;
    assert!(matches!(refused, Err(StoreError::StaleVersion)), "{refused:?}");
    let former = store.get_domain(holder.org_id, holder.id).await.unwrap();
    assert_eq!((former.status, former.claimed_at), (DomainStatus::Disabled, Some(at(20))));
    let gone = store.switch_domain(claimer.org_id, holder.id, &on, &[]).await;
    assert!(matches!(gone, Err(StoreError::NotFound("domain"))), "{gone:?}");
    // Claims of many domains come at once.
    let ids: Vec<_> = waiters.iter().map(|waiter| waiter.id).collect();
    let found = store.claims_of(&ids).await.unwrap();
    assert_eq!(found, [store.claim_of(claimer.id).await.unwrap().unwrap()]);
    assert!(store.claims_of(&[]).await.unwrap().is_empty());
}

pub async fn of_two_claimers_one_gets_the_name(store: &Store) {
    let (holder, waiters) = contested(store, 4).await;
    let mut claims = Vec::new();
    for (number, waiter) in waiters.iter().enumerate() {
        claims
            .push(begin(store, &claim_for(waiter, holder.id, &format!("t{number}")), &holder).await.unwrap());
    }
    let tries: Vec<_> = claims
        .iter()
        .zip(&waiters)
        .map(|(claim, claimer)| {
            let (store, claim, holder, claimer) =
                (store.clone(), claim.clone(), holder.clone(), claimer.clone());
            tokio::spawn(async move { move_hold(&store, &claim, &holder, &claimer, 20).await.is_ok() })
        })
        .collect();
    let mut moved = 0;
    for one in tries {
        moved += usize::from(one.await.unwrap());
    }
    assert_eq!(moved, 1);
    let mut ends = Vec::new();
    for waiter in &waiters {
        ends.push(store.claim_of(waiter.id).await.unwrap().unwrap().outcome.unwrap());
    }
    assert_eq!(ends.iter().filter(|end| **end == ClaimEnd::Moved).count(), 1);
    assert_eq!(ends.iter().filter(|end| **end == ClaimEnd::Superseded).count(), 3);
}

pub async fn a_claim_begins_once_and_ends(store: &Store) {
    let (holder, waiters) = contested(store, 1).await;
    let claimer = &waiters[0];
    let wrong = begin(store, &claim_for(claimer, claimer.id, "t0"), &holder).await;
    assert!(matches!(wrong, Err(StoreError::StaleVersion)), "another one holds it: {wrong:?}");
    let claim = begin(store, &claim_for(claimer, holder.id, "t1"), &holder).await.unwrap();
    let twice = begin(store, &claim_for(claimer, holder.id, "t2"), &holder).await;
    assert!(matches!(twice, Err(StoreError::StaleVersion)), "one is open: {twice:?}");

    // Taken once, until it is to be looked at again.
    assert_eq!(store.next_claim_due_at().await.unwrap(), Some(at(10)));
    assert!(store.due_claims(at(9), at(60), 9).await.unwrap().is_empty());
    let due = store.due_claims(at(10), at(60), 9).await.unwrap();
    assert_eq!((due.len(), due[0].next_look_at), (1, Some(at(60))));
    assert!(store.due_claims(at(11), at(61), 9).await.unwrap().is_empty());
    let look =
        ClaimLook { at: at(12), found: "seen".into(), first_seen_at: Some(at(12)), next_look_at: at(90) };
    let stale = store.record_claim_look(&claim, &look).await;
    assert!(matches!(stale, Err(StoreError::StaleVersion)), "{stale:?}");
    store.record_claim_look(&due[0], &look).await.unwrap();
    let seen = store.claim_of(claimer.id).await.unwrap().unwrap();
    assert_eq!(
        (seen.found.as_deref(), seen.first_seen_at, seen.next_look_at),
        (Some("seen"), Some(at(12)), Some(at(90)))
    );
    // A check while it is open does not forget that the name is held elsewhere; one after it does.
    let waits = store.get_domain(claimer.org_id, claimer.id).await.unwrap();
    let failing = CheckRecord { held_elsewhere: false, ..waiting(&waits) };
    let waits = store.record_check(&failing).await.unwrap();
    assert!(waits.held_elsewhere);

    store.end_claim(&seen, ClaimEnd::Expired, at(95), &[]).await.unwrap();
    assert_eq!(store.next_claim_due_at().await.unwrap(), None);
    let waits = store.get_domain(claimer.org_id, claimer.id).await.unwrap();
    assert!(
        !store
            .record_check(&CheckRecord { held_elsewhere: false, ..waiting(&waits) })
            .await
            .unwrap()
            .held_elsewhere
    );
    // The next one knows nothing of it.
    let next = begin(store, &claim_for(claimer, holder.id, "t2"), &holder).await.unwrap();
    assert_eq!((next.token.as_str(), next.first_seen_at, next.found), ("t2", None, None));
    assert!(next.version > seen.version);
    store.delete_domain(claimer.org_id, claimer.id, at(99), &[]).await.unwrap();
    assert_eq!(store.claim_of(claimer.id).await.unwrap(), None);
}
