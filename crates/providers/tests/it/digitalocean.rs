//! DigitalOcean, against the strict fake.

use crate::{
    faked::{self, Account, Kind, TOKEN, is_null_mx, is_one_piece, refused},
    suite::{self, Host as _, ZONE, apply, cname, conforms, mx, name, ours, txt},
};
use fake_hosts::{Fault, Plain, Token, digitalocean::Rules};
use model::{Record, RecordData, RecordType};
use providers::{DigitalOcean, Secret};
use publish::{
    Action, Done, Kept, Refusal, Right, Why, ZoneProvider,
    http::{Exchange as _, HttpRequest},
};
use serde_json::{Value, json};

impl Kind for Rules {
    fn adapter(way: Plain, token: Secret) -> Box<dyn ZoneProvider> {
        Box::new(DigitalOcean::new(Box::new(way), token))
    }
    fn holds(record: &Record) -> bool {
        match &record.data {
            RecordData::Txt(text) => {
                let is_plain = |octet: u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\');
                is_one_piece(text) && text.joined().bytes().all(is_plain)
            }
            data => data.record_type() != RecordType::Ptr && !is_null_mx(data),
        }
    }
}

fn start() -> Account<Rules> {
    faked::start()
}

conforms!((|_: &str| Some(start())));

/// The bodies of answers, as the host's own description of its API has them.
#[tokio::test]
async fn the_fake_answers_in_the_form_of_the_real_one() {
    let account = start();
    let ask = async |method: &'static str, target: &str, body: &str| -> (u16, Value) {
        let headers = vec![("authorization", format!("Bearer {TOKEN}"))];
        let target = format!("/v2/domains{target}");
        let request = HttpRequest { method, target, headers, body: body.as_bytes().to_vec() };
        let answer = account.way.send(request).await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    };
    let (status, zone) = ask("GET", "/acme.test", "").await;
    assert_eq!((status, &zone["domain"]["name"]), (200, &json!("acme.test")));
    let (_, page) = ask("GET", "/acme.test/records?per_page=2&page=2", "").await;
    let links: Vec<&String> = page["links"]["pages"].as_object().unwrap().keys().collect();
    assert_eq!(links, ["first", "last", "next", "prev"]);
    let record = &page["domain_records"][0];
    let fields: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        ["data", "flags", "id", "name", "port", "priority", "tag", "ttl", "type", "weight"],
        "{record}"
    );
    let new = r#"{"type":"CNAME","name":"own","data":"acme.test.","ttl":1800}"#;
    let (status, made) = ask("POST", "/acme.test/records", new).await;
    assert_eq!((status, &made["domain_record"]["data"]), (201, &json!("@")), "{made}");
    for (new, status, id) in [
        (r#"{"type":"CNAME","name":"x","data":"acme.test","ttl":1800}"#, 422, "unprocessable_entity"),
        (r#"{"type":"TXT","name":"own","data":"beside an alias","ttl":1800}"#, 422, "unprocessable_entity"),
        (
            r#"{"type":"TXT","name":"x.acme.test","data":"named in full","ttl":1800}"#,
            422,
            "unprocessable_entity",
        ),
    ] {
        let told = ask("POST", "/acme.test/records", new).await;
        assert_eq!((told.0, &told.1["id"]), (status, &json!(id)), "{told:?}");
        assert!(told.1["message"].is_string());
    }
}

#[tokio::test]
async fn each_record_is_a_call_after_a_look_at_its_name() {
    let account = start();
    apply(&*account.provider(), &ours()[..2]).await.unwrap();
    let records = "/v2/domains/acme.test/records";
    assert_eq!(
        account.calls(),
        [
            "GET /v2/domains/mail.acme.test".to_owned(),
            "GET /v2/domains/acme.test".to_owned(),
            format!("GET {records}"),
            format!("GET {records}"),
            format!("GET {records}"),
            format!("POST {records}"),
            format!("POST {records}"),
        ]
    );
    let names: Vec<String> = account.fake.seen().iter().map(|seen| seen.query.clone()).collect();
    assert_eq!(names[3], "per_page=200&page=1&name=t1._domainkey.mail.acme.test");
}

/// What is done before a record is refused is told, step by step.
#[tokio::test]
async fn a_record_that_is_refused_leaves_those_before_it() {
    let account = start();
    account.fake.change_zone(ZONE, |zone| zone.quota = zone.records.len() + 2);
    let stopped = apply(&*account.provider(), &ours()).await.unwrap_err();
    assert_eq!(stopped.error.refusal, Refusal::RecordRefused);
    assert_eq!(stopped.error.host_message.as_deref(), Some("The domain has too many records"));
    let Done::Steps(written) = stopped.done else { panic!("{:?}", stopped.done) };
    assert_eq!(written.iter().map(|written| written.step).collect::<Vec<_>>(), [0, 1]);
    let there = account.content().await;
    assert!(ours()[..2].iter().all(|ours| there.contains(&(ours.owner.clone(), ours.data.clone()))));
    // Each with the host's name for it.
    let ids: Vec<Option<String>> =
        account.fake.records(ZONE).iter().rev().take(2).map(|held| Some(held.id.to_string())).collect();
    assert_eq!(written.iter().rev().map(|written| written.id.clone()).collect::<Vec<_>>(), ids);
}

/// The id stays while its owner edits a record: what is there is looked at, and not what it is called.
#[tokio::test]
async fn a_record_that_was_edited_in_its_place_is_left_alone() {
    let account = start();
    let provider = account.provider();
    apply(&*provider, &ours()).await.unwrap();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let old = &ours()[0];
    let theirs = cname("t1._domainkey.mail.acme.test", "theirs.others.test");
    account.fake.change_zone(ZONE, |zone| {
        for held in zone.records.iter_mut().filter(|held| held.record.owner == old.owner) {
            held.record = theirs.clone();
        }
    });
    let before = account.content().await;
    let new = cname("t1._domainkey.mail.acme.test", "t9.dkim.send.test");
    for action in [suite::remove(&zone, old), suite::replace(&zone, old, new, Why::Ours)] {
        let stopped = suite::write(&*provider, &zone, suite::changes([action])).await.unwrap_err();
        assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing));
    }
    assert_eq!(account.content().await, before);
}

/// A record keeps its type there.
#[tokio::test]
async fn an_alias_makes_room_for_a_text() {
    let account = start();
    let provider = account.provider();
    apply(&*provider, &ours()).await.unwrap();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let (old, new) = (&ours()[0], txt("t1._domainkey.mail.acme.test", "v=DKIM1; p=abc"));
    let steps = suite::changes([suite::replace(&zone, old, new.clone(), Why::Ours)]);
    let written = suite::write(&*provider, &zone, steps).await.unwrap();
    let there = account.fake.records(ZONE);
    let there: Vec<_> = there.iter().filter(|held| held.record.owner == new.owner).collect();
    assert_eq!((there.len(), &there[0].record.data), (1, &new.data));
    assert_eq!(written[0].id, Some(there[0].id.to_string()));
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
        (Token { makes: false, ..good.clone() }, missing(Right::WriteRecords)),
        (Token { zones: Some(Vec::new()), ..good.clone() }, Refusal::ZoneNotFound { tried: tried() }),
    ] {
        account.fake.token(TOKEN, token.clone());
        let (error, done) = refused(&account, TOKEN).await;
        assert_eq!((&error.refusal, done), (&refusal, Done::Nothing), "{token:?}");
        let has_words = !matches!(refusal, Refusal::ZoneNotFound { .. });
        assert_eq!(error.host_message.is_some(), has_words, "{token:?}");
    }
    let (error, _) = refused(&account, "nobody-s-token").await;
    assert_eq!(error.refusal, Refusal::CredentialInvalid);
    assert_eq!(error.host_message.as_deref(), Some("Unable to authenticate you (…)"));
}

#[tokio::test]
async fn what_the_host_does_not_take_is_told() {
    let account = start();
    for (new, words) in [
        (Record { ttl: 29, ..txt("a.acme.test", "x") }, "TTL must be between 30 and 86400"),
        (Record { ttl: 86_401, ..txt("a.acme.test", "x") }, "TTL must be between 30 and 86400"),
        (txt("a.acme.test", &"x".repeat(505)), "at most 504 characters"),
        (txt("a.acme.test", "a \"b\""), "without quotation marks"),
        (txt("a.acme.test", "a\\b"), "backslashes"),
        (txt("a.acme.test", "é"), "printable ASCII"),
        (mx("a.acme.test", 0, "."), "no null MX"),
        (txt("x.other.test", "a name of another zone"), "DigitalOcean takes"),
    ] {
        let (error, done) = account.refused(TOKEN, std::slice::from_ref(&new)).await;
        assert_eq!((error.refusal, done), (Refusal::RecordRefused, Done::Nothing), "{new:?}");
        assert!(error.host_message.as_ref().unwrap().contains(words), "{:?}", error.host_message);
    }
    apply(&*account.provider(), &[txt("a.acme.test", &"x".repeat(504))]).await.unwrap();
}

/// Texts of which nobody knows what the host makes of them are shown, and never touched.
#[tokio::test]
async fn what_cannot_be_read_back_is_not_touched() {
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let record = |id: u32, kind: &str, data: &str| json!({"id": id, "type": kind, "name": "@", "data": data, "ttl": 60, "priority": 1});
    let list = json!({"links": {}, "meta": {"total": 6}, "domain_records": [
        record(1, "TXT", "plain"), record(2, "TXT", "\"quoted\""), record(3, "TXT", "a\\b"),
        record(4, "A", "no address"), record(5, "HTTPS", "1 ."), record(6, "MX", "@"),
    ]});
    account.fake.fault(0, Fault::Body(list.to_string().into_bytes()));
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let kept: Vec<Kept> = zone.records.iter().map(|there| there.kept).collect();
    assert_eq!(kept, [&[Kept::Plain][..], &[Kept::Opaque; 4], &[Kept::Plain]].concat());
    assert_eq!(zone.records[5].record.data, mx(ZONE, 1, ZONE).data, "@ is the zone itself");
    for broken in [
        r#"[{"type":"A"}]"#,
        r#"[{"id":"../x","type":"A","name":"@","data":"192.0.2.1","ttl":1}]"#,
        "[7]",
        "7",
    ] {
        let body = format!(r#"{{"domain_records":{broken},"links":{{}}}}"#);
        account.fake.fault(0, Fault::Body(body.into_bytes()));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None }, "{broken}");
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    for count in [1, 199, 200, 201, 401] {
        let account = faked::empty::<Rules>();
        account.fake.change_zone(ZONE, |zone| zone.quota = usize::MAX);
        for number in 0..count {
            account.fake.put(ZONE, &txt(&format!("n{number}.acme.test"), "x"));
        }
        let provider = account.provider();
        let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        assert_eq!(zone.records.len(), count);
        let pages = account.calls().iter().filter(|call| call.ends_with("/records")).count();
        assert_eq!(pages, count.div_ceil(200));
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
    // Where a record was sent, nobody knows of it, but for what is a no in any case.
    for (fault, done) in [
        (Fault::Html(502), Done::Unknown),
        (Fault::Html(404), Done::Nothing),
        (Fault::Body(b"{}".to_vec()), Done::Unknown),
        (Fault::CutOff, Done::Unknown),
    ] {
        let account = start();
        account.fake.fault(4, fault.clone());
        let new = txt("new.acme.test", "x");
        let (_, told) = account.refused(TOKEN, &[new]).await;
        assert_eq!(told, done, "{fault:?}");
    }
    // An addition where somebody was quicker.
    let account = start();
    let provider = account.provider();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let new = txt("new.acme.test", "x");
    account.put(&new).await;
    let stopped = suite::write(&*provider, &zone, suite::changes([Action::Add { new }])).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing));
}

#[tokio::test]
async fn an_spf_record_written_meanwhile_stays_the_only_one() {
    faked::an_spf_record_written_meanwhile_stays_the_only_one::<Rules>().await;
}

#[tokio::test]
async fn an_open_answer_leaves_a_write_open() {
    faked::an_open_answer_leaves_a_write_open::<Rules>(
        4,
        r#"{"id":"unavailable","message":"cannot share a name"}"#,
    )
    .await;
}

#[tokio::test]
async fn a_zone_that_changes_between_pages_is_read_again() {
    faked::a_zone_that_changes_between_pages_is_read_again::<Rules>().await;
}
