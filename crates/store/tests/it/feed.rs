//! The feed of events: numbered behind their transactions, so that nobody who reads on behind a number misses one.

use crate::seed::{
    api_key_id, at, domain, event, event_id, name, new_domain, new_key, new_message, next, organisation,
    tenant_id, to, webhook_delivery_id,
};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::{Hidden, KeySource, NewApiKey, NewEvent, NewMessage, Store, Tenant, Topic, Visible};

const WRITERS: u64 = 8;
const EACH: u64 = 25;

pub async fn a_poller_misses_nothing_under_parallel_writers(store: &Store) {
    let org = organisation(store).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    // The id is made long before the commit, as by a request that waits for the database.
                    let mut new = vec![event(org, "domain.created", &next())];
                    if n % 5 == 0 {
                        new.push(event(org, "domain.verified", &next()));
                    }
                    tokio::task::yield_now().await;
                    store.add_events(&new).await.unwrap();
                }
            })
        })
        .collect();
    // Two nodes number at the same time.
    let numberers: Vec<_> = (0..2)
        .map(|_| {
            let (store, done) = (store.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    store.number_events(7, at(0), &mut webhook_delivery_id).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let wanted = WRITERS * (EACH + EACH.div_ceil(5));
    let visible = Visible::all_of(org);
    let poll = async {
        let mut after = 0;
        let mut seen = Vec::new();
        while (seen.len() as u64) < wanted {
            let page = store.event_feed(&visible, after, &[], 10).await.unwrap();
            let is_full = page.events.len() == 10;
            assert!(page.events.iter().all(|found| found.seq > after && found.seq <= page.last_seq));
            after = if is_full { page.events[9].seq } else { page.last_seq };
            seen.extend(page.events.into_iter().map(|found| (found.seq, found.event.id)));
        }
        seen
    };
    let seen = tokio::time::timeout(Duration::from_mins(1), poll).await.unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for numberer in numberers {
        numberer.await.unwrap();
    }
    assert!(seen.is_sorted_by(|one, other| one.0 < other.0), "numbers only grow");
    assert_eq!(seen.iter().map(|(_, id)| *id).collect::<HashSet<_>>().len() as u64, wanted, "each once");
    assert_eq!(seen.last().unwrap().0, wanted, "no number is left out");
    assert_eq!(store.number_events(100, at(0), &mut webhook_delivery_id).await.unwrap(), 0);
}

pub async fn the_feed_is_narrowed_and_filtered(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let tenant = Tenant { id: tenant_id(), org_id: org, reference: "one".into(), created_at: at(0) };
    store.find_or_create_tenant(&tenant, &[]).await.unwrap();
    let mut new = new_domain(org, "of.tenant.test");
    new.tenant_id = Some(tenant.id);
    let created = event(org, "domain.created", &new.id);
    let keys = KeySource::Given(vec![new_key("feed")]);
    let (theirs, _) = store.create_domain(&new, keys, std::slice::from_ref(&created)).await.unwrap();
    let plain = domain(store, org, "plain.test").await;
    let verified = event(org, "domain.verified", &plain.id);
    let message = NewMessage { tenant_id: Some(tenant.id), ..new_message(&theirs) };
    let accepted = event(org, "email.accepted", &message.id);
    store.accept_message(&message, &[to("r@example.net")], std::slice::from_ref(&accepted)).await.unwrap();
    let of_org = event(org, "webhook.disabled", &"something else");
    let foreign = event(other, "domain.created", &"dom_x");
    store.add_events(&[verified.clone(), of_org.clone(), foreign.clone()]).await.unwrap();

    let read = async |visible: &Visible, types: &[&str]| -> Vec<NewEvent> {
        let page = store.event_feed(visible, 0, types, 100).await.unwrap();
        page.events.into_iter().map(|found| found.event).collect()
    };
    let all = Visible::all_of(org);
    assert!(read(&all, &[]).await.is_empty(), "what has no number is not there yet");
    while store.number_events(2, at(0), &mut webhook_delivery_id).await.unwrap() > 0 {}
    let set = |events: &[&NewEvent]| events.iter().map(|event| event.id).collect::<HashSet<_>>();
    let ids = |events: Vec<NewEvent>| events.into_iter().map(|event| event.id).collect::<HashSet<_>>();
    assert_eq!(ids(read(&all, &[]).await), set(&[&created, &accepted, &verified, &of_org]));
    assert_eq!(ids(read(&Visible::all_of(other), &[]).await), set(&[&foreign]));
    assert_eq!(ids(read(&all, &["domain.created", "domain.verified"]).await), set(&[&created, &verified]));
    assert!(read(&all, &["domain"]).await.is_empty(), "types are whole words");

    let of_tenant = Visible { tenant_id: Some(tenant.id), ..all };
    assert_eq!(ids(read(&of_tenant, &[]).await), set(&[&created, &accepted]));
    let key = NewApiKey {
        id: api_key_id(),
        org_id: org,
        name: "one domain".into(),
        secret_hash: Hidden::from(&event_id().to_string().into_bytes()[..]),
        display_prefix: "cs_abc".into(),
        scopes: vec!["read:events".into()],
        allowed_domain_ids: Some(vec![plain.id]),
        tenant_id: None,
        created_at: at(0),
        created_by: None,
        expires_at: None,
        is_root: false,
    };
    store.insert_api_key(&key, 100, &[]).await.unwrap();
    let of_key = Visible { of_key: Some(key.id), ..all };
    assert_eq!(ids(read(&of_key, &[]).await), set(&[&verified]));
    assert!(read(&Visible { of_key: Some(key.id), ..of_tenant }, &[]).await.is_empty());

    let page = store.event_feed(&all, 0, &[], 100).await.unwrap();
    let found = page.events.iter().find(|found| found.event.id == accepted.id).unwrap();
    assert_eq!((found.tenant_id, found.domain_id), (Some(tenant.id), Some(theirs.id)));
    assert_eq!(page.last_seq, 5, "the numbers are of all organisations");
    assert_eq!(theirs.name, name("of.tenant.test"));
}

pub async fn a_commit_wakes_whoever_numbers(store: &Store) {
    let org = organisation(store).await;
    let new = event(org, "new", &1);
    assert!(store.add_events(&[new.clone(), new]).await.is_err(), "the same id twice");
    let is_woken = async || {
        tokio::time::timeout(Duration::from_millis(5), store.changed(Topic::Events).notified()).await
    };
    assert!(is_woken().await.is_err(), "nothing was committed");
    store.add_events(&[event(org, "new", &1)]).await.unwrap();
    assert!(is_woken().await.is_ok());
}
