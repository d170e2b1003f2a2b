//! Cloudflare, against the strict fake.

use crate::suite::{self, Content, Host, ZONE, apply, cname, conforms, name, ours, seed, txt};
use fake_hosts::{
    Cut, Fault, Plain,
    cloudflare::{Cloudflare as Fake, Token},
};
use model::Record;
use providers::{Cloudflare, Secret};
use publish::{
    Action, Done, HostError, Kept, Refusal, Right, Why, ZoneProvider,
    http::{Exchange as _, HttpRequest},
};
use serde_json::{Value, json};

/// A field, and whether what it holds is of its type.
type Shape = (&'static str, fn(&Value) -> bool);

/// The fields of an answer and what they hold, as Cloudflare's own reference of its API shows them.
#[tokio::test]
async fn the_fake_answers_in_the_form_of_the_real_one() {
    let account = start();
    let ask = async |method: &'static str, target: &str, body: &str| -> Value {
        let headers = vec![("authorization", format!("Bearer {TOKEN}"))];
        let request = HttpRequest {
            method,
            target: format!("/client/v4{target}"),
            headers,
            body: body.as_bytes().to_vec(),
        };
        serde_json::from_slice(&account.way.send(request).await.unwrap().body).unwrap()
    };
    let holds = |value: &Value, fields: &[Shape]| {
        for (field, is_right) in fields {
            assert!(is_right(&value[*field]), "{field} of {value:#}");
        }
    };
    let envelope: &[Shape] =
        &[("success", Value::is_boolean), ("errors", Value::is_array), ("messages", Value::is_array)];
    let page: &[Shape] = &[
        ("page", Value::is_u64),
        ("per_page", Value::is_u64),
        ("count", Value::is_u64),
        ("total_count", Value::is_u64),
    ];
    let zones = ask("GET", "/zones?name=acme.test", "").await;
    holds(&zones, envelope);
    holds(&zones["result_info"], page);
    let zone = &zones["result"][0];
    holds(
        zone,
        &[
            ("id", Value::is_string),
            ("name", Value::is_string),
            ("status", Value::is_string),
            ("type", Value::is_string),
            ("paused", Value::is_boolean),
            ("name_servers", Value::is_array),
            ("account", Value::is_object),
        ],
    );
    let path = format!("/zones/{}/dns_records", zone["id"].as_str().unwrap());
    let records = ask("GET", &path, "").await;
    holds(&records, envelope);
    holds(&records["result_info"], page);
    let of_record: &[Shape] = &[
        ("id", Value::is_string),
        ("name", Value::is_string),
        ("type", Value::is_string),
        ("content", Value::is_string),
        ("proxiable", Value::is_boolean),
        ("proxied", Value::is_boolean),
        ("ttl", Value::is_u64),
        ("meta", Value::is_object),
        ("settings", Value::is_object),
        ("tags", Value::is_array),
        ("created_on", Value::is_string),
        ("modified_on", Value::is_string),
    ];
    for record in records["result"].as_array().unwrap() {
        holds(record, of_record);
    }
    let post = r#"{"posts":[{"name":"n.acme.test","type":"A","content":"192.0.2.1"}]}"#;
    let batch = ask("POST", &format!("{path}/batch"), post).await;
    holds(&batch, envelope);
    holds(
        &batch["result"],
        &[("deletes", Value::is_array), ("patches", Value::is_array), ("puts", Value::is_array)],
    );
    let made = &batch["result"]["posts"][0];
    holds(made, of_record);
    assert_eq!((&made["proxied"], &made["ttl"]), (&json!(true), &json!(1)), "proxied unless told otherwise");
    // A name of elsewhere is put below the zone.
    let post = r#"{"posts":[{"name":"x.other.test","type":"TXT","content":"unquoted"}]}"#;
    let batch = ask("POST", &format!("{path}/batch"), post).await;
    assert_eq!(batch["result"]["posts"][0]["name"], "x.other.test.acme.test");
    let again = ask("POST", &format!("{path}/batch"), post).await;
    holds(&again, envelope);
    assert_eq!((&again["result"], &again["errors"][0]["code"]), (&Value::Null, &json!(81058)));
}

/// Searched for in all that is told.
const TOKEN: &str = "s3cr3t-t0ken-of-the-customer-0123456789";

struct Account {
    fake: Fake,
    way: Plain,
}

fn start() -> Account {
    let fake = Fake::start().unwrap();
    fake.token(TOKEN, Token::good());
    fake.zone(ZONE);
    for (number, record) in seed().iter().enumerate() {
        // The customer's own notes.
        let comment = (number == 1).then_some("our newsletter, ask Kim");
        fake.put_with(ZONE, record, false, comment);
    }
    let way = Plain::new(fake.address());
    Account { fake, way }
}

fn provider(account: &Account, token: &str) -> Cloudflare {
    Cloudflare::new(
        Box::new(account.way.clone()),
        Secret::new(token.to_owned()),
        "Countersign dom_1".to_owned(),
    )
}

impl Host for Account {
    fn provider(&self) -> Box<dyn ZoneProvider> {
        Box::new(provider(self, TOKEN))
    }
    async fn content(&self) -> Content {
        let records = self.fake.records(ZONE);
        assert!(records.iter().all(|(_, _, proxied, _)| !proxied));
        let content = suite::content(records.iter().map(|(_, record, ..)| record));
        assert_eq!(content.len(), records.len(), "none twice");
        content
    }
    async fn put(&self, record: &Record) {
        self.fake.put(ZONE, record);
    }
    async fn take(&self, record: &Record) {
        for (id, there, ..) in self.fake.records(ZONE) {
            if (&there.owner, &there.data) == (&record.owner, &record.data) {
                self.fake.take(ZONE, &id);
            }
        }
    }
    fn cut(&self, after: usize, cut: Cut) {
        self.way.cut(after, cut);
    }
    fn is_to_cut(&self) -> bool {
        self.way.is_to_cut()
    }
    fn mend(&self) {
        self.way.mend();
    }
    fn writes(&self) -> usize {
        self.fake.seen().iter().filter(|seen| seen.method != "GET").count()
    }
}

conforms!((|_: &str| Some(start())));

#[tokio::test]
async fn a_set_up_takes_three_calls() {
    let account = start();
    apply(&provider(&account, TOKEN), &ours()).await.unwrap();
    let seen: Vec<String> =
        account.fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!(seen[0], "GET /client/v4/zones", "mail.acme.test, which is none");
    assert_eq!(seen[1], "GET /client/v4/zones", "acme.test");
    assert!(seen[2].ends_with("/dns_records") && seen[3].ends_with("/dns_records/batch"), "{seen:?}");
    account.fake.forget_seen();
    let told = name(ZONE);
    let provider = provider(&account, TOKEN);
    let zone = provider.find_zone(&name("mail.acme.test"), Some(&told)).await.unwrap();
    assert_eq!(
        (zone.apex, account.fake.seen().len()),
        (told, 1),
        "where DNS tells the zone, one call finds it"
    );
    let records = account.fake.records(ZONE);
    let made = records.iter().find(|(_, record, ..)| record.owner == ours()[0].owner).unwrap();
    assert_eq!(made.3.as_deref(), Some("Countersign dom_1"));
}

/// The host does not compare; what it says was there is compared, and all of the batch is put back.
#[tokio::test]
async fn a_record_that_was_edited_in_its_place_is_put_back() {
    let account = start();
    let provider = provider(&account, TOKEN);
    apply(&provider, &ours()).await.unwrap();
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let (old, spf) = (&ours()[0], &seed()[1]);
    let theirs = cname("t1._domainkey.mail.acme.test", "theirs.others.test");
    for is_removed in [false, true] {
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        let id = zone.at(&old.owner).next().unwrap().id.clone().unwrap();
        account.fake.edit(ZONE, &id, &theirs);
        let before = account.content().await;
        let action = if is_removed {
            suite::remove(&zone, old)
        } else {
            suite::replace(&zone, old, cname("t1._domainkey.mail.acme.test", "t9.dkim.send.test"), Why::Ours)
        };
        let beside = [
            Action::Add { new: txt("new.acme.test", "x") },
            suite::replace(&zone, spf, txt("acme.test", "v=spf1 include:spf.send.test ~all"), Why::SpfMerge),
        ];
        let steps = suite::changes([action].into_iter().chain(beside));
        let stopped = suite::write(&provider, &zone, steps).await.unwrap_err();
        assert_eq!((stopped.error.refusal, stopped.done), (Refusal::ZoneChanged, Done::Nothing));
        assert_eq!(account.content().await, before);
        account.take(&theirs).await;
        account.put(old).await;
    }
}

#[tokio::test]
async fn a_proxied_record_is_listed_as_such_and_made_plain() {
    let account = start();
    let ours = &ours()[0];
    account.fake.put_with(ZONE, ours, true, None);
    let provider = provider(&account, TOKEN);
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    assert!(zone.at(&ours.owner).all(|there| there.proxied));
    let steps = suite::changes([suite::replace(&zone, ours, ours.clone(), Why::Unproxy)]);
    suite::write(&provider, &zone, steps).await.unwrap();
    assert!(account.content().await.contains(&(ours.owner.clone(), ours.data.clone())));
}

/// What the host answers with something else for, and what it lets nobody change.
#[tokio::test]
async fn what_cannot_be_read_back_is_not_touched() {
    let account = start();
    let provider = provider(&account, TOKEN);
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    let listing = json!({"success": true, "errors": [], "messages": [], "result": [
        {"id": "1", "name": "acme.test", "type": "CNAME", "content": "a.test", "ttl": 1, "proxied": false},
        {"id": "2", "name": "b.acme.test", "type": "CNAME", "content": "a.test", "ttl": 1, "settings": {"flatten_cname": true}},
        {"id": "3", "name": "c.acme.test", "type": "MX", "content": "a.test", "priority": 1, "ttl": 1, "meta": {"read_only": true}},
        {"id": "4", "name": "d.acme.test", "type": "HTTPS", "content": "1 . alpn=h2", "ttl": 60},
        {"id": "5", "name": "e.acme.test", "type": "A", "content": "not an address", "ttl": 60},
        {"id": "6", "name": "bücher.acme.test", "type": "TXT", "content": "no quotation marks; \\032", "ttl": 60},
    ]});
    account.fake.fault(0, Fault::Body(listing.to_string().into_bytes()));
    let zone = provider.list(&handle, &[].into()).await.unwrap();
    let kept: Vec<Kept> = zone.records.iter().map(|there| there.kept).collect();
    assert_eq!(kept, [[Kept::Opaque; 5].as_slice(), &[Kept::Plain]].concat());
    assert_eq!(zone.records[5].record.owner, name("bücher.acme.test"));
    assert_eq!(zone.records[5].record.data.to_string(), "no quotation marks; \\032");
    assert_eq!(zone.records[0].record.ttl, 300);
    for broken in [
        r#"[{"id":"1"}]"#,
        r#"[{"id":"../../x","name":"acme.test","type":"A","content":"192.0.2.1","ttl":1}]"#,
        "[7]",
    ] {
        let body = format!(r#"{{"success":true,"result":{broken}}}"#);
        account.fake.fault(0, Fault::Body(body.into_bytes()));
        let error = provider.list(&handle, &[].into()).await.unwrap_err();
        assert_eq!(error.refusal, Refusal::Unexpected { status: None });
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    let account = start();
    account.fake.set_most_per_page(100);
    for count in [99, 100, 101, 300] {
        let account = start();
        account.fake.set_most_per_page(100);
        for number in seed().len()..count {
            account.fake.put(ZONE, &txt(&format!("n{number}.acme.test"), "x"));
        }
        let provider = provider(&account, TOKEN);
        let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
        let zone = provider.list(&handle, &[].into()).await.unwrap();
        assert_eq!(zone.records.len(), count);
        let pages = account.fake.seen().iter().filter(|seen| seen.path.ends_with("/dns_records")).count();
        assert_eq!(pages, count.div_ceil(100));
    }
    let none = Fake::start().unwrap();
    none.token(TOKEN, Token::good());
    none.zone(ZONE);
    let provider =
        Cloudflare::new(Box::new(Plain::new(none.address())), Secret::new(TOKEN.to_owned()), String::new());
    let handle = provider.find_zone(&name(ZONE), None).await.unwrap();
    assert_eq!(provider.list(&handle, &[].into()).await.unwrap().records, []);
}

/// What a run comes to, and what it says.
async fn refused(account: &Account, token: &str) -> (HostError, Done) {
    let before = account.content().await;
    let stopped = apply(&provider(account, token), &ours()).await.unwrap_err();
    assert_eq!(account.content().await, before);
    let said = format!("{} {:?} {:?}", stopped.error, stopped.error, stopped.done);
    assert!(!said.contains(TOKEN), "{said}");
    (stopped.error, stopped.done)
}

fn missing(right: Right) -> Refusal {
    Refusal::AccessMissing { right: Some(right) }
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    let account = start();
    let good = Token::good();
    let tried = || vec![name("mail.acme.test"), name("acme.test")];
    for (token, refusal) in [
        (Token { status: "expired", ..good.clone() }, Refusal::CredentialExpired),
        (Token { status: "disabled", ..good.clone() }, Refusal::CredentialInvalid),
        (Token { status: "expired", of_account: true, ..good.clone() }, Refusal::CredentialInvalid),
        (Token { is_from_here: false, ..good.clone() }, Refusal::CredentialNotFromHere),
        (Token { reads_zones: false, ..good.clone() }, Refusal::ZoneNotFound { tried: tried() }),
        (Token { zones: Some(vec![]), ..good.clone() }, Refusal::ZoneNotFound { tried: tried() }),
        (Token { reads_records: false, writes: false, ..good.clone() }, missing(Right::ReadRecords)),
        (Token { writes: false, ..good.clone() }, missing(Right::WriteRecords)),
        (Token { writes: false, of_account: true, ..good.clone() }, Refusal::CredentialInvalid),
    ] {
        account.fake.token(TOKEN, token.clone());
        let (error, done) = refused(&account, TOKEN).await;
        assert_eq!((error.refusal, done), (refusal, Done::Nothing), "{token:?}");
    }
    // A token of an account that its page does not know is not called none.
    let of_account = "cfat_0123456789abcdefghij";
    account.fake.token(of_account, Token { writes: false, of_account: true, ..good.clone() });
    assert_eq!(refused(&account, of_account).await.0.refusal, missing(Right::WriteRecords));
    for none in ["not a token at all", "short", "nobody-s-token-0123456789"] {
        let (error, _) = refused(&account, none).await;
        assert_eq!(error.refusal, Refusal::CredentialInvalid, "{none}");
        assert!(error.host_message.is_some());
    }
}

#[tokio::test]
async fn a_zone_that_the_world_does_not_see_is_not_written() {
    for (status, kind) in
        [("pending", "full"), ("active", "partial"), ("active", "secondary"), ("moved", "full")]
    {
        let fake = Fake::start().unwrap();
        fake.token(TOKEN, Token::good());
        fake.zone_with(ZONE, status, kind, 200);
        let account = Account { way: Plain::new(fake.address()), fake };
        assert_eq!(refused(&account, TOKEN).await.0.refusal, Refusal::ZoneInactive, "{status} {kind}");
        // Where another account has it too, that one is taken.
        account.fake.zone(ZONE);
        assert!(provider(&account, TOKEN).find_zone(&name(ZONE), None).await.is_ok());
    }
}

#[tokio::test]
async fn a_full_zone_is_told_and_left_as_it_was() {
    let fake = Fake::start().unwrap();
    fake.token(TOKEN, Token::good());
    fake.zone_with(ZONE, "active", "full", 3);
    let account = Account { way: Plain::new(fake.address()), fake };
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::QuotaExceeded, Done::Nothing));
    assert_eq!(error.host_message.as_deref(), Some("Record quota exceeded. (81045)"));
}

#[tokio::test]
async fn what_the_host_does_not_take_is_told_in_its_words() {
    let account = start();
    let before = account.content().await;
    for (owner, ttl, text, words) in [
        ("a.acme.test", 59, "x".to_owned(), "TTL"),
        ("a.acme.test", 86_401, "x".to_owned(), "TTL"),
        ("a.acme.test", 300, "x".repeat(5_000), "too long"),
    ] {
        let mut new = txt(owner, &text);
        new.ttl = ttl;
        let stopped = apply(&provider(&account, TOKEN), &[new]).await.unwrap_err();
        assert_eq!((&stopped.error.refusal, &stopped.done), (&Refusal::RecordRefused, &Done::Nothing));
        assert!(stopped.error.host_message.unwrap().contains(words));
    }
    // A name of another zone would be put below this one.
    let stopped = apply(&provider(&account, TOKEN), &[txt("x.other.test", "x")]).await.unwrap_err();
    assert_eq!((stopped.error.refusal, stopped.done), (Refusal::RecordRefused, Done::Nothing));
    assert_eq!(account.content().await, before);
}

#[tokio::test]
async fn a_busy_host_is_waited_for_a_little() {
    tokio::time::pause();
    let account = start();
    for after in 0..4 {
        account.fake.fault(after, Fault::RateLimited(3));
    }
    apply(&provider(&account, TOKEN), &ours()).await.unwrap();
    let account = start();
    account.fake.fault(3, Fault::RateLimited(300));
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::RateLimited { retry_after: Some(300) }, Done::Nothing));
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let lied = br#"{"success":false,"errors":[{"code":1,"message":"no"}],"result":null}"#.to_vec();
    for (fault, status) in [
        (Fault::Html(502), Some(502)),
        (Fault::Html(404), Some(404)),
        (Fault::Body(b"<html>".to_vec()), Some(200)),
        (Fault::Body(br#"{"success":true,"result":"#.to_vec()), Some(200)),
        (Fault::Body(lied), Some(200)),
    ] {
        for after in 0..4 {
            let account = start();
            account.fake.fault(after, fault.clone());
            let (error, done) = refused(&account, TOKEN).await;
            assert_eq!(error.refusal, Refusal::Unexpected { status }, "{fault:?} after {after}");
            let is_open = after == 3 && status != Some(404);
            assert_eq!(done, if is_open { Done::Unknown } else { Done::Nothing }, "{fault:?} after {after}");
        }
    }
    // An answer without what it should hold.
    let empty = br#"{"success":true,"errors":[],"messages":[],"result":{}}"#.to_vec();
    for (after, done) in [(2, Done::Nothing), (3, Done::Unknown)] {
        let account = start();
        account.fake.fault(after, Fault::Body(empty.clone()));
        let told = refused(&account, TOKEN).await;
        assert_eq!((told.0.refusal, told.1), (Refusal::Unexpected { status: None }, done));
    }
    let account = start();
    account.fake.fault(3, Fault::CutOff);
    let (error, done) = refused(&account, TOKEN).await;
    assert_eq!((error.refusal, done), (Refusal::Unreachable, Done::Unknown));
}
