//! Gandi, against the strict fake.

use crate::{
    faked::{self, Account, Kind, TOKEN, refused},
    suite::{self, Host as _, ZONE, apply, cname, conforms, name, ours, txt},
};
use fake_hosts::{Fault, Plain, Token, gandi::Rules};
use model::{Record, RecordData};
use providers::{Gandi, Secret};
use publish::{Action, Done, Kept, Refusal, Right, Why, ZoneProvider};
use serde_json::json;

impl Kind for Rules {
    fn adapter(way: Plain, token: Secret) -> Box<dyn ZoneProvider> {
        Box::new(Gandi::new(Box::new(way), token))
    }
    fn holds(record: &Record) -> bool {
        match &record.data {
            RecordData::Txt(text) => text.strings().flatten().all(|octet| matches!(octet, b' '..=b'~')),
            _ => true,
        }
    }
}

fn start() -> Account<Rules> {
    faked::start()
}

conforms!((|_: &str| Some(start())));

/// A set that is new is made, one that is there replaced, and one that goes taken out.
#[tokio::test]
async fn each_set_is_a_call_after_a_look_at_the_zone() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name("mail.acme.test"), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    account.fake.forget_seen();
    let steps = [
        suite::remove(&zone, &cname("shop.acme.test", "shops.others.test")),
        Action::Add { new: ours()[0].clone() },
        Action::Add { new: ours()[5].clone() },
    ];
    suite::write(&*provider, &zone, suite::changes(steps)).await.unwrap();
    let records = "/v5/livedns/domains/acme.test/records";
    assert_eq!(
        account.calls(),
        [
            format!("GET {records}"),
            format!("DELETE {records}/shop/CNAME"),
            format!("PUT {records}/proofs/TXT"),
            format!("POST {records}/t1._domainkey.mail/CNAME"),
        ]
    );
    let sent: serde_json::Value = serde_json::from_slice(&account.fake.seen()[2].body).unwrap();
    assert_eq!(
        sent,
        json!({"rrset_ttl": 300, "rrset_values": ["\"one\"", "\"two\"", "\"three\"", "\"ours\""]})
    );
}

/// A set that came to be between the look and the write is not overwritten: the host sees to that.
#[tokio::test]
async fn a_set_that_somebody_made_meanwhile_stays() {
    for theirs in ["theirs", "x"] {
        let account = start();
        let provider = account.provider();
        let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        let stale = json!([]).to_string().into_bytes();
        account.put(&txt("new.acme.test", theirs)).await;
        let before = account.content().await;
        // The look shows what was there a moment ago.
        account.fake.fault(0, Fault::Body(stale));
        let steps = suite::changes([Action::Add { new: txt("new.acme.test", "x") }]);
        let stopped = suite::write(&*provider, &zone, steps).await.unwrap_err();
        assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing), "{theirs}");
        assert_eq!(account.content().await, before);
    }
}

/// What is done before a set is refused is there, and the zone has to be looked at.
#[tokio::test]
async fn a_set_that_is_refused_leaves_those_before_it() {
    let account = start();
    account.fake.change_zone(ZONE, |zone| zone.quota = zone.records.len() + 2);
    let stopped = apply(&*account.provider(), &ours()).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::RecordRefused, Done::Unknown));
    assert_eq!(stopped.error.host_message.as_deref(), Some("items: too many records"));
    assert_eq!(account.content().await.len(), account.seed().len() + 2);
}

/// Names are found only as their owner typed them.
#[tokio::test]
async fn a_set_is_called_as_it_is_listed() {
    let account = start();
    account.fake.own(|own| own.written.push(("proofs".to_owned(), "Proofs".to_owned())));
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let (old, new) = (txt("proofs.acme.test", "two"), txt("proofs.acme.test", "2"));
    let steps = suite::changes([suite::replace(&zone, &old, new.clone(), Why::Undo)]);
    suite::write(&*provider, &zone, steps).await.unwrap();
    assert!(account.calls().last().unwrap().ends_with("/Proofs/TXT"));
    assert!(account.content().await.contains(&(new.owner, new.data)));
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let account = start();
    let good = Token::good();
    let missing = |right| Refusal::AccessMissing { right: Some(right) };
    for (token, refusal) in [
        (Token { is_over: true, ..good.clone() }, Refusal::CredentialInvalid),
        // It may not even see the list: that cannot be told from one that is none.
        (Token { reads: false, ..good.clone() }, Refusal::CredentialInvalid),
        (Token { writes: false, ..good.clone() }, missing(Right::WriteRecords)),
        (Token { zones: Some(Vec::new()), ..good.clone() }, missing(Right::ListZones)),
    ] {
        account.fake.token(TOKEN, token.clone());
        let (error, done) = refused(&account, TOKEN).await;
        assert_eq!((&error.refusal, done), (&refusal, Done::Nothing), "{token:?}");
        assert_eq!(
            error.host_message.as_deref(),
            Some("Access was denied to this resource. (…)"),
            "{token:?}"
        );
    }
    let (error, _) = refused(&account, "nobody-s-token").await;
    assert_eq!(error.refusal, Refusal::CredentialInvalid);
    // Where the second question is lost, nothing is said of the token.
    for fault in [Fault::CutOff, Fault::Html(502)] {
        account.fake.token(TOKEN, Token { zones: Some(Vec::new()), ..good.clone() });
        account.fake.fault(2, fault.clone());
        let (error, _) = refused(&account, TOKEN).await;
        assert_eq!(error.refusal, missing(Right::ListZones), "{fault:?}");
    }
}

/// Names that differ in their case only are two sets there, and one to DNS; so are types that are not known here.
#[tokio::test]
async fn sets_that_are_one_to_dns_are_all_listed_and_left_alone() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let set = |name: &str, kind: &str, value: &str| json!({"rrset_name": name, "rrset_type": kind, "rrset_ttl": 300, "rrset_values": [value]});
    let sets = json!([
        set("_dmarc", "TXT", "\"v=DMARC1; p=none\""),
        set("_DMARC", "TXT", "\"v=DMARC1; p=reject\""),
        set("@", "ALIAS", "a.others.test."),
        set("@", "WALLET", "BTC x"),
        set("www", "A", "192.0.2.1"),
    ]);
    let list = || Fault::Answer {
        status: 200,
        headers: vec![("total-count", "5".to_owned())],
        body: sets.to_string(),
    };
    account.fake.fault(0, list());
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let kept: Vec<Kept> = zone.records.iter().map(|there| there.kept).collect();
    assert_eq!(kept, [Kept::Opaque, Kept::Opaque, Kept::Opaque, Kept::Opaque, Kept::Plain]);
    account.fake.forget_seen();
    account.fake.fault(0, list());
    let steps = suite::changes([Action::Add { new: txt("_dmarc.acme.test", "v=DMARC1; p=quarantine") }]);
    let stopped = suite::write(&*provider, &zone, steps).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::RecordRefused, Done::Nothing));
    assert!(stopped.error.host_message.unwrap().contains("written in two ways"));
    assert_eq!(account.writes(), 0);
}

#[tokio::test]
async fn what_the_host_does_not_take_is_told_in_its_words() {
    let account = start();
    for (new, words) in [
        (Record { ttl: 299, ..txt("a.acme.test", "x") }, "rrset_ttl: must be between 300 and 2592000"),
        (Record { ttl: 2_592_001, ..txt("a.acme.test", "x") }, "rrset_ttl: must be between 300 and 2592000"),
        (txt("a.acme.test", "é"), "texts of other than printable ASCII are not written at Gandi"),
        (suite::record(ZONE, RecordData::Ns(name("ns1.others.test"))), "rrset_values: is not allowed here"),
    ] {
        let (error, done) = account.refused(TOKEN, std::slice::from_ref(&new)).await;
        assert_eq!((error.refusal, done), (Refusal::RecordRefused, Done::Nothing), "{new:?}");
        assert_eq!(error.host_message.as_deref(), Some(words));
    }
}

#[tokio::test]
async fn sets_are_read_as_they_are_answered_with() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let set = |name: &str, kind: &str, value: &str| json!({"rrset_name": name, "rrset_type": kind, "rrset_ttl": 300, "rrset_values": [value]});
    let sets =
        json!([set("www", "CNAME", "shop"), set("@", "ALIAS", "a.others.test."), set("@", "A", "none")]);
    account.fake.fault(0, Fault::Body(sets.to_string().into_bytes()));
    account.fake.fault(0, Fault::Body(b"[]".to_vec()));
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let kept: Vec<Kept> = zone.records.iter().map(|there| there.kept).collect();
    assert_eq!(kept, [Kept::Plain, Kept::Opaque, Kept::Opaque]);
    assert_eq!(zone.records[0].record.data, cname("www.acme.test", "shop.acme.test").data, "below the zone");
    for broken in [r#"[{"rrset_name":"a"}]"#, "[7]", "7", r#"{"message":"no"}"#] {
        account.fake.fault(0, Fault::Body(broken.as_bytes().to_vec()));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None }, "{broken}");
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    for count in [1, 99, 100, 101, 301] {
        let account = faked::empty::<Rules>();
        for number in 0..count {
            account.fake.put(ZONE, &txt(&format!("n{number}.acme.test"), "x"));
        }
        let provider = account.provider();
        let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        assert_eq!(zone.records.len(), count);
        let pages = || account.calls().iter().filter(|call| call.ends_with("/records")).count();
        assert_eq!(pages(), count.div_ceil(100));
        // One that does not tell how many there are is asked until there are no more.
        account.fake.own(|own| own.tells_no_total = true);
        account.fake.forget_seen();
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        assert_eq!((zone.records.len(), pages()), (count, count.div_ceil(100) + 1));
    }
}

#[tokio::test]
async fn a_busy_host_is_waited_for_a_little() {
    tokio::time::pause();
    let account = start();
    for after in 0..9 {
        account.fake.fault(after, Fault::RateLimited(3));
    }
    apply(&*account.provider(), &ours()).await.unwrap();
    let account = start();
    account.fake.fault(2, Fault::RateLimited(300));
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::RateLimited { retry_after: Some(300) }, Done::Nothing));
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for (fault, status) in [
        (Fault::Html(502), Some(502)),
        (Fault::Html(404), Some(404)),
        (Fault::Html(403), Some(403)),
        (Fault::Body(b"<html>".to_vec()), None),
    ] {
        for after in 0..4 {
            let account = start();
            account.fake.fault(after, fault.clone());
            let (error, done) = refused(&account, TOKEN).await;
            assert_eq!(error.refusal, Refusal::Unexpected { status }, "{fault:?} after {after}");
            assert_eq!(done, Done::Nothing);
        }
    }
    for (fault, done) in
        [(Fault::Html(502), Done::Unknown), (Fault::Html(404), Done::Nothing), (Fault::CutOff, Done::Unknown)]
    {
        let account = start();
        account.fake.fault(4, fault.clone());
        let (_, told) = account.refused(TOKEN, &[txt("new.acme.test", "x")]).await;
        assert_eq!(told, done, "{fault:?}");
    }
}

#[tokio::test]
async fn an_spf_record_written_meanwhile_stays_the_only_one() {
    faked::an_spf_record_written_meanwhile_stays_the_only_one::<Rules>().await;
}

#[tokio::test]
async fn an_open_answer_leaves_a_write_open() {
    faked::an_open_answer_leaves_a_write_open::<Rules>(4, r#"{"message":"busy"}"#).await;
}

#[tokio::test]
async fn a_zone_that_changes_between_pages_is_read_again() {
    faked::a_zone_that_changes_between_pages_is_read_again::<Rules>().await;
}
