//! Hetzner, against the strict fake.

use crate::{
    faked::{self, Account, Kind, TOKEN, refused},
    suite::{self, Host as _, ZONE, apply, cname, conforms, name, ours, txt},
};
use fake_hosts::{Fault, Plain, Token, hetzner::Rules};
use model::Record;
use providers::{Hetzner, Secret};
use publish::{Done, Kept, Refusal, Right, Why, ZoneProvider};
use serde_json::json;

/// What time it is.
const NOW: u64 = 1_793_000_000;

impl Kind for Rules {
    fn adapter(way: Plain, token: Secret) -> Box<dyn ZoneProvider> {
        Box::new(Hetzner::new(Box::new(way), token, std::sync::Arc::new(|| NOW)))
    }
}

fn start() -> Account<Rules> {
    faked::start()
}

conforms!((|_: &str| Some(start())));

#[tokio::test]
async fn each_record_is_put_into_its_set_after_a_look_at_its_name() {
    let account = start();
    apply(&*account.provider(), &[ours()[5].clone(), ours()[2].clone()]).await.unwrap();
    let calls = account.calls();
    let id = calls[2].split('/').nth(3).unwrap();
    let sets = format!("/v1/zones/{id}/rrsets");
    assert_eq!(
        calls,
        [
            "GET /v1/zones".to_owned(),
            "GET /v1/zones".to_owned(),
            format!("GET {sets}"),
            format!("GET {sets}"),
            format!("GET {sets}"),
            format!("POST {sets}/proofs/TXT/actions/add_records"),
            format!("POST {sets}/mail/TXT/actions/add_records"),
        ]
    );
    let seen = account.fake.seen();
    assert_eq!(
        (seen[3].query.as_str(), seen[4].query.as_str()),
        ("per_page=100&page=1&name=mail", "per_page=100&page=1&name=proofs")
    );
    let body = |at: usize| serde_json::from_slice::<serde_json::Value>(&seen[at].body).unwrap();
    assert_eq!(body(5), json!({"records": [{"value": "\"ours\""}]}), "the set keeps its TTL");
    assert_eq!(body(6)["ttl"], 300);
}

/// An SPF record is changed together with its set, and its note stays.
#[tokio::test]
async fn a_record_takes_anothers_place_in_one_call() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let old = &account.seed()[1];
    let new = txt(ZONE, "v=spf1 include:_spf.others.test include:spf.send.test ~all");
    suite::write(&*provider, &zone, suite::changes([suite::replace(&zone, old, new.clone(), Why::SpfMerge)]))
        .await
        .unwrap();
    assert_eq!(account.writes(), 1);
    let there = account.fake.records(ZONE);
    let held = there.iter().find(|held| held.record.data == new.data).unwrap();
    assert_eq!(held.note.as_deref(), Some("our newsletter, ask Kim"));
    let texts = there.iter().filter(|held| {
        held.record.owner == new.owner && held.record.data.record_type() == new.data.record_type()
    });
    assert_eq!(texts.count(), 3, "its siblings are there");
}

#[tokio::test]
async fn an_alias_makes_room_for_a_text() {
    let account = start();
    let provider = account.provider();
    apply(&*provider, &ours()).await.unwrap();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let (old, new) = (&ours()[0], txt("t1._domainkey.mail.acme.test", "v=DKIM1; p=abc"));
    let steps = suite::changes([suite::replace(&zone, old, new.clone(), Why::Ours)]);
    suite::write(&*provider, &zone, steps).await.unwrap();
    let there = account.fake.records(ZONE);
    let there: Vec<_> = there.iter().filter(|held| held.record.owner == new.owner).collect();
    assert_eq!((there.len(), &there[0].record), (1, &new));
}

/// What is under way is waited for; what comes to nothing in the end is told.
#[tokio::test]
async fn an_action_is_waited_for() {
    tokio::time::pause();
    let account = start();
    account.fake.own(|own| own.slow = 3);
    apply(&*account.provider(), &ours()).await.unwrap();
    assert_eq!(account.writes(), ours().len(), "none was sent while another was under way");
    let account = start();
    account.fake.own(|own| own.slow = 1_000);
    let stopped = apply(&*account.provider(), &ours()[..1]).await.unwrap_err();
    assert_eq!(stopped.done, Done::UnderWay);
    let words = "the host took the change and is still at it";
    assert_eq!(stopped.error.host_message.as_deref(), Some(words));
    assert_eq!(stopped.error.refusal, Refusal::Unexpected { status: None });
    let looks =
        account.calls().into_iter().filter(|call| call.contains("/actions/") && call.starts_with("GET"));
    assert_eq!(looks.count(), 11, "for ten seconds, and less often the longer it takes");
    // Another's action: nothing of ours was done.
    let stopped = apply(&*account.provider(), &ours()[1..]).await.unwrap_err();
    assert_eq!(stopped.done, Done::Nothing);
    assert_eq!(stopped.error.refusal, Refusal::RateLimited { retry_after: Some(5) });
    let account = start();
    account.fake.own(|own| own.failing = Some(("action_failed", "the name servers did not take it")));
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::RecordRefused, Done::Unknown));
    assert_eq!(error.host_message.as_deref(), Some("the name servers did not take it"));
}

/// An action that takes longer than is waited for is done later: nobody may call it not done before.
#[tokio::test]
async fn what_is_still_under_way_is_not_called_undone() {
    tokio::time::pause();
    for lost in [false, true] {
        let account = start();
        account.fake.own(|own| own.slow = 13);
        if lost {
            // The look at the action.
            account.fake.fault(5, Fault::CutOff);
        }
        let before = account.content().await;
        let new = txt("new.acme.test", "x");
        let (_, done) = account.refused(TOKEN, std::slice::from_ref(&new)).await;
        assert_eq!(done, Done::UnderWay, "{lost}");
        assert_eq!(account.content().await, before, "it is not there yet");
        let seen = account.fake.seen();
        let action = seen.iter().rfind(|seen| seen.path.starts_with("/v1/actions/")).unwrap();
        for _ in 0..13 {
            drop(faked::read_raw(&account, action).await);
        }
        assert!(account.content().await.contains(&(new.owner, new.data)), "and then it is");
    }
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let account = start();
    let good = Token::good();
    let missing = |right| Refusal::AccessMissing { right: Some(right) };
    let tried = || vec![name("mail.acme.test"), name("acme.test")];
    for (token, refusal) in [
        (Token { is_over: true, ..good.clone() }, Refusal::CredentialInvalid),
        (Token { reads: false, ..good.clone() }, missing(Right::ListZones)),
        (Token { writes: false, ..good.clone() }, missing(Right::WriteRecords)),
        (Token { zones: Some(Vec::new()), ..good.clone() }, Refusal::ZoneNotFound { tried: tried() }),
    ] {
        account.fake.token(TOKEN, token.clone());
        let (error, done) = refused(&account, TOKEN).await;
        assert_eq!((&error.refusal, done), (&refusal, Done::Nothing), "{token:?}");
    }
    let (error, _) = refused(&account, "nobody-s-token").await;
    assert_eq!(error.refusal, Refusal::CredentialInvalid);
    assert_eq!(error.host_message.as_deref(), Some("unable to authenticate (…)"));
    account.fake.token(TOKEN, Token::good());
    account.fake.change_zone(ZONE, |zone| zone.quota = zone.records.len());
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::QuotaExceeded, Done::Nothing));
    account.fake.change_zone(ZONE, |zone| zone.is_copy = true);
    assert_eq!(refused(&account, TOKEN).await.0.refusal, Refusal::ZoneInactive);
}

#[tokio::test]
async fn what_the_host_does_not_take_is_told_in_its_words() {
    let account = start();
    for (new, words) in [
        (Record { ttl: 59, ..txt("a.acme.test", "x") }, Some("ttl must be between 60 and 2147483647")),
        (cname(ZONE, "a.others.test"), None),
        (txt("x.other.test", "a name of another zone"), None),
    ] {
        let (error, done) = account.refused(TOKEN, std::slice::from_ref(&new)).await;
        assert!(matches!(error.refusal, Refusal::RecordRefused | Refusal::Conflict), "{new:?}: {error}");
        assert_eq!((done, error.host_message.as_deref()), (Done::Nothing, words), "{new:?}");
    }
}

/// A set has a TTL of its own, or that of the zone; one that its owner protects is not touched.
#[tokio::test]
async fn sets_are_read_as_they_are_answered_with() {
    let account = start();
    let own = Record { ttl: 3_600, ..txt("usual.acme.test", "x") };
    account.put(&own).await;
    account.fake.change_zone(ZONE, |zone| {
        for held in zone.records.iter_mut().filter(|held| held.record.owner == name("proofs.acme.test")) {
            held.is_protected = true;
        }
    });
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    assert_eq!(zone.at(&own.owner).next().unwrap().record.ttl, 3_600);
    assert!(
        zone.records.iter().all(|there| {
            (there.kept == Kept::Opaque) == (there.record.owner == name("proofs.acme.test"))
        })
    );
    let new = txt("proofs.acme.test", "ours");
    let (error, done) = account.refused(TOKEN, &[new]).await;
    assert_eq!((error.refusal, done), (Refusal::RecordRefused, Done::Nothing));
    assert_eq!(error.host_message.as_deref(), Some("the RRSet is protected from changes"));
    // A target without a final dot is below the zone.
    let set = |name: &str, kind: &str, value: &str| json!({"id": "x", "name": name, "type": kind, "ttl": 60, "records": [{"value": value}]});
    let sets = json!([
        set("www", "CNAME", "shop"),
        set("@", "MX", "10 mx"),
        set("@", "A", "no address"),
        set("@", "HTTPS", "1 .")
    ]);
    let list = json!({"rrsets": sets, "meta": {"pagination": {"next_page": null, "total_entries": 4}}});
    account.fake.fault(0, Fault::Body(list.to_string().into_bytes()));
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let told: Vec<(String, Kept)> =
        zone.records.iter().map(|there| (there.record.data.to_string(), there.kept)).collect();
    assert_eq!(told[0], (cname("www.acme.test", "shop.acme.test").data.to_string(), Kept::Plain));
    assert_eq!(told[1], (suite::mx(ZONE, 10, "mx.acme.test").data.to_string(), Kept::Plain));
    assert_eq!((told[2].1, told[3].1), (Kept::Opaque, Kept::Opaque));
    for broken in [r#"[{"name":"a"}]"#, r#"[{"name":"a","type":"A","ttl":-1,"records":[]}]"#, "[7]", "7"] {
        let body = format!(
            r#"{{"rrsets":{broken},"meta":{{"pagination":{{"next_page":null,"total_entries":1}}}}}}"#
        );
        account.fake.fault(0, Fault::Body(body.into_bytes()));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None }, "{broken}");
    }
    // Whether it was all is told, or it was not.
    for meta in ["{}", r#"{"pagination":{"next_page":null}}"#, r#"{"pagination":{"total_entries":0}}"#] {
        let body = format!(r#"{{"rrsets":[],"meta":{meta}}}"#);
        account.fake.fault(0, Fault::Body(body.into_bytes()));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None }, "{meta}");
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
        let pages = account.calls().iter().filter(|call| call.ends_with("/rrsets")).count();
        assert_eq!(pages, count.div_ceil(100));
    }
}

#[tokio::test]
async fn a_busy_host_is_waited_for_a_little() {
    tokio::time::pause();
    let account = start();
    for after in 0..14 {
        account.fake.fault(after, Fault::RateLimited(3));
    }
    apply(&*account.provider(), &ours()).await.unwrap();
    let account = start();
    account.fake.fault(2, Fault::RateLimited(300));
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::RateLimited { retry_after: Some(300) }, Done::Nothing));
    // It tells when, and not after how long.
    for (at, retry_after) in [(NOW + 90, Some(90)), (NOW - 1, Some(0))] {
        let account = start();
        let body =
            r#"{"error":{"code":"rate_limit_exceeded","message":"limit of 3600 requests per hour reached"}}"#;
        let headers = vec![("ratelimit-reset", at.to_string())];
        account.fake.fault(2, Fault::Answer { status: 429, headers, body: body.to_owned() });
        let (error, _) = refused(&account, TOKEN).await;
        assert_eq!(error.refusal, Refusal::RateLimited { retry_after });
    }
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
    for (fault, done) in [
        (Fault::Html(502), Done::Unknown),
        (Fault::Html(404), Done::Nothing),
        (Fault::Body(b"{}".to_vec()), Done::Unknown),
        (Fault::CutOff, Done::Unknown),
    ] {
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
    faked::an_open_answer_leaves_a_write_open::<Rules>(
        4,
        r#"{"error":{"code":"conflict","message":"busy"}}"#,
    )
    .await;
}

#[tokio::test]
async fn a_zone_that_changes_between_pages_is_read_again() {
    faked::a_zone_that_changes_between_pages_is_read_again::<Rules>().await;
}
