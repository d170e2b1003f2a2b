//! DKIM keys are rotated in place.

use crate::{
    independent_verifier::dkimpy,
    lifecycle::Later,
    support::{Api, text},
};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The keys of a domain: selector and state.
async fn keys(api: &Api, path: &str) -> Vec<(String, String)> {
    let list = api.get(&format!("{path}/keys")).await;
    let keys = list["data"].as_array().unwrap().iter();
    keys.map(|key| (text(key, "selector").to_owned(), text(key, "state").to_owned())).collect()
}

fn states(keys: &[(String, String)]) -> Vec<&str> {
    keys.iter().map(|(_, state)| state.as_str()).collect()
}

/// Sends a message; the selector that it is signed with, and its octets.
async fn send(api: &Api, to: &str) -> (String, Vec<u8>) {
    let message = json!({"from": "a@mail.acme.test", "to": [to], "subject": "Hi", "text": "It works"});
    let (_, received) = api.send_and_receive(&message).await;
    let verdict = received["authentication"].to_string();
    assert!(verdict.contains("pass") && !verdict.contains("fail"), "{verdict}");
    let raw = api.raw(text(&received, "id")).await;
    let head = String::from_utf8_lossy(&raw).replace("\r\n\t", "").replace("\r\n ", "");
    let signature = head.lines().find(|line| line.starts_with("DKIM-Signature:")).unwrap().to_owned();
    let selector = signature.split(';').find_map(|tag| tag.trim().strip_prefix("s=")).unwrap().to_owned();
    (selector, raw)
}

/// Somebody else's verifier over our DNS, where there is one.
fn accepted(platform: &Later, raw: &[u8]) {
    if let Some(said) = dkimpy(platform.instance.dns.port(), raw) {
        assert!(said.starts_with("verified\n"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_switches_and_the_customers_dns_is_not_touched() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    let rotate = format!("{path}/keys/rotate");
    let zone = api.zone("acme.test").await;
    let published = |zone: &Value| zone["records"].clone();
    let before = published(&api.get(&format!("/playground/zones/{zone}")).await);
    let first = keys(api, &path).await;
    assert_eq!(states(&first), ["active", "standby", "standby"]);
    let (selector, old_mail) = send(api, "one@example.org").await;
    assert_eq!(selector, first[0].0);
    accepted(&platform, &old_mail);

    api.post(&rotate, &json!({})).await;
    assert_eq!(states(&keys(api, &path).await), ["draining", "active", "standby"]);
    let (selector, mail) = send(api, "two@example.org").await;
    assert_eq!(selector, first[1].0);
    accepted(&platform, &mail);
    accepted(&platform, &old_mail);
    let checked = api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!((text(&checked, "status"), text(&checked, "dkim_status")), ("verified", "verified"));

    // A week later a new key is behind the selector of the first.
    platform.minutes.fetch_add(7 * 24 * 60 + 1, Ordering::Relaxed);
    platform.instance.app.wake.key_pool.notify_one();
    let is_new = |list: &Value| list["data"][0]["state"] == "standby";
    api.until(&format!("{path}/keys"), is_new).await;
    let after = keys(api, &path).await;
    assert_eq!(
        after.iter().map(|(selector, _)| selector).collect::<Vec<_>>(),
        first.iter().map(|(selector, _)| selector).collect::<Vec<_>>()
    );
    // From here on the clock is ahead of that of somebody else's verifier: ours judges what arrives.
    let (selector, _) = send(api, "three@example.org").await;
    assert_eq!(selector, first[1].0);
    // The third has its turn, then the new one, once it was seen.
    api.post(&rotate, &json!({})).await;
    platform.minutes.fetch_add(15, Ordering::Relaxed);
    let right = |domain: &Value| {
        domain["records"].as_array().unwrap().iter().all(|record| record["status"] == "verified")
    };
    api.post(&format!("{path}/verify"), &json!({})).await;
    let domain = api.until(&path, right).await;
    assert_eq!((text(&domain, "status"), text(&domain, "health")), ("verified", "ok"));
    api.post(&rotate, &json!({})).await;
    let (selector, _) = send(api, "four@example.org").await;
    assert_eq!(selector, first[0].0);
    // All others have just signed.
    let (status, refused) = api.refused(&rotate, &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "KEYS_NOT_ROTATABLE"));
    assert!(text(&refused, "detail").contains("until"), "{refused:#}");

    assert_eq!(published(&api.get(&format!("/playground/zones/{zone}")).await), before);
    let rotations = platform.event_types(text(&domain, "id")).await;
    assert_eq!(rotations.iter().filter(|event_type| *event_type == "domain.key_rotated").count(), 3);
    let log = api.get("/audit?limit=100").await;
    let lines = log["data"].as_array().unwrap().iter().filter(|line| line["action"] == "domain.key_rotated");
    assert_eq!(lines.count(), 3);
    platform.instance.stop().await;
}

#[tokio::test]
async fn keys_that_the_customer_publishes_are_not_rotated_in_place() {
    let platform = Later::start(|config| config).await;
    let domain = platform.api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let path = format!("/domains/{}/keys/rotate", text(&domain, "id"));
    let (status, refused) = platform.api.refused(&path, &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "KEYS_NOT_ROTATABLE"));
    assert!(text(&refused, "detail").contains("TXT"), "{refused:#}");
    platform.instance.stop().await;
}
