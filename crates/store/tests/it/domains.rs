//! Adding, listing, poking and deleting domains.

use crate::seed::{at, domain, event, name, new_domain, new_key, organisation, pool_key};
use model::{CheckStatus, DomainStatus};
use store::{DomainFilter, Health, KeySource, KeyState, Store, StoreError, Visible};

pub async fn a_domain_reads_back_as_it_was_added(store: &Store) {
    let org = organisation(store).await;
    let new = new_domain(org, "mail.example.com");
    let keys = KeySource::Given(vec![new_key("s1"), new_key("s2")]);
    let added = event(org, "domain.added", &new.id);
    let (created, keys) = store.create_domain(&new, keys, std::slice::from_ref(&added)).await.unwrap();

    assert_eq!(created.name, new.name);
    assert_eq!((created.status, created.spf_status), (DomainStatus::Pending, CheckStatus::Pending));
    assert_eq!((created.health, created.version, created.warmup_days), (Health::Ok, 1, Some(30)));
    assert_eq!(created.fails_at, new.fails_at);
    assert_eq!(created.region.as_deref(), Some("local"));
    assert_eq!(store.get_domain(org, new.id).await.unwrap(), created);
    assert_eq!(store.get_domain_by_name(org, &new.name).await.unwrap(), Some(created));
    assert_eq!(store.keys_of_domain(new.id).await.unwrap(), keys);
    assert_eq!(&keys[0].private_key[..], b"sealed-private-key");
    assert_eq!(store.list_events_for_subject(org, &new.id.to_string(), 9).await.unwrap(), [added]);
}

pub async fn a_failed_creation_leaves_nothing(store: &Store) {
    let org = organisation(store).await;
    store.add_pool_key(&pool_key(at(1))).await.unwrap();
    store.add_pool_key(&pool_key(at(2))).await.unwrap();
    let first = new_domain(org, "one.example.com");
    store.create_domain(&first, KeySource::Given(vec![new_key("taken")]), &[]).await.unwrap();

    let new = new_domain(org, "two.example.com");
    let told = [event(org, "domain.added", &new.id)];
    let pool = |selectors: &[&str]| KeySource::Pool {
        selectors: selectors.iter().map(|selector| (*selector).to_owned()).collect(),
    };
    let refused = store.create_domain(&new, pool(&["free", "taken"]), &told).await;
    assert!(matches!(refused, Err(StoreError::SelectorTaken)), "{refused:?}");
    let refused = store.create_domain(&new, pool(&["a", "b", "c"]), &told).await;
    assert!(matches!(refused, Err(StoreError::PoolEmpty)), "{refused:?}");

    assert_eq!(store.count_pool_keys().await.unwrap(), 2);
    assert_eq!(store.get_domain_by_name(org, &new.name).await.unwrap(), None);
    assert!(store.list_events(org, None, 9).await.unwrap().is_empty());

    let (_, keys) = store.create_domain(&new, pool(&["free", "other"]), &told).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.state).collect::<Vec<_>>(), [KeyState::Active, KeyState::Standby]);
    assert_eq!(store.count_pool_keys().await.unwrap(), 0);
}

pub async fn a_name_is_taken_once_per_organisation(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    domain(store, org, "example.com").await;
    let again = store.create_domain(&new_domain(org, "EXAMPLE.com"), KeySource::Given(vec![]), &[]).await;
    assert!(matches!(again, Err(StoreError::DomainAlreadyAdded)), "{again:?}");
    let elsewhere = domain(store, other, "example.com").await;
    let hidden = store.get_domain(org, elsewhere.id).await;
    assert!(matches!(hidden, Err(StoreError::NotFound("domain"))), "{hidden:?}");
}

pub async fn deleting_frees_name_and_selectors(store: &Store) {
    let org = organisation(store).await;
    let new = new_domain(org, "example.com");
    store.create_domain(&new, KeySource::Given(vec![new_key("s1")]), &[]).await.unwrap();
    let told = event(org, "domain.deleted", &new.id);
    store.delete_domain(org, new.id, at(5), std::slice::from_ref(&told)).await.unwrap();

    assert!(matches!(store.get_domain(org, new.id).await, Err(StoreError::NotFound(_))));
    assert!(matches!(store.delete_domain(org, new.id, at(6), &[]).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.keys_of_domain(new.id).await.unwrap()[0].state, KeyState::Retired);
    assert!(store.claim_due_domains(at(9), "a", at(99), 9).await.unwrap().is_empty());
    assert_eq!(store.next_domain_due_at().await.unwrap(), None);
    assert_eq!(store.list_events(org, None, 9).await.unwrap(), [told]);

    // Twice, because the second key that is renamed must not meet the first one.
    for _ in 0..2 {
        let again = new_domain(org, "example.com");
        store.create_domain(&again, KeySource::Given(vec![new_key("s1")]), &[]).await.unwrap();
        store.delete_domain(org, again.id, at(7), &[]).await.unwrap();
    }
}

pub async fn lists_page_filter_and_keep_to_the_organisation(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(domain(store, org, &format!("n{n}.example.com")).await.id);
    }
    domain(store, other, "n1.example.com").await;
    store.set_domain_status(org, ids[2], DomainStatus::Disabled, None, &[]).await.unwrap();
    ids.reverse();

    let all = DomainFilter::default();
    let page = async |after, filter: &DomainFilter| {
        let page = store.list_domains(&Visible::all_of(org), filter, after, 2, 0).await.unwrap();
        page.domains.into_iter().map(|(domain, _)| domain.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, &all).await, ids[..2]);
    assert_eq!(page(Some(ids[1]), &all).await, ids[2..4]);
    assert_eq!(page(Some(ids[3]), &all).await, ids[4..]);
    assert!(page(Some(ids[4]), &all).await.is_empty());

    let disabled = DomainFilter { status: Some(DomainStatus::Disabled), ..all.clone() };
    assert_eq!(page(None, &disabled).await, [ids[2]]);
    let named = |part: &str| DomainFilter { name_contains: Some(part.to_owned()), ..all.clone() };
    assert_eq!(page(None, &named("N3.")).await, [ids[1]]);
    for wildcard in ["%", "_", "\\"] {
        assert!(page(None, &named(wildcard)).await.is_empty(), "{wildcard} is no wildcard");
    }
    // Three are looked at, and the page says where to go on: a search costs the same however many there are.
    for (status, wanted) in [(None, &ids[4..]), (Some(DomainStatus::Pending), &ids[4..])] {
        let filter = DomainFilter { status, looked_at: Some(3), ..named("n0.") };
        let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = store.list_domains(&Visible::all_of(org), &filter, after, 2, 0).await.unwrap();
            found.extend(page.domains.iter().map(|(domain, _)| domain.id));
            pages += 1;
            after = page.looked_to;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((found.as_slice(), pages), (wanted, 2), "{status:?}");
    }
    let filter = DomainFilter { looked_at: Some(3), ..named("example") };
    let full = store.list_domains(&Visible::all_of(org), &filter, None, 2, 0).await.unwrap();
    assert_eq!((full.domains.len(), full.looked_to), (2, None), "a full page goes on behind its last domain");
    assert_eq!(
        store.count_domains_by_status().await.unwrap(),
        [(DomainStatus::Disabled, 1), (DomainStatus::Pending, 5)]
    );
}

pub async fn pokes_reach_names_at_and_below_an_apex(store: &Store) {
    let org = organisation(store).await;
    for text in ["example.com", "mail.example.com", "badexample.com", "example.org"] {
        let mut new = new_domain(org, text);
        new.next_check_at = at(1_000);
        store.create_domain(&new, KeySource::Given(vec![]), &[]).await.unwrap();
    }
    assert_eq!(store.next_domain_due_at().await.unwrap(), Some(at(1_000)));
    let stranger = organisation(store).await;
    assert_eq!(store.poke_domains_below(Some(stranger), &name("example.com"), at(10)).await.unwrap(), 0);
    assert_eq!(store.poke_domains_below(Some(org), &name("example.com"), at(10)).await.unwrap(), 2);
    assert_eq!(store.poke_domains_below(None, &name("example.com"), at(10)).await.unwrap(), 2);
    let due = store.claim_due_domains(at(10), "a", at(20), 9).await.unwrap();
    let mut names: Vec<_> = due.iter().map(|domain| domain.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["example.com", "mail.example.com"]);
    assert_eq!(due[0].poked_at, Some(at(10)));
    assert_eq!(store.next_domain_due_at().await.unwrap(), Some(at(20)), "the leases end first");

    let id = store.get_domain_by_name(org, &name("example.org")).await.unwrap().unwrap().id;
    store.poke_domain(id, at(11)).await.unwrap();
    assert_eq!(store.next_domain_due_at().await.unwrap(), Some(at(11)));
    assert!(matches!(store.poke_domain(crate::seed::domain_id(), at(1)).await, Err(StoreError::NotFound(_))));
}

pub async fn a_disabled_domain_is_not_due(store: &Store) {
    let org = organisation(store).await;
    let off = domain(store, org, "example.com").await;
    let told = event(org, "domain.disabled", &off.id);
    let changed = store
        .set_domain_status(org, off.id, DomainStatus::Disabled, off.next_check_at, &[told])
        .await
        .unwrap();
    assert_eq!((changed.status, changed.version), (DomainStatus::Disabled, off.version + 1));
    assert!(store.claim_due_domains(at(9), "a", at(99), 9).await.unwrap().is_empty());
    assert_eq!(store.next_domain_due_at().await.unwrap(), None);

    store.set_domain_approval(org, off.id, "suspended", &[]).await.unwrap();
    store.set_domain_status(org, off.id, DomainStatus::Pending, Some(at(5)), &[]).await.unwrap();
    let due = store.claim_due_domains(at(9), "a", at(99), 9).await.unwrap();
    assert_eq!(due[0].approval_status, "suspended");
    assert_eq!(store.list_events(org, None, 9).await.unwrap().len(), 1);
}
