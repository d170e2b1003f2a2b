//! The audit log.

use crate::seed::{api_key_id, at, audit_id, domain, event, new_domain, new_key, organisation};
use model::OrgId;
use store::{AuditEntry, AuditFilter, KeySource, Store, Told};

pub fn entry(org_id: OrgId, actor: &str, action: &str, subject: &str) -> AuditEntry {
    AuditEntry {
        id: audit_id(),
        org_id,
        tenant_id: None,
        at: at(5),
        actor_kind: "key".into(),
        actor_id: Some(actor.into()),
        address: Some("192.0.2.7".into()),
        request_id: Some("req_1".into()),
        action: action.into(),
        subject: subject.into(),
        data: "{}".into(),
    }
}

pub async fn a_line_is_there_with_its_change_or_not_at_all(store: &Store) {
    let org = organisation(store).await;
    let added = new_domain(org, "example.com");
    let line = entry(org, "key_1", "domain.created", "dom_1");
    let events = [event(org, "domain.created", &added.id)];
    let told = Told::new(&events, &line);
    store.create_domain(&added, KeySource::Given(vec![new_key("s1")]), told).await.unwrap();
    let all = async || store.list_audit(org, &AuditFilter::default(), None, 9).await.unwrap();
    assert_eq!(all().await, [line]);
    let (again, line) = (new_domain(org, "example.com"), entry(org, "key_1", "domain.created", "dom_2"));
    let refused = store.create_domain(&again, KeySource::Given(vec![new_key("s2")]), &line).await;
    assert!(refused.is_err());
    assert_eq!(all().await.len(), 1, "of what was not done nothing is told");
    let line = entry(org, "key_1", "domain.deleted", "dom_1");
    store.delete_domain(org, added.id, at(6), &line).await.unwrap();
    let line = entry(org, "key_1", "key.revoked", "key_2");
    let missing = store.revoke_api_key(org, api_key_id(), at(6), &line).await;
    assert!(missing.is_err());
    assert_eq!(all().await[0].action, "domain.deleted");
    assert_eq!(all().await.len(), 2);
}

pub async fn the_log_is_filtered_and_paged(store: &Store) {
    let (org, other) = (organisation(store).await, organisation(store).await);
    domain(store, org, "example.com").await;
    for (actor, subject) in [("key_1", "dom_1"), ("key_2", "dom_1"), ("key_1", "dom_2")] {
        store.add_audit(&entry(org, actor, "domain.updated", subject)).await.unwrap();
    }
    store.add_audit(&entry(other, "key_1", "domain.updated", "dom_1")).await.unwrap();
    let listed = async |subject: Option<&str>, actor: Option<&str>| {
        let filter = AuditFilter { subject: subject.map(str::to_owned), actor_id: actor.map(str::to_owned) };
        let lines = store.list_audit(org, &filter, None, 9).await.unwrap();
        lines.into_iter().map(|line| (line.actor_id.unwrap(), line.subject)).collect::<Vec<_>>()
    };
    let pair = |actor: &str, subject: &str| (actor.to_owned(), subject.to_owned());
    assert_eq!(
        listed(None, None).await,
        [pair("key_1", "dom_2"), pair("key_2", "dom_1"), pair("key_1", "dom_1")]
    );
    assert_eq!(listed(Some("dom_1"), None).await, [pair("key_2", "dom_1"), pair("key_1", "dom_1")]);
    assert_eq!(listed(None, Some("key_1")).await, [pair("key_1", "dom_2"), pair("key_1", "dom_1")]);
    assert_eq!(listed(Some("dom_2"), Some("key_1")).await, [pair("key_1", "dom_2")]);
    assert_eq!(listed(Some("dom_2"), Some("key_2")).await, []);
    let first = store.list_audit(org, &AuditFilter::default(), None, 1).await.unwrap();
    let rest = store.list_audit(org, &AuditFilter::default(), Some(first[0].id), 9).await.unwrap();
    assert_eq!((rest.len(), rest.contains(&first[0])), (2, false));
}
