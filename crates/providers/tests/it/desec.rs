//! deSEC, against the strict fake.

use crate::{
    faked::{self, Account, Kind, TOKEN, refused},
    suite::{self, Host as _, ZONE, apply, cname, conforms, name, ours, txt},
};
use fake_hosts::{Fault, Plain, Token, desec::Rules};
use model::Record;
use providers::{Desec, Secret};
use publish::{Action, Batch, Done, Kept, Refusal, Right, SetChange, Work, ZoneProvider};
use serde_json::{Value, json};

impl Kind for Rules {
    fn adapter(way: Plain, token: Secret) -> Box<dyn ZoneProvider> {
        Box::new(Desec::new(Box::new(way), token))
    }
}

/// A domain whose owner asked for shorter TTLs, as the suite has them.
fn start() -> Account<Rules> {
    let account = faked::start();
    account.fake.change_zone(ZONE, |zone| zone.least_ttl = Some(60));
    account
}

conforms!((|_: &str| Some(start())));

#[tokio::test]
async fn a_set_up_takes_one_write() {
    let account = start();
    let new: Vec<Record> = ours().into_iter().take(5).collect();
    apply(&*account.provider(), &new).await.unwrap();
    let sets = "/api/v1/domains/acme.test/rrsets/";
    assert_eq!(
        account.calls(),
        [
            "GET /api/v1/domains/mail.acme.test/".to_owned(),
            "GET /api/v1/domains/acme.test/".to_owned(),
            format!("GET {sets}"),
            format!("GET {sets}"),
            format!("POST {sets}"),
        ]
    );
    // What is there already is changed with what is new, in one request.
    account.fake.forget_seen();
    let account = start();
    apply(&*account.provider(), &[ours()[5].clone(), txt(ZONE, "new")]).await.unwrap();
    let seen = account.fake.seen();
    assert_eq!(seen.last().unwrap().method, "PATCH");
    let body: Value = serde_json::from_slice(&seen.last().unwrap().body).unwrap();
    let names: Vec<&Value> = body.as_array().unwrap().iter().map(|set| &set["subname"]).collect();
    assert_eq!(names, [&json!(""), &json!("proofs")]);
}

/// Sets that are new are made only where none is: the host sees to that.
#[tokio::test]
async fn a_set_that_somebody_made_meanwhile_stays() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    account.put(&txt("new.acme.test", "theirs")).await;
    let before = account.content().await;
    // The look shows what was there a moment ago.
    account.fake.fault(0, Fault::Body(b"[]".to_vec()));
    let steps = suite::changes([
        Action::Add { new: txt("other.acme.test", "x") },
        Action::Add { new: txt("new.acme.test", "x") },
    ]);
    let stopped = suite::write(&*provider, &zone, steps).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing));
    assert_eq!(account.content().await, before);
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let account = start();
    let good = Token::good();
    let tried = || vec![name("mail.acme.test"), name("acme.test")];
    for (token, refusal, words) in [
        (Token { is_over: true, ..good.clone() }, Refusal::CredentialInvalid, Some("Invalid token. (…)")),
        (
            Token { writes: false, ..good.clone() },
            Refusal::AccessMissing { right: Some(Right::WriteRecords) },
            Some("Insufficient token permissions. (…)"),
        ),
        (Token { zones: Some(Vec::new()), ..good.clone() }, Refusal::ZoneNotFound { tried: tried() }, None),
    ] {
        account.fake.token(TOKEN, token.clone());
        let (error, done) = refused(&account, TOKEN).await;
        assert_eq!((&error.refusal, done), (&refusal, Done::Nothing), "{token:?}");
        assert_eq!(error.host_message.as_deref(), words, "{token:?}");
    }
    let (error, _) = refused(&account, "nobody-s-token").await;
    assert_eq!(error.refusal, Refusal::CredentialInvalid);
}

/// So many writes a day, and then how long to wait.
#[tokio::test]
async fn the_writes_of_a_day_are_counted_by_the_host() {
    let account = start();
    account.fake.own(|own| own.writes = Some((1, 40_000)));
    apply(&*account.provider(), &ours()).await.unwrap();
    let before = account.content().await;
    let stopped = apply(&*account.provider(), &[txt("more.acme.test", "x")]).await.unwrap_err();
    assert_eq!(stopped.error.refusal, Refusal::RateLimited { retry_after: Some(40_000) });
    assert_eq!(stopped.done, Done::Nothing);
    assert!(stopped.error.host_message.unwrap().contains("Expected available in 40000 seconds"));
    assert_eq!(account.content().await, before);
}

#[tokio::test]
async fn what_the_host_does_not_take_is_told_in_its_words() {
    let account = faked::start::<Rules>();
    for (new, words) in [
        (
            Record { ttl: 3_599, ..txt("a.acme.test", "x") },
            "Ensure this value is greater than or equal to 3600.",
        ),
        (
            Record { ttl: 86_401, ..txt("a.acme.test", "x") },
            "Ensure this value is less than or equal to 86400.",
        ),
        (Record { ttl: 3_600, ..cname(ZONE, "a.others.test") }, ""),
    ] {
        let (error, done) = account.refused(TOKEN, std::slice::from_ref(&new)).await;
        assert!(matches!(error.refusal, Refusal::RecordRefused | Refusal::Conflict), "{error}");
        assert_eq!(
            (done, error.host_message.unwrap_or_default().as_str()),
            (Done::Nothing, words),
            "{new:?}"
        );
    }
    let (error, _) = account.refused(TOKEN, &[txt("x.other.test", "a name of another zone")]).await;
    assert_eq!(error.refusal, Refusal::RecordRefused);
}

#[tokio::test]
async fn sets_are_read_as_they_are_answered_with() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let set = |name: &str, kind: &str, value: &str| json!({"subname": name, "type": kind, "ttl": 3600, "records": [value]});
    let sets = json!([set("www", "CNAME", "shop.acme.test."), set("", "HTTPS", "1 ."), set("", "A", "none")]);
    account.fake.fault(0, Fault::Body(sets.to_string().into_bytes()));
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let kept: Vec<Kept> = zone.records.iter().map(|there| there.kept).collect();
    assert_eq!(kept, [Kept::Plain, Kept::Opaque, Kept::Opaque]);
    for broken in [r#"[{"subname":"a"}]"#, "[7]", "7", r#"{"detail":"no"}"#] {
        account.fake.fault(0, Fault::Body(broken.as_bytes().to_vec()));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None }, "{broken}");
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    for count in [1, 499, 500, 501, 1_001] {
        let account = faked::empty::<Rules>();
        for number in 0..count {
            account.fake.put(ZONE, &txt(&format!("n{number}.acme.test"), "x"));
        }
        let provider = account.provider();
        let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        assert_eq!(zone.records.len(), count);
        let pages = account.calls().iter().filter(|call| call.ends_with("/rrsets/")).count();
        assert_eq!(pages, count.div_ceil(500));
    }
}

#[tokio::test]
async fn a_busy_host_is_waited_for_a_little() {
    tokio::time::pause();
    let account = start();
    for after in 0..5 {
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
    faked::an_open_answer_leaves_a_write_open::<Rules>(4, r#"{"detail":"busy"}"#).await;
}

/// A link that cannot be read is no end of the zone: what is behind it would be taken for gone.
#[tokio::test]
async fn a_next_page_that_cannot_be_read_is_no_end() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let before = account.content().await;
    account.fake.forget_seen();
    let page = |links: &[&str]| {
        let headers = links.iter().map(|link| ("link", (*link).to_owned())).collect();
        Fault::Answer { status: 200, headers, body: "[]".to_owned() }
    };
    let steps = || suite::changes([Action::Add { new: txt("new.acme.test", "x") }]);
    for links in [
        &["<https://x/?cursor=a b>; rel=\"next\""][..],
        &["<https://x/>; rel=\"next\""],
        &["<https://x/?cursor=>; rel=\"first\"", "<https://x/?page=2>; rel=\"next\""],
    ] {
        account.fake.fault(0, page(links));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None }, "{links:?}");
        account.fake.fault(0, page(links));
        let stopped = suite::write(&*provider, &zone, steps()).await.unwrap_err();
        assert_eq!(stopped.done, Done::Nothing);
    }
    // One that leads back to itself.
    for _ in 0..2 {
        account.fake.fault(0, page(&["<https://x/?cursor=cD0%3D1>; rel=\"next\""]));
    }
    let error = provider.list(&handle, &[].into()).await.unwrap_err();
    assert_eq!(error.refusal, Refusal::Unexpected { status: None });
    assert_eq!((account.content().await, account.writes()), (before, 0));
}

/// What its owner gave a set stays, where something of the set does.
#[tokio::test]
async fn a_set_keeps_the_ttl_that_its_owner_gave_it() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let owner = name("proofs.acme.test");
    let before: Vec<_> = zone.at(&owner).cloned().collect();
    let new = Record { ttl: 3_600, ..txt("proofs.acme.test", "ours") };
    let mut after = vec![new.clone()];
    after.extend(before.iter().map(|there| Record { ttl: 3_600, ..there.record.clone() }));
    let record_type = new.data.record_type();
    let work =
        Work::Sets(vec![SetChange { owner: owner.clone(), record_type, before: before.clone(), after }]);
    provider.write(&handle, &Batch { steps: vec![0], before, work }).await.unwrap();
    let there = account.fake.records(ZONE);
    let ttls: Vec<u32> =
        there.iter().filter(|held| held.record.owner == owner).map(|held| held.record.ttl).collect();
    assert_eq!(ttls, [300; 4]);
}
