//! Keys beside those of a profile: they come, take a place, and go, each in one transaction.

use crate::{
    checks::verified,
    seed::{at, event, key_id, new_domain, new_key, next, organisation, pool_key},
};
use model::OrgId;
use store::{
    DkimKey, Domain, Hidden, KeySource, KeyState, KeyTurn, NewKeyBeside, NewPoolKey, Store, StoreError,
};

/// A key that nobody else has.
fn own_key() -> NewPoolKey {
    NewPoolKey { id: key_id(), public_key: format!("MIIC{}", next()), ..pool_key(at(1)) }
}

/// A domain with one key.
async fn domain(store: &Store, org: OrgId) -> (Domain, DkimKey) {
    let number = next();
    let key = store::NewDkimKey { public_key: format!("MIIB{number}"), ..new_key(&format!("s{number}")) };
    let new = new_domain(org, &format!("n{number}.example"));
    let (domain, mut keys) = store.create_domain(&new, KeySource::Given(vec![key]), &[]).await.unwrap();
    (domain, keys.remove(0))
}

async fn prepare(
    store: &Store,
    domain: &Domain,
    selector: &str,
    key: Option<NewPoolKey>,
) -> Result<DkimKey, StoreError> {
    let served = format!("t{}", next());
    let new = NewKeyBeside { domain, served: &served, selector, key, now: at(50) };
    store.add_key_beside(new, &[event(domain.org_id, "domain.key_prepared", &domain.id)]).await
}

fn turn<'a>(next: &'a DkimKey, former: &'a DkimKey) -> KeyTurn<'a> {
    KeyTurn { next, former, retire_at: at(900), expires_others: false, next_at: Some(at(5_000)), now: at(60) }
}

/// What is to be seen of a domain's keys: whether each stands beside, its state, and when it goes.
async fn seen(store: &Store, domain: &Domain) -> Vec<(Option<String>, KeyState, Option<i64>)> {
    let keys = store.keys_of_domain(domain.id).await.unwrap();
    let goes = |key: &DkimKey| key.retire_at.map(|to| to.as_millisecond() - at(0).as_millisecond());
    keys.into_iter().map(|key| (key.beside.clone(), key.state, goes(&key))).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "each result is made for this")]
fn is_stale<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::StaleVersion)), "{result:?}");
}

pub async fn a_key_beside_comes_once(store: &Store) {
    let org = organisation(store).await;
    let (domain, first) = domain(store, org).await;
    // While a check of the domain is under way.
    let claimed = store.claim_due_domains(at(10), "a", at(60_000), 9).await.unwrap().remove(0);
    let own = own_key();
    let taken = prepare(store, &domain, &first.selector, Some(own.clone())).await;
    assert!(matches!(taken, Err(StoreError::SelectorTaken)), "{taken:?}");
    let twice = NewPoolKey { public_key: first.public_key.clone(), ..own_key() };
    let twice = prepare(store, &domain, "new", Some(twice)).await;
    assert!(matches!(twice, Err(StoreError::KeyTaken)), "{twice:?}");
    let empty = prepare(store, &domain, "new", None).await;
    assert!(matches!(empty, Err(StoreError::PoolEmpty)), "{empty:?}");
    // Its selectors follow from its variables; those were others when somebody looked.
    let read_before = Domain { variables: r#"{"token1":"x"}"#.into(), ..domain.clone() };
    is_stale(prepare(store, &read_before, "new", Some(own.clone())).await);
    assert_eq!(store.get_domain(org, domain.id).await.unwrap().version, claimed.version, "nothing was done");

    let added = prepare(store, &domain, "s1", Some(own.clone())).await.unwrap();
    assert_eq!((added.beside.as_deref(), added.state, added.position), (Some("s1"), KeyState::Standby, 1));
    is_stale(prepare(store, &domain, "s2", Some(own_key())).await);
    assert_eq!(
        store.list_events(org, None, 9).await.unwrap().len(),
        1,
        "of what was refused nothing is told"
    );
    // The check that was under way is followed by another one.
    is_stale(store.record_check(&verified(&claimed, 10, 70)).await);
    let now = store.get_domain(org, domain.id).await.unwrap();
    let after = store.record_check(&verified(&now, 10, 70)).await.unwrap();
    assert_eq!(after.next_check_at, Some(at(70)));
    // Another domain may have the same key: it is its owner's.
    let (other, _) = self::domain(store, org).await;
    prepare(store, &other, "s1", Some(NewPoolKey { id: key_id(), ..own })).await.unwrap();
}

pub async fn a_key_takes_a_place_in_whole_steps(store: &Store) {
    let org = organisation(store).await;
    let (domain, first) = domain(store, org).await;
    let second = prepare(store, &domain, "s1", Some(own_key())).await.unwrap();
    let variables = r#"{"token1":"s1"}"#;
    let put = async |turn: &KeyTurn<'_>| {
        let told = [event(org, "domain.key_rotated", &domain.id)];
        store.put_key_in_place(turn, "old", variables, &told).await
    };
    is_stale(put(&turn(&first, &second)).await);
    let before = vec![(None, KeyState::Active, None), (Some("s1".to_owned()), KeyState::Standby, None)];
    assert_eq!(seen(store, &domain).await, before);
    assert_eq!(store.get_domain(org, domain.id).await.unwrap().variables, domain.variables);

    put(&turn(&second, &first)).await.unwrap();
    let after = vec![(None, KeyState::Active, None), (Some("old".to_owned()), KeyState::Draining, Some(900))];
    assert_eq!(seen(store, &domain).await, after);
    let now = store.get_domain(org, domain.id).await.unwrap();
    assert_eq!((now.variables.as_str(), now.next_check_at), (variables, Some(at(60))));
    is_stale(put(&turn(&second, &first)).await);
    assert_eq!(store.list_events(org, None, 9).await.unwrap().len(), 2);
    // What stands beside now has its selector for itself, and what is in the place its key.
    let taken = prepare(store, &now, "old", Some(own_key())).await;
    assert!(matches!(taken, Err(StoreError::SelectorTaken)), "{taken:?}");
    let twice =
        prepare(store, &now, "s2", Some(NewPoolKey { public_key: second.public_key, ..own_key() })).await;
    assert!(matches!(twice, Err(StoreError::KeyTaken)), "{twice:?}");
}

pub async fn a_key_beside_goes_whole(store: &Store) {
    let org = organisation(store).await;
    let (domain, first) = domain(store, org).await;
    let wiped = || Hidden::from(&b"wiped"[..]);
    let goes = async |key: &DkimKey| {
        store.retire_key_beside(key, wiped(), at(80), &[event(org, "domain.key_removable", &domain.id)]).await
    };
    is_stale(goes(&first).await);
    let waits = prepare(store, &domain, "s1", Some(own_key())).await.unwrap();
    // The key that signs goes as soon as the next one does, until there is no next one.
    store.expire_keys(domain.id, Some(first.id), at(55), &[]).await.unwrap();
    assert_eq!(seen(store, &domain).await[0], (None, KeyState::Active, Some(55)));
    goes(&waits).await.unwrap();
    is_stale(goes(&waits).await);
    assert_eq!(seen(store, &domain).await, [(None, KeyState::Active, None)]);
    let gone = store.gone_keys(domain.id, at(0)).await.unwrap();
    assert_eq!((gone.len(), gone[0].selector.as_str(), gone[0].since), (1, "s1", at(80)));
    assert!(store.gone_keys(domain.id, at(81)).await.unwrap().is_empty());
    let served = store.published_keys().await.unwrap().1;
    assert!(served.iter().all(|(selector, _)| *selector != waits.selector), "{served:?}");
    // The same key and selector may come again.
    let again = NewPoolKey { public_key: waits.public_key, ..own_key() };
    prepare(store, &domain, "s1", Some(again)).await.unwrap();
    // One that signs from beside drains there.
    let keys = store.keys_of_domain(domain.id).await.unwrap();
    store.rotate_keys(&turn(&keys[1], &keys[0]), &[]).await.unwrap();
    assert_eq!(
        store.get_domain(org, domain.id).await.unwrap().next_check_at,
        Some(at(60)),
        "its texts change"
    );
    is_stale(goes(&keys[1]).await);
    store.delete_domain(org, domain.id, at(90), &[]).await.unwrap();
    is_stale(goes(&keys[0]).await);
}

pub async fn what_somebody_else_may_have_goes_in_the_turn(store: &Store) {
    let org = organisation(store).await;
    let mut new: Vec<_> = (0..3).map(|n| new_key(&format!("s{n}-{}", next()))).collect();
    new[1].state = KeyState::Standby;
    new[2].state = KeyState::Standby;
    let added = new_domain(org, "example.com");
    let (domain, keys) = store.create_domain(&added, KeySource::Given(new), &[]).await.unwrap();
    store.rotate_keys(&turn(&keys[1], &keys[0]), &[]).await.unwrap();
    // It was decided on a key that does not sign any more: nothing goes.
    is_stale(store.expire_keys(domain.id, Some(keys[0].id), at(70), &[]).await);
    let compromised =
        |next, former| KeyTurn { retire_at: at(70), expires_others: true, now: at(70), ..turn(next, former) };
    is_stale(store.rotate_keys(&compromised(&keys[2], &keys[0]), &[]).await);
    let states = async || seen(store, &domain).await.into_iter().map(|(_, state, goes)| (state, goes));
    let drains = |to| (KeyState::Draining, Some(to));
    assert!(states().await.eq([drains(900), (KeyState::Active, None), (KeyState::Standby, None)]));
    store.rotate_keys(&compromised(&keys[2], &keys[1]), &[]).await.unwrap();
    assert!(states().await.eq([drains(70), drains(70), (KeyState::Active, None)]));
    assert_eq!(store.drained_keys(at(70), 9).await.unwrap().len(), 2);
    // What goes sooner is not put off.
    store.expire_keys(domain.id, None, at(75), &[]).await.unwrap();
    assert!(states().await.eq([drains(70), drains(70), (KeyState::Active, None)]));
}

pub async fn who_changes_the_same_keys_waits_and_none_for_each_other(store: &Store) {
    let org = organisation(store).await;
    for _ in 0..8 {
        let (domain, first) = domain(store, org).await;
        let second = prepare(store, &domain, "s1", Some(own_key())).await.unwrap();
        store.put_key_in_place(&turn(&second, &first), "old", "{}", &[]).await.unwrap();
        let draining = store.keys_of_domain(domain.id).await.unwrap().remove(1);
        let domain = store.get_domain(org, domain.id).await.unwrap();
        let (one, other, third) = (store.clone(), store.clone(), store.clone());
        let (id, of_it) = (domain.id, domain.clone());
        let tasks = [
            tokio::spawn(async move {
                one.retire_key_beside(&draining, Hidden::default(), at(901), &[]).await.map(drop)
            }),
            tokio::spawn(async move { other.expire_keys(id, None, at(902), &[]).await }),
            tokio::spawn(async move { prepare(&third, &of_it, "s2", Some(own_key())).await.map(drop) }),
        ];
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let states: Vec<_> = seen(store, &domain).await.into_iter().map(|(_, state, _)| state).collect();
        assert_eq!(states, [KeyState::Active, KeyState::Standby]);
    }
}
