//! The cases.

pub use super::cuts::a_cut_after_any_call_is_told_truly_and_completed;
use super::{
    Content, Host, ZONE, apply, changes, cname, content, mx, name, ours, record, remove, replace, txt, write,
};
use model::{Record, RecordData};
use publish::{Action, Done, Listed, Refusal, Why, Zone, ZoneProvider};
use std::collections::BTreeSet;

/// Lists the zone, at the names of records.
async fn listed<'a>(provider: &dyn ZoneProvider, records: impl IntoIterator<Item = &'a Record>) -> Zone {
    let handle = provider.find_zone(&name(ZONE), Some(&name(ZONE))).await.unwrap();
    let names: BTreeSet<_> = records.into_iter().map(|record| record.owner.clone()).collect();
    provider.list(&handle, &names).await.unwrap()
}

pub async fn the_zone_of_a_name_is_found(host: &impl Host) {
    let provider = host.provider();
    let zone = name(ZONE);
    for (of, told) in [
        ("acme.test", None),
        ("mail.acme.test", None),
        ("a.b.c.d.acme.test", None),
        ("mail.acme.test", Some(&zone)),
        // What DNS tells where nothing is delegated is the zone above, and nobody's to write.
        ("mail.acme.test", Some(&name("test"))),
    ] {
        assert_eq!(provider.find_zone(&name(of), told).await.unwrap().apex, zone, "{of}");
    }
    let error = provider.find_zone(&name("mail.nobody.test"), None).await.unwrap_err();
    let Refusal::ZoneNotFound { tried } = error.refusal else { panic!("{error}") };
    assert_eq!(tried, [name("mail.nobody.test"), name("nobody.test")]);
    // A name whose zone is elsewhere is not put into the one above.
    let elsewhere = name("mail.acme.test");
    let error = provider.find_zone(&name("x.mail.acme.test"), Some(&elsewhere)).await.unwrap_err();
    assert_eq!(error.refusal, Refusal::ZoneNotFound { tried: vec![elsewhere] });
}

pub async fn everything_in_the_zone_is_listed(host: &impl Host) {
    let zone = listed(&*host.provider(), &host.seed()).await;
    let is_own = |record: &Record| {
        matches!(record.data, RecordData::Soa(_))
            || matches!(record.data, RecordData::Ns(_)) && record.owner == name(ZONE)
    };
    let records: Vec<&Record> =
        zone.records.iter().map(|there| &there.record).filter(|r| !is_own(r)).collect();
    let found = content(records.iter().copied());
    assert_eq!(found, content(&host.seed()));
    assert_eq!(records.len(), host.seed().len(), "none twice");
    for there in records {
        assert_eq!(there.ttl, 300, "{there:?}");
    }
    if let Listed::Names(names) = &zone.listed {
        assert!(host.seed().iter().all(|record| names.contains(&record.owner)));
    }
}

/// Every type that is written, and values that adapters stumble over.
fn of_all_types() -> Vec<Record> {
    let mut records = ours();
    records.extend([
        record("v4.acme.test", RecordData::A([192, 0, 2, 9].into())),
        record("v6.acme.test", RecordData::Aaaa("2001:db8::9".parse().unwrap())),
        record("sub.acme.test", RecordData::Ns(name("ns1.send.test"))),
        record("sub.acme.test", RecordData::Ns(name("ns2.send.test"))),
        txt("key._domainkey.acme.test", &format!("v=DKIM1; k=rsa; p={}", "Q".repeat(392))),
        txt("odd.acme.test", "a \"b\" \\c ; d % ${e} é"),
        cname("*.any.acme.test", "t.send.test"),
        mx("null.acme.test", 0, "."),
    ]);
    records
}

pub async fn what_is_added_is_there_and_nothing_else_changed(host: &impl Host) {
    let provider = host.provider();
    let wanted: Vec<Record> = of_all_types().into_iter().filter(|record| host.holds(record)).collect();
    let before = host.content().await;
    assert_eq!(before, content(&host.seed()));
    assert_eq!(apply(&*provider, &wanted).await.unwrap(), wanted.len());
    let expected: Content = before.union(&content(&wanted)).cloned().collect();
    assert_eq!(host.content().await, expected);
    let zone = listed(&*provider, &wanted).await;
    for new in &wanted {
        let there: Vec<_> = zone.at(&new.owner).filter(|there| there.record.data == new.data).collect();
        assert_eq!(there.len(), 1, "{new:?}");
        assert_eq!((there[0].record.ttl, there[0].proxied), (300, false), "{new:?}");
    }
}

pub async fn a_record_takes_the_place_of_ours_and_siblings_stay(host: &impl Host) {
    let provider = host.provider();
    apply(&*provider, &ours()).await.unwrap();
    let zone = listed(&*provider, &ours()).await;
    let pairs = [
        (ours()[0].clone(), cname("t1._domainkey.mail.acme.test", "t9.dkim.send.test")),
        (ours()[3].clone(), mx("bounce.mail.acme.test", 20, "mx.send.test")),
        (txt("proofs.acme.test", "ours"), txt("proofs.acme.test", "ours too")),
    ];
    let steps = changes(pairs.iter().map(|(old, new)| replace(&zone, old, new.clone(), Why::Ours)));
    let written = write(&*provider, &zone, steps).await.unwrap();
    assert_eq!(written.iter().map(|written| written.step).collect::<BTreeSet<_>>(), (0..3).collect());
    let mut expected: Content = content(&host.seed()).union(&content(&ours())).cloned().collect();
    for (old, new) in &pairs {
        assert!(expected.remove(&(old.owner.clone(), old.data.clone())));
        expected.insert((new.owner.clone(), new.data.clone()));
    }
    assert_eq!(host.content().await, expected);
    // The names that the host gave are those that it lists.
    let zone = listed(&*provider, &ours()).await;
    for (written, (_, new)) in written.iter().zip(&pairs) {
        let there = zone.at(&new.owner).find(|there| there.record.data == new.data).unwrap();
        assert_eq!(written.id, there.id);
    }
}

pub async fn the_customers_spf_record_is_changed_in_its_place(host: &impl Host) {
    let provider = host.provider();
    let zone = listed(&*provider, &host.seed()).await;
    let old = &host.seed()[1];
    let new = txt("acme.test", "v=spf1 include:_spf.others.test include:spf.send.test ~all");
    let of_old = zone.at(&old.owner).find(|there| there.record.data == old.data).unwrap().clone();
    write(&*provider, &zone, changes([replace(&zone, old, new.clone(), Why::SpfMerge)])).await.unwrap();
    let mut expected = content(&host.seed());
    assert!(expected.remove(&(old.owner.clone(), old.data.clone())));
    expected.insert((new.owner.clone(), new.data.clone()));
    assert_eq!(host.content().await, expected);
    let zone = listed(&*provider, &host.seed()).await;
    let there = zone.at(&new.owner).find(|there| there.record.data == new.data).unwrap();
    assert_eq!(
        (&there.id, &there.note, there.record.ttl),
        (&of_old.id, &of_old.note, of_old.record.ttl),
        "it is still the same record"
    );
    // And back again.
    write(&*provider, &zone, changes([replace(&zone, &new, old.clone(), Why::Undo)])).await.unwrap();
    assert_eq!(host.content().await, content(&host.seed()));
}

pub async fn one_of_several_siblings_is_removed(host: &impl Host) {
    let provider = host.provider();
    let zone = listed(&*provider, &host.seed()).await;
    let (two, alone) = (txt("proofs.acme.test", "two"), cname("shop.acme.test", "shops.others.test"));
    write(&*provider, &zone, changes([remove(&zone, &two), remove(&zone, &alone)])).await.unwrap();
    let mut expected = content(&host.seed());
    for old in [two, alone] {
        expected.remove(&(old.owner, old.data));
    }
    assert_eq!(host.content().await, expected);
}

pub async fn an_alias_beside_other_data_is_refused(host: &impl Host) {
    let provider = host.provider();
    for new in [
        cname("proofs.acme.test", "t1.dkim.send.test"),
        txt("shop.acme.test", "beside an alias"),
        cname("shop.acme.test", "t1.dkim.send.test"),
    ] {
        let zone = listed(&*provider, [&new]).await;
        let other = txt("other.acme.test", "in the same batch");
        let steps = changes([Action::Add { new: other }, Action::Add { new: new.clone() }]);
        let refused = write(&*provider, &zone, steps).await.unwrap_err();
        assert!(
            matches!(refused.error.refusal, Refusal::Conflict | Refusal::ZoneChanged),
            "{new:?}: {}",
            refused.error
        );
        assert_eq!(refused.done, Done::Nothing, "{new:?}");
        assert_eq!(host.content().await, content(&host.seed()), "{new:?}");
    }
}

pub async fn a_second_time_writes_nothing(host: &impl Host) {
    let provider = host.provider();
    assert_eq!(apply(&*provider, &ours()).await.unwrap(), ours().len());
    let (writes, after) = (host.writes(), host.content().await);
    assert_eq!(writes, if host.is_atomic() { 1 } else { ours().len() }, "all of it at once, or one by one");
    assert_eq!(apply(&*provider, &ours()).await.unwrap(), 0);
    assert_eq!((host.writes(), host.content().await), (writes, after));
    // A batch of nothing is nothing.
    let zone = listed(&*provider, &ours()).await;
    assert_eq!(write(&*provider, &zone, Vec::new()).await.unwrap(), []);
    assert_eq!(host.writes(), writes);
}

/// All kinds of steps in one batch, and back again in one, while others go on writing elsewhere.
pub async fn what_was_done_is_taken_back(host: &impl Host) {
    let provider = host.provider();
    let (spf, merged) =
        (&host.seed()[1], txt("acme.test", "v=spf1 include:_spf.others.test include:spf.send.test ~all"));
    let gone = txt("proofs.acme.test", "two");
    let zone = listed(&*provider, host.seed().iter().chain(&ours())).await;
    let adds = ours().into_iter().map(|new| Action::Add { new });
    let steps = adds.chain([replace(&zone, spf, merged.clone(), Why::SpfMerge), remove(&zone, &gone)]);
    write(&*provider, &zone, changes(steps)).await.unwrap();
    let theirs = txt("theirs.acme.test", "meanwhile");
    host.put(&theirs).await;
    let zone = listed(&*provider, host.seed().iter().chain(&ours())).await;
    let removes: Vec<Action> = ours().iter().map(|old| remove(&zone, old)).collect();
    let back = [replace(&zone, &merged, spf.clone(), Why::Undo), Action::Add { new: gone }];
    write(&*provider, &zone, changes(removes.into_iter().chain(back))).await.unwrap();
    assert_eq!(host.content().await, content(host.seed().iter().chain([&theirs])));
    let zone = listed(&*provider, &host.seed()).await;
    for there in host.seed().iter().map(|record| zone.at(&record.owner)) {
        assert!(there.into_iter().all(|there| there.record.ttl == 300));
    }
}

pub async fn what_others_write_in_between_stays(host: &impl Host) {
    let provider = host.provider();
    let new = txt("proofs.acme.test", "ours");
    let zone = listed(&*provider, [&new]).await;
    let theirs = txt("proofs.acme.test", "theirs, just now");
    host.put(&theirs).await;
    let mut expected = content(&host.seed());
    expected.insert((theirs.owner.clone(), theirs.data.clone()));
    match write(&*provider, &zone, changes([Action::Add { new: new.clone() }])).await {
        // A host of single records does not touch it.
        Ok(_) => drop(expected.insert((new.owner.clone(), new.data.clone()))),
        // One of sets would have overwritten it.
        Err(refused) => {
            assert_eq!((refused.error.refusal, refused.done), (Refusal::ZoneChanged, Done::Nothing));
        }
    }
    assert_eq!(host.content().await, expected);
}

pub async fn a_record_that_changed_since_is_told(host: &impl Host) {
    let provider = host.provider();
    apply(&*provider, &ours()).await.unwrap();
    let old = &ours()[0];
    let zone = listed(&*provider, &ours()).await;
    let theirs = cname("t1._domainkey.mail.acme.test", "theirs.others.test");
    host.take(old).await;
    host.put(&theirs).await;
    let before = host.content().await;
    let new = cname("t1._domainkey.mail.acme.test", "t9.dkim.send.test");
    for action in [replace(&zone, old, new, Why::Ours), remove(&zone, old)] {
        let refused = write(&*provider, &zone, changes([action])).await.unwrap_err();
        assert_eq!((refused.error.refusal, refused.done), (Refusal::ZoneChanged, Done::Nothing));
        assert_eq!(host.content().await, before);
    }
}

pub async fn a_record_that_went_since_is_told(host: &impl Host) {
    let provider = host.provider();
    let zone = listed(&*provider, &host.seed()).await;
    let gone = txt("proofs.acme.test", "two");
    host.take(&gone).await;
    let before = host.content().await;
    let refused = write(&*provider, &zone, changes([remove(&zone, &gone)])).await.unwrap_err();
    assert_eq!((refused.error.refusal, refused.done), (Refusal::ZoneChanged, Done::Nothing));
    assert_eq!(host.content().await, before);
}
