//! DKIM keys beside those of a profile: what must not come, what blocks what, and what goes at once.

use crate::{
    lifecycle::Later,
    rotation::{keys, made_by_openssl, send, states, txt_records, written},
    support::{Api, text},
};
use countersign::Config;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

/// Adds a domain and has its records written; its path, when it is verified.
async fn text_domain(api: &Api, name: &str, profile: &str) -> String {
    api.zone("acme.test").await;
    let domain = api.post("/domains", &json!({"domain": name, "profile": profile})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    written(api, &path).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    path
}

/// Brings a key along: the status, and what was answered.
async fn import(api: &Api, path: &str, selector: &str, key: &str) -> (u16, Value) {
    let body = json!({"selector": selector, "private_key": key});
    let answer = api.request(Method::POST, &format!("{path}/keys")).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The field that is refused.
fn refused(answer: &(u16, Value)) -> &str {
    assert_eq!(answer.0, 422, "{:#}", answer.1);
    text(&answer.1["errors"][0], "field")
}

async fn of_state(api: &Api, path: &str, state: &str) -> Vec<Value> {
    let list = api.get(&format!("{path}/keys")).await;
    list["data"].as_array().unwrap().iter().filter(|key| key["state"] == state).cloned().collect()
}

async fn rotate(api: &Api, path: &str, compromised: bool) -> Value {
    api.post(&format!("{path}/keys/rotate"), &json!({"compromised": compromised})).await
}

/// How many hours a key stays, of the only one in this state.
fn hours(platform: &Later, key: &Value) -> i64 {
    let until: jiff::Timestamp = text(key, "retire_at").parse().unwrap();
    let now = countersign::instance::system_time()
        + jiff::SignedDuration::from_mins(platform.minutes.load(Ordering::Relaxed));
    until.duration_since(now).as_hours()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_brought_along_once() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let (private, public) = made_by_openssl(&platform.folder.0, RSA);
    let (other, _) = made_by_openssl(&platform.folder.0, RSA);
    let path = text_domain(api, "mail.acme.test", "two-txt").await;
    let (first, _) = send(api, "one@example.org").await;
    let zone = api.zone("acme.test").await;
    api.publish(&zone, "s1._domainkey.mail", "TXT", &format!("v=DKIM1; k=rsa; p={public}"), None).await;

    // It takes the place of the profile's key, and is known by its own selector there.
    assert_eq!(import(api, &path, "s1", &private).await.0, 201);
    api.until(&format!("{path}/keys"), |list| list["data"][1]["state"] == "draining").await;
    assert_eq!(keys(api, &path).await, [("s1".into(), "active".into()), (first.clone(), "draining".into())]);
    assert_eq!(txt_records(api, &path, "active").await, ["s1._domainkey.mail.acme.test"]);
    assert_eq!(send(api, "two@example.org").await.0, "s1");
    // Neither the selector nor the key comes again, whichever way.
    assert_eq!(refused(&import(api, &path, "S1", &private).await), "selector");
    assert_eq!(refused(&import(api, &path, "s1", &other).await), "selector");
    assert_eq!(refused(&import(api, &path, &first, &other).await), "selector");
    assert_eq!(refused(&import(api, &path, "s2", &private).await), "private_key");
    assert_eq!(states(&keys(api, &path).await), ["active", "draining"]);
    let domain = api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!(
        (text(&domain, "status"), text(&domain, "dkim_status")),
        ("verified", "verified"),
        "{domain:#}"
    );

    // A wrong key is discarded, and the right one comes at the same selector: nothing there may be removed then.
    assert_eq!(import(api, &path, "s3", &other).await.0, 201);
    let (status, answer) = import(api, &path, "s4", &made_by_openssl(&platform.folder.0, RSA).0).await;
    assert_eq!((status, text(&answer, "code")), (409, "KEYS_NOT_ROTATABLE"));
    api.post(&format!("{path}/keys/discard"), &json!({})).await;
    assert_eq!(txt_records(api, &path, "removable").await, ["s3._domainkey.mail.acme.test"]);
    assert_eq!(import(api, &path, "s3", &other).await.0, 201);
    assert!(txt_records(api, &path, "removable").await.is_empty());
    api.post(&format!("{path}/keys/discard"), &json!({})).await;
    assert_eq!(txt_records(api, &path, "removable").await, ["s3._domainkey.mail.acme.test"], "told once");

    // Nor beside an alias of the profile's own.
    let contact =
        api.post("/domains", &json!({"domain": "news.acme.test", "profile": "contact-domain"})).await;
    let path = format!("/domains/{}", text(&contact, "id"));
    assert_eq!(refused(&import(api, &path, "key1", &private).await), "selector");
    let selectors: Vec<_> = keys(api, &path).await.into_iter().map(|(selector, _)| selector).collect();
    assert_eq!(selectors, ["key1", "key2"]);
    platform.instance.stop().await;
}

/// A profile whose selector is more than its token.
const PREFIXED: &str = r#"{
  "providerId": "acme", "providerName": "Acme", "serviceId": "prefixed", "serviceName": "Prefixed", "version": 1,
  "records": [{"type": "TXT", "groupId": "dkim", "host": "x-%token1%._domainkey", "data": "v=DKIM1; k=rsa; p=%key1%",
    "ttl": 3600, "essential": "Always"}],
  "x-countersign": {"optionalGroups": [], "dkimKeys": 1}
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_without_a_place_takes_no_key() {
    let platform = Later::start(|config| {
        let profiles = config.data.join("profiles");
        std::fs::create_dir_all(&profiles).unwrap();
        std::fs::write(profiles.join("prefixed.json"), PREFIXED).unwrap();
        Config { profiles, ..config }
    })
    .await;
    let api = &platform.api;
    let path = text_domain(api, "mail.acme.test", "prefixed").await;
    let before = keys(api, &path).await;
    assert!(before[0].0.starts_with("x-"), "{before:?}");
    let (private, public) = made_by_openssl(&platform.folder.0, RSA);
    let zone = api.zone("acme.test").await;
    api.publish(&zone, "s1._domainkey.mail", "TXT", &format!("v=DKIM1; k=rsa; p={public}"), None).await;
    for selector in ["s1", "x-s1"] {
        let (status, answer) = import(api, &path, selector, &private).await;
        assert_eq!((status, text(&answer, "code")), (409, "KEYS_NOT_ROTATABLE"), "{answer:#}");
        assert!(text(&answer, "detail").contains(selector), "{answer:#}");
    }
    let (status, answer) = api.refused(&format!("{path}/keys/rotate"), &json!({})).await;
    assert_eq!((status.as_u16(), text(&answer, "code")), (409, "KEYS_NOT_ROTATABLE"));
    // Its key stays in its place: a week later the domain is what it was.
    platform.minutes.fetch_add(8 * 24 * 60, Ordering::Relaxed);
    platform.instance.app.replace_drained_keys().await.unwrap();
    let domain = api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!((text(&domain, "status"), text(&domain, "dkim_status")), ("verified", "verified"));
    assert_eq!(keys(api, &path).await, before);

    // What the platform publishes itself has the platform's keys.
    let sandbox = api.post("/sandbox/domain", &json!({})).await;
    let path = format!("/domains/{}", text(&sandbox, "id"));
    let (status, answer) = import(api, &path, "s1", &private).await;
    assert_eq!((status, text(&answer, "code")), (409, "KEYS_NOT_ROTATABLE"), "{answer:#}");
    platform.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_waits_blocks_no_alias() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let (private, _) = made_by_openssl(&platform.folder.0, RSA);
    assert_eq!(import(api, &path, "s1", &private).await.0, 201);
    assert_eq!(states(&keys(api, &path).await), ["active", "standby", "standby", "standby"]);
    rotate(api, &path, false).await;
    let rotated = ["draining", "active", "standby", "standby"];
    assert_eq!(states(&keys(api, &path).await), rotated);
    // A check takes up what waits, and rotates nothing else.
    api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!(states(&keys(api, &path).await), rotated);
    rotate(api, &path, true).await;
    api.until(&format!("{path}/keys"), |list| list["data"][1]["state"] == "standby").await;
    assert_eq!(states(&keys(api, &path).await), ["standby", "standby", "active", "standby"]);
    platform.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compromised_goes_with_the_turn_and_not_before() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    rotate(api, &path, false).await;
    rotate(api, &path, false).await;
    assert_eq!(states(&keys(api, &path).await), ["draining", "draining", "active"]);

    // There is none to go on with; those that signed before go, which may be the one that leaked, and new ones come.
    let told = json!({"compromised": true});
    let (status, answer) = api.refused(&format!("{path}/keys/rotate"), &told).await;
    assert_eq!((status.as_u16(), text(&answer, "code")), (409, "KEYS_NOT_ROTATABLE"));
    assert!(text(&answer, "detail").contains("go now"), "{answer:#}");
    let replaced = ["standby", "standby", "active"];
    let is = |states: [&'static str; 3]| {
        move |list: &Value| (0..3).all(|place| list["data"][place]["state"] == states[place])
    };
    api.until(&format!("{path}/keys"), is(replaced)).await;
    // Nothing was seen of those yet, and what is refused leaves no trace: the key that signs drains as ever, when its turn comes.
    let (status, _) = api.refused(&format!("{path}/keys/rotate"), &told).await;
    assert_eq!(status.as_u16(), 409);
    let right = |domain: &Value| {
        domain["records"].as_array().unwrap().iter().all(|record| record["status"] == "verified")
    };
    platform.minutes.fetch_add(15, Ordering::Relaxed);
    api.post(&format!("{path}/verify"), &json!({})).await;
    api.until(&path, right).await;
    rotate(api, &path, false).await;
    let draining = of_state(api, &path, "draining").await;
    assert_eq!((draining.len(), hours(&platform, &draining[0])), (1, 7 * 24 - 1));
    // That of yesterday goes with the one of today.
    rotate(api, &path, true).await;
    api.until(&format!("{path}/keys"), is(["standby", "active", "standby"])).await;
    let log = api.get("/audit?limit=100").await;
    let of = |action: &str| {
        let lines = log["data"].as_array().unwrap().iter().filter(|line| line["action"] == action);
        lines.map(|line| line["data"]["compromised"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("domain.key_rotated"), [true, false, false, false].map(|said| json!(said)));
    assert_eq!(of("domain.keys_compromised").len(), 1);
    platform.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compromised_waits_for_the_customer_and_ends_with_what_was_prepared() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let path = text_domain(api, "mail.acme.test", "two-txt").await;
    let next_signs = async || {
        let new = txt_records(api, &path, "standby").await.remove(0);
        written(api, &path).await;
        let is_new =
            |list: &Value| list["data"][0]["txt_record"] == *new && list["data"][0]["state"] == "active";
        api.until(&format!("{path}/keys"), is_new).await;
    };
    rotate(api, &path, true).await;
    assert_eq!(of_state(api, &path, "active").await[0]["retire_at"], Value::Null, "it signs on");
    api.post(&format!("{path}/keys/discard"), &json!({})).await;
    rotate(api, &path, false).await;
    next_signs().await;
    let draining = of_state(api, &path, "draining").await;
    assert_eq!(hours(&platform, &draining[0]), 7 * 24 - 1);

    // Said while the new one waits: the one before that goes now, the one that signs when the new one does.
    let former = txt_records(api, &path, "draining").await;
    rotate(api, &path, false).await;
    rotate(api, &path, true).await;
    let removable = |names: Vec<String>| {
        move |list: &Value| {
            let gone = list["data"].as_array().unwrap().iter().filter(|key| key["state"] == "removable");
            let gone: Vec<_> = gone.map(|key| text(key, "txt_record").to_owned()).collect();
            names.iter().all(|name| gone.contains(name))
        }
    };
    api.until(&format!("{path}/keys"), removable(former)).await;
    let signs = txt_records(api, &path, "active").await;
    send(api, "one@example.org").await;
    next_signs().await;
    api.until(&format!("{path}/keys"), removable(signs)).await;
    assert!(of_state(api, &path, "draining").await.is_empty());
    let id = path.trim_start_matches("/domains/");
    let rotations: Vec<_> =
        platform.events(id).await.into_iter().filter(|(kind, _)| kind == "domain.key_rotated").collect();
    let said: Vec<_> = rotations.iter().map(|(_, data)| data["compromised"].clone()).collect();
    assert_eq!(said, [json!(false), json!(true)]);
    // Whoever's check saw the record, the platform took the key up.
    let log = api.get("/audit?limit=100").await;
    let lines = log["data"].as_array().unwrap().iter().filter(|line| line["action"] == "domain.key_rotated");
    assert!(
        lines.clone().count() == 2 && lines.clone().all(|line| line["actor"]["type"] == "system"),
        "{log:#}"
    );
    platform.instance.stop().await;
}
