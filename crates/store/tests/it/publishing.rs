//! Change sets, the ledger, kept credentials, and who writes to a zone.

use crate::seed::{
    at, change_set_id, connection_id, domain, domain_id, ledger_id, name, next, organisation, record_id,
    tenant_id, zone_id,
};
use model::{ConnectionId, DomainId, OrgId, RecordType, TenantId};
use store::{
    ChangePurpose, ChangeSetMove, ChangeState, DnsConnection, Hidden, LedgerMove, LedgerRow, LedgerState,
    NewPlaygroundRecord, NewPlaygroundZone, PlaygroundChange, RepairMode, Store, StoreError, StoredChangeSet,
    Told, Visible, ZoneLease,
};

fn planned(org_id: OrgId, tenant_id: Option<TenantId>, domain_id: DomainId) -> StoredChangeSet {
    StoredChangeSet {
        id: change_set_id(),
        org_id,
        tenant_id,
        domain_id,
        purpose: ChangePurpose::Setup,
        undoes: None,
        host: "playground".into(),
        zone: name("acme.test"),
        host_zone: "acme.test".into(),
        connection_id: None,
        state: ChangeState::Planned,
        plan: "{}".into(),
        done: "[]".into(),
        error: None,
        created_at: at(0),
        expires_at: at(1_000),
        applied_at: None,
    }
}

fn row(set: &StoredChangeSet, owner: &str, state: LedgerState) -> LedgerRow {
    LedgerRow {
        id: ledger_id(),
        org_id: set.org_id,
        domain_id: set.domain_id,
        host: set.host.clone(),
        zone: set.zone.clone(),
        owner: name(owner),
        digest: "d1".into(),
        data: "{}".into(),
        rules: None,
        host_record_id: None,
        state,
        change_set_id: set.id,
    }
}

fn moved<'a>(
    set: &StoredChangeSet,
    lease: &'a ZoneLease,
    state: ChangeState,
    ledger: &'a [LedgerMove],
) -> ChangeSetMove<'a> {
    ChangeSetMove {
        id: set.id,
        lease,
        until: at(2_000),
        at: at(500),
        state,
        done: "[0]",
        error: None,
        ledger,
        told: Told::default(),
    }
}

pub async fn a_zone_has_one_writer(store: &Store) {
    let zone = format!("host z{}.test", next());
    let epoch = async |ms| store.zone_epoch(&zone, at(ms)).await.unwrap();
    assert_eq!(epoch(0).await, Some(0));
    let claims: Vec<_> = (0..6)
        .map(|n| {
            let (store, zone) = (store.clone(), zone.clone());
            tokio::spawn(async move {
                store.claim_zone(&zone, &format!("node-{n}"), at(0), at(100)).await.unwrap()
            })
        })
        .collect();
    let mut got = Vec::new();
    for claim in claims {
        got.extend(claim.await.unwrap());
    }
    assert_eq!(got.len(), 1, "one has it: {got:?}");
    let first = got.remove(0);
    assert_eq!(store.claim_zone(&zone, "late", at(99), at(200)).await.unwrap(), None);
    let second = store.claim_zone(&zone, "late", at(100), at(300)).await.unwrap().unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    assert_eq!(
        (epoch(299).await, epoch(300).await),
        (None, Some(second.epoch)),
        "while it is held nobody may tell"
    );

    // Whoever lost the lease moves nothing, and gives back nothing that is another's.
    let org = organisation(store).await;
    let set = planned(org, None, domain_id());
    store.add_change_sets(std::slice::from_ref(&set), &[]).await.unwrap();
    let ledger = [LedgerMove::Intend(row(&set, "a.acme.test", LedgerState::Intended))];
    let lost = store.move_change_set(&moved(&set, &first, ChangeState::Applying, &ledger)).await;
    assert!(matches!(lost, Err(StoreError::NotFound("zone lease"))), "{lost:?}");
    store.release_zone(&first).await.unwrap();
    assert_eq!(store.claim_zone(&zone, "third", at(200), at(400)).await.unwrap(), None);
    let visible = Visible::all_of(org);
    assert_eq!(store.get_change_set(&visible, set.id).await.unwrap(), set);
    assert_eq!(store.ledger_of_domain(set.domain_id).await.unwrap(), []);
    store.move_change_set(&moved(&set, &second, ChangeState::Applying, &ledger)).await.unwrap();
    assert_eq!(store.claim_zone(&zone, "third", at(1_999), at(2_500)).await.unwrap(), None, "renewed");
    store.release_zone(&second).await.unwrap();
    assert!(store.claim_zone(&zone, "third", at(600), at(700)).await.unwrap().is_some());
}

pub async fn the_ledger_moves_with_its_change_set(store: &Store) {
    let org = organisation(store).await;
    let set = planned(org, None, domain(store, org, &format!("l{}.example", next())).await.id);
    store.add_change_sets(std::slice::from_ref(&set), &[]).await.unwrap();
    let lease = store.claim_zone(&format!("host l{}.test", next()), "node", at(0), at(100)).await.unwrap();
    let lease = lease.unwrap();
    let [one, two] = ["one.acme.test", "two.acme.test"].map(|owner| row(&set, owner, LedgerState::Intended));
    let intents = [LedgerMove::Intend(one.clone()), LedgerMove::Intend(two.clone())];
    store.move_change_set(&moved(&set, &lease, ChangeState::Applying, &intents)).await.unwrap();
    assert_eq!(store.ledger_of_domain(set.domain_id).await.unwrap(), [one.clone(), two.clone()]);

    let present = LedgerRow {
        id: ledger_id(),
        state: LedgerState::Present,
        host_record_id: Some("r1".into()),
        ..one.clone()
    };
    let came = [LedgerMove::Present(present.clone()), LedgerMove::Forget(two.clone())];
    store.move_change_set(&moved(&set, &lease, ChangeState::Applied, &came)).await.unwrap();
    let kept = LedgerRow { id: one.id, ..present };
    assert_eq!(store.ledger_of_domain(set.domain_id).await.unwrap(), std::slice::from_ref(&kept));
    let applied = store.get_change_set(&Visible::all_of(org), set.id).await.unwrap();
    assert_eq!((applied.state, applied.applied_at), (ChangeState::Applied, Some(at(500))));
    assert_eq!(applied.done, "[0]");

    // An intent of another change set does not unsettle what is known, and what is known is not forgotten.
    let again =
        [LedgerMove::Intend(LedgerRow { id: ledger_id(), ..one.clone() }), LedgerMove::Forget(one.clone())];
    store.move_change_set(&moved(&set, &lease, ChangeState::Applied, &again)).await.unwrap();
    assert_eq!(store.ledger_of_domain(set.domain_id).await.unwrap(), std::slice::from_ref(&kept));
    let others = domain(store, org, &format!("l{}.example", next())).await.id;
    let other = planned(org, None, others);
    store.add_change_sets(std::slice::from_ref(&other), &[]).await.unwrap();
    let shared = row(&other, "one.acme.test", LedgerState::Present);
    let theirs = [LedgerMove::Present(shared.clone())];
    store.move_change_set(&moved(&other, &lease, ChangeState::Applied, &theirs)).await.unwrap();
    let at_name = store.ledger_of_name(&name("acme.test"), &name("one.acme.test")).await.unwrap();
    assert!(at_name.contains(&kept) && at_name.contains(&shared), "{at_name:?}");
    // What was written for a domain that is deleted is nobody's need.
    store.delete_domain(org, others, at(600), &[]).await.unwrap();
    let at_name = store.ledger_of_name(&name("acme.test"), &name("one.acme.test")).await.unwrap();
    assert!(at_name.contains(&kept) && !at_name.contains(&shared), "{at_name:?}");
    let gone = [LedgerMove::Gone(kept.id)];
    store.move_change_set(&moved(&set, &lease, ChangeState::Applied, &gone)).await.unwrap();
    assert_eq!(store.ledger_of_domain(set.domain_id).await.unwrap(), []);
    assert_eq!(store.ledger_of_domain(other.domain_id).await.unwrap(), [shared]);
}

pub async fn change_sets_are_narrowed(store: &Store) {
    let org = organisation(store).await;
    let (tenant, other) = (tenant_id(), tenant_id());
    let domain = domain(store, org, &format!("n{}.example", next())).await.id;
    let sets: Vec<_> = (0..3).map(|_| planned(org, Some(tenant), domain)).collect();
    store.add_change_sets(&sets, &[]).await.unwrap();
    let see = |tenant_id| Visible { org_id: org, tenant_id, of_key: None };
    let ids = async |visible: &Visible, after, limit| -> Vec<_> {
        let page = store.list_change_sets(visible, domain, after, limit).await.unwrap();
        page.into_iter().map(|set| set.id).collect()
    };
    assert_eq!(ids(&see(None), None, 2).await, [sets[2].id, sets[1].id]);
    assert_eq!(ids(&see(Some(tenant)), Some(sets[1].id), 9).await, [sets[0].id]);
    assert_eq!(ids(&see(Some(other)), None, 9).await, []);
    let hidden = store.get_change_set(&see(Some(other)), sets[0].id).await;
    assert!(matches!(hidden, Err(StoreError::NotFound("change set"))), "{hidden:?}");
    let foreign = Visible::all_of(organisation(store).await);
    assert!(store.get_change_set(&foreign, sets[0].id).await.is_err());
    store.change_set_undone(sets[0].id).await.unwrap();
    let undone = store.get_change_set(&see(None), sets[0].id).await.unwrap();
    assert_eq!(undone.state, ChangeState::Undone);
}

pub async fn connections_are_narrowed_and_go_with_their_secret(store: &Store) {
    let org = organisation(store).await;
    let (tenant, other) = (tenant_id(), tenant_id());
    let zone = name("acme.test");
    let one = domain(store, org, &format!("k{}.example", next())).await.id;
    let two = domain_id();
    let new = |tenant_id, domain_id| DnsConnection {
        id: connection_id(),
        org_id: org,
        tenant_id,
        domain_id,
        host: "powerdns".into(),
        zone: zone.clone(),
        label: "ours".into(),
        hint: "…4f2a".into(),
        repair: RepairMode::Off,
        created_by: Some("usr_1".into()),
        created_at: at(0),
        last_used_at: None,
        last_error: None,
        secret: Hidden::from(&b"sealed-credential"[..]),
    };
    let add = async |tenant_id, domain_id| -> ConnectionId {
        let new = new(tenant_id, domain_id);
        store.add_connection(&new, &[]).await.unwrap();
        new.id
    };
    let whole = add(None, None).await;
    let of_tenant = add(Some(tenant), None).await;
    let of_domain = add(Some(tenant), Some(one)).await;
    let of = async |tenant_id, domain_id| {
        let found = store.connection_for(org, tenant_id, domain_id, "powerdns", &zone).await.unwrap();
        found.map(|found| found.id)
    };
    assert_eq!(of(Some(tenant), one).await, Some(of_domain));
    assert_eq!(of(Some(tenant), two).await, Some(of_tenant));
    assert_eq!(of(Some(other), two).await, Some(whole), "never another tenant's");
    assert_eq!(of(None, two).await, Some(whole));
    for (host, zone) in [("powerdns", name("other.test")), ("cloudflare", zone.clone())] {
        let elsewhere = store.connection_for(org, None, two, host, &zone).await.unwrap();
        assert!(elsewhere.is_none(), "{host} {zone}");
    }

    let see = |tenant_id| Visible { org_id: org, tenant_id, of_key: None };
    let list = store.list_connections(&see(Some(tenant)), None, 9).await.unwrap();
    assert_eq!(list.iter().map(|one| one.id).collect::<Vec<_>>(), [of_domain, of_tenant]);
    assert!(!format!("{list:?}").contains("sealed-credential"));
    store.set_connection_repair(&see(None), whole, RepairMode::Auto, &[]).await.unwrap();
    store.note_connection_use(whole, at(5), Some("no"), &[]).await.unwrap();
    let found = store.get_connection(&see(None), whole).await.unwrap();
    assert_eq!(
        (found.repair, found.last_used_at, found.last_error.as_deref()),
        (RepairMode::Auto, Some(at(5)), Some("no"))
    );
    assert!(store.delete_connection(&see(Some(other)), whole, &[]).await.is_err());
    store.delete_connection(&see(None), whole, &[]).await.unwrap();
    assert_eq!(of(None, two).await, None);

    // Two at once: one takes the other's place. Nothing is kept for a domain that is gone.
    let both = [(); 2].map(|()| {
        let (store, new) = (store.clone(), new(Some(tenant), Some(one)));
        tokio::spawn(async move { store.add_connection(&new, &[]).await.unwrap() })
    });
    for added in both {
        added.await.unwrap();
    }
    let kept = store.list_connections(&see(None), None, 9).await.unwrap();
    assert_eq!(kept.iter().filter(|kept| kept.domain_id == Some(one)).count(), 1, "{kept:?}");
    store.delete_domain(org, one, at(9), &[]).await.unwrap();
    let late = store.add_connection(&new(Some(tenant), Some(one)), &[]).await;
    assert!(matches!(late, Err(StoreError::NotFound("domain"))), "{late:?}");
}

pub async fn playground_changes_are_all_or_none(store: &Store) {
    let new = |host: &str| NewPlaygroundRecord {
        id: record_id(),
        host: host.into(),
        record_type: RecordType::Txt,
        value: "x".into(),
        ttl: 60,
        priority: None,
        proxied: false,
    };
    let zone = NewPlaygroundZone {
        id: zone_id(),
        apex: name(&format!("p{}.test", next())),
        serial: 1,
        created_at: at(0),
    };
    store.create_zone(&zone).await.unwrap();
    let (one, two) = (new("one"), new("two"));
    let changes = vec![PlaygroundChange::Add(one.clone()), PlaygroundChange::Remove(two.id)];
    let refused = store.change_records(zone.id, changes, at(1)).await;
    assert!(matches!(refused, Err(StoreError::NotFound("record"))), "{refused:?}");
    assert_eq!(store.records_of_zone(zone.id).await.unwrap(), []);
    let both = vec![PlaygroundChange::Add(one.clone()), PlaygroundChange::Add(two.clone())];
    store.change_records(zone.id, both, at(1)).await.unwrap();
    let other = NewPlaygroundRecord { value: "y".into(), ..two };
    let changes = vec![PlaygroundChange::Remove(one.id), PlaygroundChange::Update(other)];
    store.change_records(zone.id, changes, at(2)).await.unwrap();
    let left = store.records_of_zone(zone.id).await.unwrap();
    assert_eq!(left.iter().map(|record| record.value.as_str()).collect::<Vec<_>>(), ["y"]);
}
