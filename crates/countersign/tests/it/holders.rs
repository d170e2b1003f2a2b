//! A name has one holder over all organisations, and changes hands by a fresh proof in DNS only.

use crate::{
    lifecycle::Later,
    support::{Api, text},
};
use app::access::Caller;
use model::OrgId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::Organisation;

const NAME: &str = "mail.acme.test";

/// Another organisation on the same platform.
struct Other {
    id: OrgId,
    api: Api,
}

async fn other(platform: &Later, number: u128) -> Other {
    let id = OrgId::from_parts(1_750_000_000_001, number);
    let store = platform.store().await;
    let new = Organisation { id, name: format!("Other {number}"), created_at: jiff_now() };
    store.create_organisation(&new, &[]).await.unwrap();
    store.close().await;
    let key = platform.instance.app.create_api_key("other", &Caller::owner(id)).await.unwrap();
    Other { id, api: Api::new(platform.instance.http, &key) }
}

fn jiff_now() -> model::Timestamp {
    countersign::instance::system_time()
}

fn path(domain: &Value) -> String {
    format!("/domains/{}", text(domain, "id"))
}

/// Publishes the required records of a domain. All profiles here have names of their own for each organisation.
async fn publish_required(platform: &Later, domain: &Value) {
    let zone = platform.api.zone("acme.test").await;
    for record in domain["records"].as_array().unwrap().iter().filter(|record| record["required"] == true) {
        let (host, kind, value) = (text(record, "host"), text(record, "type"), text(record, "value"));
        platform.api.publish(&zone, host, kind, value, None).await;
    }
}

/// Adds the domain and publishes its required records; the domain waits for its name then.
async fn waiting(platform: &Later, other: &Other) -> Value {
    let domain = other.api.post("/domains", &json!({"domain": NAME})).await;
    publish_required(platform, &domain).await;
    let held = |readiness: &Value| readiness["obstacles"][0]["code"] == "DOMAIN_HELD_ELSEWHERE";
    other.api.until(&format!("{}/readiness", path(&domain)), held).await;
    other.api.get(&path(&domain)).await
}

/// Moves the time on until a look at the claim finds this.
async fn look(platform: &Later, api: &Api, path: &str, found: &str) -> Value {
    for _ in 0..20 {
        let before = api.get(path).await["claim"]["looked_at"].clone();
        platform.minutes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        platform.instance.app.wake.claims.notify_one();
        let domain = api.until(path, |domain| domain["claim"]["looked_at"] != before).await;
        if domain["claim"]["found"] == found {
            return domain;
        }
    }
    panic!("nobody found {found}: {:#}", api.get(path).await["claim"]);
}

async fn publish_claim(platform: &Later, kind: &str, host: &str, value: &str) -> String {
    let zone = platform.api.zone("acme.test").await;
    platform.api.publish(&zone, host, kind, value, None).await
}

fn message() -> Value {
    json!({"from": format!("a@{NAME}"), "to": ["b@example.org"], "subject": "Hi", "text": "Hi"})
}

#[tokio::test]
async fn a_name_changes_hands_by_a_fresh_proof_only() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let ours = api.verified(NAME, "acme.test", "three-cname").await;
    api.confirmed_contact(&json!({"address": "dns@acme.example", "domain_id": ours["id"]})).await;
    let rival = other(&platform, 7).await;

    // Who has not shown that they write the zone learns nothing, and starts nothing.
    let added = rival.api.post("/domains", &json!({"domain": NAME})).await;
    let (status, refused) = rival.api.refused(&format!("{}/claim", path(&added)), &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (422, "DOMAIN_PENDING_VERIFICATION"));
    let readiness = rival.api.get(&format!("{}/readiness", path(&added))).await;
    assert_eq!(readiness["obstacles"].as_array().unwrap().len(), 1);
    assert!(!readiness.to_string().contains("HELD"), "{readiness:#}");
    rival.api.delete(&path(&added)).await;

    let theirs = waiting(&platform, &rival).await;
    let their_path = path(&theirs);
    assert_eq!((text(&theirs, "status"), &theirs["can_send"]), ("pending", &json!(false)));
    let (status, refused) = rival.api.refused("/emails", &message()).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "DOMAIN_HELD_ELSEWHERE"));
    let seen = rival.api.get(&format!("{their_path}/readiness")).await.to_string() + &refused.to_string();
    assert!(!seen.contains(text(&ours, "id")) && !seen.contains("Development"), "{seen}");

    let claimed = rival.api.post(&format!("{their_path}/claim"), &json!({})).await;
    let claim = claimed["claim"].clone();
    assert_eq!((text(&claim, "status"), text(&claim, "type")), ("open", "TXT"));
    assert_eq!(
        (text(&claim, "name"), text(&claim, "host")),
        ("_countersign-claim.mail.acme.test", "_countersign-claim.mail")
    );
    let again = rival.api.post(&format!("{their_path}/claim"), &json!({})).await;
    assert_eq!(again["claim"]["value"], claim["value"], "the one that is open");
    let (host, value) = (text(&claim, "host").to_owned(), text(&claim, "value").to_owned());

    // Nothing but the record itself.
    for (kind, at, value, found) in [
        ("CNAME", host.as_str(), "elsewhere.acme.test", "alias"),
        ("TXT", "*.mail", value.as_str(), "wildcard"),
        ("TXT", host.as_str(), "countersign-claim=guessed", "other_text"),
    ] {
        let record = publish_claim(&platform, kind, at, value).await;
        let domain = look(&platform, &rival.api, &their_path, found).await;
        assert_eq!(text(&domain, "status"), "pending");
        api.delete(&format!("/playground/records/{record}")).await;
    }
    // Seen once, gone, and seen again: the minutes count anew.
    let record = publish_claim(&platform, "TXT", &host, &value).await;
    let domain = look(&platform, &rival.api, &their_path, "seen").await;
    assert_eq!(text(&domain, "status"), "pending");
    api.delete(&format!("/playground/records/{record}")).await;
    platform.minutes.fetch_add(11, std::sync::atomic::Ordering::Relaxed);
    let domain = look(&platform, &rival.api, &their_path, "missing").await;
    assert_eq!(domain["claim"]["first_seen_at"], Value::Null);
    publish_claim(&platform, "TXT", &host, &value).await;
    look(&platform, &rival.api, &their_path, "seen").await;
    assert_eq!(text(&api.get(&path(&ours)).await, "status"), "verified");

    platform.minutes.fetch_add(11, std::sync::atomic::Ordering::Relaxed);
    platform.instance.app.wake.claims.notify_one();
    let domain = rival.api.until(&their_path, |domain| domain["status"] == "verified").await;
    assert_eq!((&domain["claim"], &domain["can_send"]), (&Value::Null, &json!(true)));
    rival.api.post("/emails", &message()).await;
    let (status, refused) = rival.api.refused(&format!("{their_path}/claim"), &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "NOTHING_TO_CLAIM"));

    // The former holder sends nothing more, and is told why.
    let lost = api.get(&path(&ours)).await;
    assert_eq!((text(&lost, "status"), &lost["can_send"]), ("disabled", &json!(false)));
    let (status, refused) = api.refused("/emails", &message()).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "DOMAIN_HELD_ELSEWHERE"));
    let (status, refused) = api.refused(&format!("{}/enable", path(&ours)), &json!({})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "DOMAIN_HELD_ELSEWHERE"));
    let events = platform.events(text(&ours, "id")).await;
    let types: Vec<_> = events.iter().map(|(event_type, _)| event_type.as_str()).collect();
    assert_eq!(types, ["domain.created", "domain.verified", "domain.contested", "domain.disabled"]);
    assert_eq!(events[3].1["reason"], "claimed");
    let told: Vec<_> = platform.events_of(rival.id, text(&theirs, "id")).await;
    let mut types: Vec<_> = told.iter().map(|(event_type, _)| event_type.as_str()).collect();
    // The clock stands still between the last two: either may have the smaller id.
    types[2..].sort_unstable();
    assert_eq!(types, ["domain.created", "domain.claim_started", "domain.claimed", "domain.verified"]);
    for (_, data) in events.iter().chain(&told) {
        let data = data.to_string();
        assert!(!data.contains("org_") && !data.contains("countersign-claim"), "{data}");
    }
    // A delivery whose lease the clock jumped over is made again.
    let has = |list: &Value, subject: &str| {
        list["data"].as_array().unwrap().iter().any(|mail| text(mail, "subject") == subject)
    };
    api.until("/sandbox/messages?recipient=dns@acme.example", |list| {
        has(list, "mail.acme.test: another organisation asks for this domain")
            && has(list, "mail.acme.test belongs to another organisation now")
    })
    .await;

    // Added again it has other records: what is left over of the old ones verifies nothing, and claims nothing.
    api.delete(&path(&ours)).await;
    let again = api.post("/domains", &json!({"domain": NAME})).await;
    let checked = api.post(&format!("{}/verify", path(&again)), &json!({})).await;
    assert_eq!((text(&checked, "status"), text(&checked, "dkim_status")), ("pending", "missing"));
    let (status, _) = api.refused(&format!("{}/claim", path(&again)), &json!({})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    // With its new records it can be claimed back, by a new proof: that of the other is none.
    publish_required(&platform, &again).await;
    api.until(&format!("{}/readiness", path(&again)), |readiness| {
        readiness["obstacles"][0]["code"] == "DOMAIN_HELD_ELSEWHERE"
    })
    .await;
    let back = api.post(&format!("{}/claim", path(&again)), &json!({})).await;
    assert_ne!(text(&back["claim"], "value"), value);
    let looked = api.until(&path(&again), |domain| domain["claim"]["found"].is_string()).await;
    assert_eq!(text(&looked["claim"], "found"), "other_text");
    platform.instance.stop().await;
}

#[tokio::test]
async fn left_over_aliases_of_a_former_customer_verify_nobody() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let rival = other(&platform, 7).await;
    for (name, profile) in [("one.acme.test", "three-cname"), ("two.acme.test", "contact-domain")] {
        let ours = api.verified(name, "acme.test", profile).await;
        api.delete(&path(&ours)).await;
        // Everything that was published is still there.
        let theirs = rival.api.post("/domains", &json!({"domain": name, "profile": profile})).await;
        let checked = rival.api.post(&format!("{}/verify", path(&theirs)), &json!({})).await;
        assert_eq!(text(&checked, "status"), "pending", "{name}");
        assert_ne!(text(&checked, "dkim_status"), "verified", "{name}");
        let again = api.post("/domains", &json!({"domain": name, "profile": profile})).await;
        let checked = api.post(&format!("{}/verify", path(&again)), &json!({})).await;
        assert_eq!(text(&checked, "status"), "pending", "nor those who published them: {name}");
    }
    platform.instance.stop().await;
}

#[tokio::test]
async fn a_name_that_comes_free_goes_to_who_waits_and_a_claim_ends_with_its_time() {
    let platform = Later::start(|config| config).await;
    let api = &platform.api;
    let ours = api.verified(NAME, "acme.test", "three-cname").await;
    let rivals = [other(&platform, 7).await, other(&platform, 8).await];
    let mut domains = Vec::new();
    for rival in &rivals {
        let domain = waiting(&platform, rival).await;
        domains.push(rival.api.post(&format!("{}/claim", path(&domain)), &json!({})).await);
    }
    let values: Vec<_> = domains.iter().map(|domain| text(&domain["claim"], "value").to_owned()).collect();
    assert_ne!(values[0], values[1]);

    // A week later the record proves nothing any more.
    platform.minutes.fetch_add(8 * 24 * 60, std::sync::atomic::Ordering::Relaxed);
    platform.instance.app.wake.claims.notify_one();
    let over = |domain: &Value| domain["claim"]["status"] == "expired";
    rivals[0].api.until(&path(&domains[0]), over).await;
    rivals[1].api.until(&path(&domains[1]), over).await;
    publish_claim(&platform, "TXT", "_countersign-claim.mail", &values[0]).await;
    let renewed = rivals[0].api.post(&format!("{}/claim", path(&domains[0])), &json!({})).await;
    assert_ne!(text(&renewed["claim"], "value"), values[0]);
    let looked = rivals[0].api.until(&path(&domains[0]), |domain| domain["claim"]["found"].is_string()).await;
    assert_eq!(text(&looked["claim"], "found"), "other_text");

    // Two claim it, and both publish: it is one's, and the other's proof is over.
    let second = rivals[1].api.post(&format!("{}/claim", path(&domains[1])), &json!({})).await;
    for domain in [&renewed, &second] {
        publish_claim(&platform, "TXT", "_countersign-claim.mail", text(&domain["claim"], "value")).await;
    }
    for minutes in [6, 11] {
        platform.minutes.fetch_add(minutes, std::sync::atomic::Ordering::Relaxed);
        platform.instance.app.wake.claims.notify_one();
        if minutes == 6 {
            for (rival, domain) in rivals.iter().zip(&domains) {
                rival.api.until(&path(domain), |domain| domain["claim"]["found"] == "seen").await;
            }
        }
    }
    let mut verified = Vec::new();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while verified.is_empty() {
        for (index, (rival, domain)) in rivals.iter().zip(&domains).enumerate() {
            if rival.api.get(&path(domain)).await["status"] == "verified" {
                verified.push(index);
            }
        }
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(verified.len(), 1);
    let (winner, loser) = (verified[0], 1 - verified[0]);
    assert_eq!(text(&api.get(&path(&ours)).await, "status"), "disabled");
    let lost = rivals[loser].api.get(&path(&domains[loser])).await;
    assert_eq!((text(&lost, "status"), text(&lost["claim"], "status")), ("pending", "superseded"));

    // Given up by its holder, it goes to who waits, without a claim.
    let gone = rivals[winner].api.request(Method::DELETE, &path(&domains[winner])).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    let free = rivals[loser].api.until(&path(&domains[loser]), |domain| domain["status"] == "verified").await;
    assert_eq!(free["claim"], Value::Null);
    platform.instance.stop().await;
}
