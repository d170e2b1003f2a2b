//! What is visible: narrowed to a tenant, to the domains that a key lists, or to both, in every list.

use crate::seed::{
    api_key_id, at, domain_id, new_domain, new_message, next, organisation, sandbox_id, tenant_id, to,
};
use model::{ApiKeyId, DomainId, OrgId, TenantId};
use store::{
    Domain, DomainFilter, Hidden, KeySource, NewApiKey, NewSandboxMessage, SandboxLimits, Store, StoreError,
    Successor, Tenant, Visible,
};

async fn domain_of(store: &Store, org_id: OrgId, tenant_id: Option<TenantId>) -> Domain {
    let new = store::NewDomain { tenant_id, ..new_domain(org_id, &format!("n{}.example", next())) };
    store.create_domain(&new, KeySource::Given(vec![]), &[]).await.unwrap().0
}

pub fn key_for(org_id: OrgId, tenant_id: Option<TenantId>, domains: Option<Vec<DomainId>>) -> NewApiKey {
    NewApiKey {
        id: api_key_id(),
        org_id,
        name: "one".into(),
        secret_hash: Hidden::from(next().to_be_bytes().repeat(4)),
        display_prefix: "cs_ab".into(),
        scopes: vec!["read:domains".into()],
        allowed_domain_ids: domains,
        tenant_id,
        created_at: at(0),
        created_by: None,
        expires_at: None,
        is_root: false,
    }
}

async fn key(store: &Store, new: NewApiKey) -> ApiKeyId {
    store.insert_api_key(&new, 100, &[]).await.unwrap();
    new.id
}

pub async fn lists_are_narrowed_before_they_are_paged(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let (ours, theirs) = (tenant_id(), tenant_id());
    let mut ids = Vec::new();
    // Ours and theirs in turn: a page that was narrowed afterwards would be half empty.
    for _ in 0..3 {
        for tenant in [ours, theirs] {
            let domain = domain_of(store, org, Some(tenant)).await;
            let message = store::NewMessage { tenant_id: Some(tenant), ..new_message(&domain) };
            store.accept_message(&message, &[to("r@example.net")], &[]).await.unwrap();
            receive(store, org, Some(tenant), Some(domain.id)).await;
            ids.push((domain.id, message.id));
        }
    }
    let foreign = domain_of(store, other, Some(ours)).await;
    let listed = key(store, key_for(org, None, Some(vec![ids[0].0, ids[1].0, foreign.id]))).await;
    let none = key(store, key_for(org, None, Some(vec![]))).await;
    let see = |tenant_id, of_key| Visible { org_id: org, tenant_id, of_key };
    for (visible, expected) in [
        (see(None, None), vec![5, 4, 3, 2, 1, 0]),
        (see(Some(ours), None), vec![4, 2, 0]),
        (see(None, Some(listed)), vec![1, 0]),
        (see(Some(theirs), Some(listed)), vec![1]),
        (see(None, Some(none)), vec![]),
        (see(Some(tenant_id()), None), vec![]),
        (see(None, Some(api_key_id())), vec![]),
        (Visible::all_of(organisation(store).await), vec![]),
    ] {
        let domains =
            store.list_domains(&visible, &DomainFilter::default(), None, 9, 0).await.unwrap().domains;
        let found: Vec<_> = domains.iter().map(|(domain, _)| domain.id).collect();
        assert_eq!(found, expected.iter().map(|&n: &usize| ids[n].0).collect::<Vec<_>>(), "{visible:?}");
        let page = store.list_domains(&visible, &DomainFilter::default(), None, 2, 0).await.unwrap().domains;
        assert_eq!(page.len(), expected.len().min(2), "a page is full: {visible:?}");
        let messages = store.list_messages(&visible, None, 9).await.unwrap();
        let found: Vec<_> = messages.iter().map(|message| message.id).collect();
        assert_eq!(found, expected.iter().map(|&n| ids[n].1).collect::<Vec<_>>(), "{visible:?}");
        for (n, (_, message)) in ids.iter().enumerate() {
            let one = store.get_message(&visible, *message).await;
            assert_eq!(one.is_ok(), expected.contains(&n), "{visible:?} {n}");
        }
        let inbox = store.list_sandbox_messages(&visible, None, 9, None).await.unwrap();
        assert_eq!(inbox.len(), expected.len(), "{visible:?}");
    }
    let only = see(Some(ours), None);
    let inbox = store.list_sandbox_messages(&see(Some(theirs), None), None, 9, None).await.unwrap();
    let hidden = store.get_sandbox_message(&only, inbox[0].id).await;
    assert!(matches!(hidden, Err(StoreError::NotFound("message"))), "{hidden:?}");
    assert_eq!(store.delete_sandbox_messages(&only, &[]).await.unwrap(), 3);
    assert_eq!(store.count_sandbox_messages().await.unwrap(), 3, "theirs stay");
}

async fn receive(store: &Store, org_id: OrgId, tenant_id: Option<TenantId>, domain_id: Option<DomainId>) {
    let new = NewSandboxMessage {
        id: sandbox_id(),
        org_id,
        tenant_id,
        domain_id,
        received_at: at(0),
        client_ip: "127.0.0.1".into(),
        helo: "client.example".into(),
        mail_from: None,
        recipients: vec!["r@example.com".into()],
        tls: false,
        header_from: "news@example.com".into(),
        subject: "Hello".into(),
        raw: vec![b'x'; 10].into(),
    };
    let limits = SandboxLimits { messages: 100, bytes: 1_000_000 };
    store.receive_sandbox_message(&new, limits).await.unwrap();
}

pub async fn tenants_are_found_or_made_once(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    let new = |org_id, reference: &str| Tenant {
        id: tenant_id(),
        org_id,
        reference: reference.into(),
        created_at: at(0),
    };
    let makers: Vec<_> = (0..4)
        .map(|_| {
            let (store, tenant) = (store.clone(), new(org, "cust_1"));
            tokio::spawn(async move { store.find_or_create_tenant(&tenant, &[]).await.unwrap().id })
        })
        .collect();
    let mut made = Vec::new();
    for maker in makers {
        made.push(maker.await.unwrap());
    }
    made.dedup();
    assert_eq!(made.len(), 1, "one tenant, whoever asked first");
    let upper = store.find_or_create_tenant(&new(org, "CUST_1"), &[]).await.unwrap();
    assert_ne!(upper.id, made[0], "case counts");
    let foreign = store.find_or_create_tenant(&new(other, "cust_1"), &[]).await.unwrap();
    assert_ne!(foreign.id, made[0], "organisations name theirs apart");
    assert_eq!(store.find_tenant(org, "cust_2").await.unwrap(), None);

    let domain = domain_of(store, org, Some(upper.id)).await;
    let limited = key(store, key_for(org, None, Some(vec![domain.id]))).await;
    let see = |tenant_id, of_key| Visible { org_id: org, tenant_id, of_key };
    for (visible, expected) in [
        (see(None, None), vec![upper.id, made[0]]),
        (see(Some(made[0]), None), vec![made[0]]),
        (see(None, Some(limited)), vec![upper.id]),
        (see(Some(made[0]), Some(limited)), vec![]),
    ] {
        let mut found: Vec<_> =
            store.list_tenants(&visible, None, 9).await.unwrap().iter().map(|tenant| tenant.id).collect();
        found.sort_unstable();
        let mut wanted = expected.clone();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{visible:?}");
        for id in [upper.id, made[0], foreign.id] {
            let one = store.get_tenant(&visible, id).await;
            assert_eq!(one.is_ok(), expected.contains(&id), "{visible:?}");
        }
    }
}

pub async fn keys_see_those_that_are_no_wider(store: &Store) {
    let org = organisation(store).await;
    let ours = tenant_id();
    let (one, two) = (domain_of(store, org, None).await.id, domain_of(store, org, None).await.id);
    let whole = key(store, key_for(org, None, None)).await;
    let bound = key(store, key_for(org, Some(ours), None)).await;
    let both = key(store, key_for(org, None, Some(vec![one, two]))).await;
    let first = key(store, key_for(org, None, Some(vec![one]))).await;
    let none = key(store, key_for(org, Some(ours), Some(vec![]))).await;
    let see = |tenant_id, of_key| Visible { org_id: org, tenant_id, of_key };
    for (visible, expected) in [
        (see(None, None), vec![whole, bound, both, first, none]),
        (see(Some(ours), None), vec![bound, none]),
        (see(None, Some(both)), vec![both, first, none]),
        (see(None, Some(first)), vec![first, none]),
        (see(Some(ours), Some(first)), vec![none]),
    ] {
        let mut found: Vec<_> =
            store.list_api_keys(&visible, None, 9).await.unwrap().iter().map(|key| key.id).collect();
        found.reverse();
        assert_eq!(found, expected, "{visible:?}");
        for id in [whole, bound, both, first, none] {
            assert_eq!(store.get_api_key(&visible, id).await.is_ok(), expected.contains(&id), "{visible:?}");
        }
    }
}

pub async fn a_key_is_replaced_once_and_counted(store: &Store) {
    let org = organisation(store).await;
    let old = key_for(org, None, None);
    store.insert_api_key(&old, 1, &[]).await.unwrap();
    let full = store.insert_api_key(&key_for(org, None, None), 1, &[]).await;
    assert!(matches!(full, Err(StoreError::LimitReached { limit: 1, .. })), "{full:?}");
    let new = key_for(org, None, None);
    let successor = Successor { key: &new, old: old.id, old_ends_at: at(100) };
    store.replace_api_key(successor, &[]).await.unwrap();
    let visible = Visible::all_of(org);
    let ended = store.get_api_key(&visible, old.id).await.unwrap();
    assert_eq!((ended.expires_at, ended.replaced_by), (Some(at(100)), Some(new.id)));
    let again = key_for(org, None, None);
    let twice = Successor { key: &again, old: old.id, old_ends_at: at(200) };
    let refused = store.replace_api_key(twice, &[]).await;
    assert!(matches!(refused, Err(StoreError::StaleVersion)), "{refused:?}");
    let kept = store.get_api_key(&visible, again.id).await;
    assert!(matches!(kept, Err(StoreError::NotFound("API key"))), "nothing of it is kept: {kept:?}");
}

pub async fn keys_of_many_domains_come_at_once(store: &Store) {
    let org = organisation(store).await;
    let mut ids = vec![domain_id()];
    for n in 0..45 {
        let selectors = [format!("a{n}"), format!("b{n}")];
        let keys = selectors.iter().map(|selector| crate::seed::new_key(selector)).collect();
        let new = new_domain(org, &format!("n{n}.example"));
        store.create_domain(&new, KeySource::Given(keys), &[]).await.unwrap();
        ids.push(new.id);
    }
    let keys = store.keys_of_domains(&ids).await.unwrap();
    assert_eq!(keys.len(), 90);
    for id in &ids[1..] {
        let found: Vec<_> = keys.iter().filter(|key| key.domain_id == *id).cloned().collect();
        assert_eq!(found, store.keys_of_domain(*id).await.unwrap());
    }
    assert!(store.keys_of_domains(&[]).await.unwrap().is_empty());
}
