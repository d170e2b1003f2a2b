//! API keys, the key pool, settings, events, organisations, health.

use crate::seed::{
    api_key_id, at, domain, domain_id, event, new_domain, new_key, new_message, organisation, pool_key, to,
};
use store::{Hidden, KeySource, KeyState, KeyTurn, NewApiKey, Organisation, Store, StoreError, Visible};

pub fn api_key(org_id: model::OrgId, hash: u8) -> NewApiKey {
    NewApiKey {
        id: api_key_id(),
        org_id,
        name: "ci".into(),
        secret_hash: Hidden::from(vec![hash; 32]),
        display_prefix: "cs_ab".into(),
        scopes: vec!["domains:read".into()],
        allowed_domain_ids: Some(vec![domain_id()]),
        tenant_id: None,
        created_at: at(0),
        created_by: None,
        expires_at: None,
        is_root: false,
    }
}

pub async fn one_key_signs_links_to_dns_hosts(store: &Store) {
    assert_eq!(store.domain_connect_key().await.unwrap(), None);
    let (first, second) = (pool_key(at(1)), pool_key(at(2)));
    assert_eq!(store.add_domain_connect_key(&first).await.unwrap(), first);
    // A node that made one at the same time takes the one that is there.
    assert_eq!(store.add_domain_connect_key(&second).await.unwrap(), first);
    assert_eq!(store.domain_connect_key().await.unwrap(), Some(first));
}

pub async fn api_keys_are_found_until_revoked(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let new = api_key(org, 1);
    store.insert_api_key(&new, 10, &[event(org, "api_key.created", &new.id)]).await.unwrap();
    let find = async || store.find_api_key_by_hash(&[1; 32]).await.unwrap().map(|(key, _)| key);
    let found = find().await.unwrap();
    assert_eq!((found.id, &found.allowed_domain_ids), (new.id, &new.allowed_domain_ids));
    assert_eq!((found.last_used_at, found.revoked_at), (None, None));
    assert_eq!(store.find_api_key_by_hash(&[2; 32]).await.unwrap(), None);

    let foreign = store.revoke_api_key(other, new.id, at(9), &[]).await;
    assert!(matches!(foreign, Err(StoreError::NotFound("API key"))), "{foreign:?}");
    for _ in 0..2 {
        let told = event(org, "api_key.revoked", &new.id);
        store.revoke_api_key(org, new.id, at(9), &[told]).await.unwrap();
    }
    assert_eq!(find().await, None);
    assert_eq!(store.list_api_keys(&Visible::all_of(org), None, 9).await.unwrap()[0].revoked_at, Some(at(9)));
    assert_eq!(store.list_events(org, None, 9).await.unwrap().len(), 2, "revoking twice is one event");
}

pub async fn settings_keep_the_first_value(store: &Store) {
    assert_eq!(store.get_setting("token_key").await.unwrap(), None);
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(
                async move { store.set_setting_if_absent("token_key", &format!("v{n}")).await.unwrap() },
            )
        })
        .collect();
    let mut values = Vec::new();
    for writer in writers {
        values.push(writer.await.unwrap());
    }
    values.dedup();
    assert_eq!(values.len(), 1, "all nodes use the same value");
    store.set_setting("token_key", "new").await.unwrap();
    assert_eq!(store.set_setting_if_absent("token_key", "late").await.unwrap(), "new");
    assert_eq!(store.get_setting("token_key").await.unwrap().as_deref(), Some("new"));
}

pub async fn debug_output_has_no_secrets(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let message = new_message(&domain);
    store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        store.keys_of_domain(domain.id).await.unwrap(),
        pool_key(at(0)),
        message,
        store.claim_deliveries(at(1), "a", at(9), 1).await.unwrap(),
        api_key(org, b'h'),
    );
    assert!(shown.contains("(32 bytes)"), "{shown}");
    for secret in ["sealed", "115, 101", "secret body", "hhhh", "104, 104"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

pub async fn the_pool_gives_its_oldest_keys(store: &Store) {
    let org = organisation(store).await;
    let keys = [pool_key(at(30)), pool_key(at(10)), pool_key(at(20))];
    for key in &keys {
        store.add_pool_key(key).await.unwrap();
    }
    let selectors = vec!["s1".to_owned(), "s2".to_owned()];
    let new = new_domain(org, "example.com");
    let (_, taken) = store.create_domain(&new, KeySource::Pool { selectors }, &[]).await.unwrap();
    assert_eq!(taken.iter().map(|key| key.id).collect::<Vec<_>>(), [keys[1].id, keys[2].id]);
    assert_eq!(store.count_pool_keys().await.unwrap(), 1);
}

pub async fn key_changes_are_numbered_apart(store: &Store) {
    let org = organisation(store).await;
    let published = async || {
        let (generation, keys) = store.published_keys().await.unwrap();
        (generation, keys.into_iter().map(|(selector, _)| selector).collect::<Vec<_>>())
    };
    let (first, none) = published().await;
    assert!(none.is_empty());
    let new = new_domain(org, "example.com");
    let keys = KeySource::Given(vec![new_key("s1"), new_key("s2")]);
    store.create_domain(&new, keys, &[]).await.unwrap();
    assert_eq!(published().await, (first, vec![]), "the same generation has the same keys");
    for _ in 0..2 {
        store.number_key_changes().await.unwrap();
        assert_eq!(published().await, (first + 1, vec!["s1".to_owned(), "s2".to_owned()]));
    }
    let other = new_domain(org, "example.org");
    store.create_domain(&other, KeySource::Given(vec![new_key("s3")]), &[]).await.unwrap();
    store.delete_domain(org, new.id, at(5), &[]).await.unwrap();
    store.number_key_changes().await.unwrap();
    assert_eq!(published().await, (first + 2, vec!["s3".to_owned()]));
    assert_eq!(store.dns_generation().await.unwrap(), first + 2);
}

pub async fn text_with_nul_is_kept(store: &Store) {
    let org = organisation(store).await;
    let domain = domain(store, org, "example.com").await;
    let mut message = new_message(&domain);
    message.subject = "a\0b".into();
    store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
    assert_eq!(store.get_message(&Visible::all_of(org), message.id).await.unwrap().0.subject, "a\u{fffd}b");
}

pub async fn the_first_organisation_is_one(store: &Store) {
    let starts: Vec<_> = (0..4)
        .map(|n| {
            let store = store.clone();
            let new =
                Organisation { id: crate::seed::org_id(), name: format!("node {n}"), created_at: at(n) };
            tokio::spawn(async move { store.first_organisation_or(&new).await.unwrap() })
        })
        .collect();
    let mut made = Vec::new();
    for start in starts {
        made.push(start.await.unwrap());
    }
    assert_eq!(made.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(made.iter().all(|(first, _)| *first == made[0].0));
    // A node whose clock is behind makes another one, with an id before all.
    let late = Organisation { id: model::OrgId::from_parts(1, 1), name: "late".into(), created_at: at(0) };
    store.create_organisation(&late, &[]).await.unwrap();
    assert_eq!(store.first_organisation().await.unwrap().unwrap(), made[0].0);
}

pub async fn events_page_and_expire(store: &Store) {
    let org = organisation(store).await;
    let mut events: Vec<_> = (0..4).map(|n| event(org, "test", &n)).collect();
    events[0].created_at = at(-10);
    store.add_events(&events).await.unwrap();
    events.reverse();
    assert_eq!(store.list_events(org, None, 2).await.unwrap(), events[..2]);
    assert_eq!(store.list_events(org, Some(events[1].id), 9).await.unwrap(), events[2..]);
    assert_eq!(store.delete_events_before(at(0), 9).await.unwrap(), 1);
    assert_eq!(store.list_events(org, None, 9).await.unwrap(), events[..3]);
    let twice = store.add_events(&[event(org, "new", &1), events[0].clone()]).await;
    assert!(matches!(twice, Err(StoreError::Database(_))), "{twice:?}");
    assert_eq!(store.list_events(org, None, 9).await.unwrap().len(), 3, "all or none");
}

pub async fn organisations_are_found(store: &Store) {
    assert_eq!(store.first_organisation().await.unwrap(), None);
    let first = organisation(store).await;
    organisation(store).await;
    assert_eq!(store.first_organisation().await.unwrap().unwrap().id, first);
    assert_eq!(store.get_organisation(first).await.unwrap().name, "Acme");
    let none = store.get_organisation(crate::seed::org_id()).await;
    assert!(matches!(none, Err(StoreError::NotFound("organisation"))), "{none:?}");
}

pub async fn writing_works(store: &Store) {
    store.ping_write(at(1)).await.unwrap();
    store.ping_read().await.unwrap();
}

pub async fn keys_rotate_in_whole_steps(store: &Store) {
    let org = organisation(store).await;
    let mut new = vec![new_key("r1"), new_key("r2")];
    new[1].state = KeyState::Standby;
    let added = new_domain(org, "example.com");
    let (domain, keys) = store.create_domain(&added, KeySource::Given(new), &[]).await.unwrap();
    store.number_key_changes().await.unwrap();
    let state = async || {
        let keys = store.keys_of_domain(domain.id).await.unwrap();
        keys.into_iter().map(|key| (key.selector, key.state)).collect::<Vec<_>>()
    };
    let is = |first, second| vec![("r1".to_owned(), first), ("r2".to_owned(), second)];
    let turn = |next, former| KeyTurn {
        next: &keys[next],
        former: &keys[former],
        retire_at: at(70),
        expires_others: false,
        next_at: None,
        now: at(0),
    };

    // What is read too late, or the wrong way round, changes nothing.
    let wrong = store.rotate_keys(&turn(0, 1), &[]).await;
    assert!(matches!(wrong, Err(StoreError::StaleVersion)), "{wrong:?}");
    assert_eq!(state().await, is(KeyState::Active, KeyState::Standby));
    store.rotate_keys(&turn(1, 0), &[event(org, "domain.key_rotated", &domain.id)]).await.unwrap();
    assert_eq!(state().await, is(KeyState::Draining, KeyState::Active));
    assert!(store.rotate_keys(&turn(1, 0), &[]).await.is_err(), "once");
    assert_eq!(store.list_events(org, None, 9).await.unwrap().len(), 1);
    let published = async || store.published_keys().await.unwrap();
    assert_eq!(published().await.1.len(), 2, "both");

    assert!(store.drained_keys(at(69), 9).await.unwrap().is_empty());
    let drained = store.drained_keys(at(70), 9).await.unwrap();
    assert_eq!((drained.len(), drained[0].id), (1, keys[0].id));
    // Without a key to put in its place it stays.
    let empty = store.replace_drained_key(&drained[0], at(71), at(99)).await;
    assert!(matches!(empty, Err(StoreError::PoolEmpty)), "{empty:?}");
    assert_eq!(state().await, is(KeyState::Draining, KeyState::Active));
    let fresh = pool_key(at(1));
    store.add_pool_key(&fresh).await.unwrap();
    let before = published().await.0;
    store.replace_drained_key(&drained[0], at(71), at(99)).await.unwrap();
    assert_eq!(state().await, is(KeyState::Standby, KeyState::Active));
    let key = store.keys_of_domain(domain.id).await.unwrap().remove(0);
    assert_eq!((key.id, key.placed_at, key.retire_at, key.position), (fresh.id, Some(at(71)), None, 0));
    // It is served at once, under a new generation.
    let (generation, keys) = published().await;
    assert!(generation > before && keys.contains(&("r1".to_owned(), fresh.public_key)), "{keys:?}");
    assert_eq!(store.get_domain(org, domain.id).await.unwrap().next_check_at, Some(at(99)));
    let twice = store.replace_drained_key(&drained[0], at(72), at(99)).await;
    assert!(matches!(twice, Err(StoreError::StaleVersion)), "{twice:?}");
}
