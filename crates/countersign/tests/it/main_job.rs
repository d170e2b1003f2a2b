//! From added to proven in the inbox.

use crate::support::{Api, Folder, Platform, codes, config, text};
use app::ports::Clock;
use countersign::Instance;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

#[tokio::test]
async fn a_domain_goes_from_added_to_proven_in_the_inbox() {
    let platform = Platform::start().await;
    let api = &platform.api;
    let domain = api.post("/domains", &json!({"domain": "Mail.Acme.Test."})).await;
    assert_eq!((text(&domain, "domain"), text(&domain, "status")), ("mail.acme.test", "pending"));
    assert_eq!(domain["can_send"], false);
    assert_eq!(domain["dkim_tokens"].as_array().unwrap().len(), 3);
    let path = format!("/domains/{}", text(&domain, "id"));
    let zone = api.zone("acme.test").await;

    // The full name in a relative host field: found, and said how to mend.
    let first = &domain["records"][0];
    let wrong = api.publish(&zone, text(first, "name"), "CNAME", text(first, "value"), None).await;
    let checked = api.post(&format!("{path}/verify"), &json!({})).await;
    let codes_found = codes(&checked);
    assert!(codes_found.contains(&"record_in_doubled_zone".to_owned()), "{codes_found:?}");
    let finding = checked["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["code"] == "record_in_doubled_zone")
        .unwrap();
    assert!(
        finding["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|step| step.as_str().unwrap().contains(text(first, "host")))
    );
    assert_eq!(finding["record_id"], first["id"]);
    assert_eq!(checked["dns_host"]["id"], "playground");
    api.delete(&format!("/playground/records/{wrong}")).await;

    api.publish_all(&zone, &domain).await;
    let verified = api.until(&path, |domain| domain["status"] == "verified").await;
    assert!(verified["verified_at"].is_string());
    assert_eq!(verified["can_send"], true);
    assert!(verified["propagation"]["authoritative_since"].is_string(), "{:#}", verified["propagation"]);

    let message = json!({
        "from": "Acme <hello@mail.acme.test>", "to": ["Someone <someone@example.org>"],
        "subject": "Grüße", "text": "It works.", "html": "<p>It works.</p>",
    });
    let all_verified =
        |d: &serde_json::Value| d["records"].as_array().unwrap().iter().all(|r| r["status"] == "verified");
    api.until(&path, all_verified).await;
    let (sent, received) = api.send_and_receive(&message).await;
    assert_eq!(sent["recipients"][0]["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(received["tls"], true, "handed over by STARTTLS");
    let authentication = &received["authentication"];
    assert_eq!(authentication["spf"]["result"], "pass");
    assert_eq!(authentication["spf"]["domain"], "bounce.mail.acme.test");
    assert_eq!(authentication["dkim"][0]["result"], "pass");
    assert_eq!(authentication["dkim"][0]["domain"], "mail.acme.test");
    assert_eq!(authentication["dmarc"]["result"], "pass");
    assert_eq!(
        (&authentication["spf"]["aligned"], &authentication["dkim"][0]["aligned"]),
        (&json!(true), &json!(true))
    );
    platform.stop().await;
}

#[tokio::test]
async fn every_profile_reaches_verified() {
    let platform = Platform::start().await;
    let profiles = platform.api.get("/profiles").await;
    let names: Vec<String> =
        profiles["data"].as_array().unwrap().iter().map(|profile| text(profile, "name").to_owned()).collect();
    assert_eq!(names, ["three-cname", "two-txt", "five-records", "aggregate", "contact-domain", "delegated"]);
    for name in names {
        let verified =
            platform.api.verified(&format!("mail.{name}.test"), &format!("{name}.test"), &name).await;
        assert_eq!(verified["dkim_status"], "verified", "{name}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_domain_without_its_records_fails_after_72_hours_and_can_still_recover() {
    let folder = Folder::new();
    let hours = Arc::new(AtomicI64::new(0));
    let shift = Arc::clone(&hours);
    let clock = Clock::new(move || {
        let later = jiff::SignedDuration::from_hours(shift.load(Ordering::Relaxed));
        countersign::instance::system_time().checked_add(later).unwrap()
    });
    let instance = Instance::start_at(&config(&folder), clock).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    let domain = api.post("/domains", &json!({"domain": "mail.acme.test"})).await;
    let path = format!("/domains/{}", text(&domain, "id"));
    api.until(&path, |domain| !domain["last_checked_at"].is_null()).await;
    hours.store(71, Ordering::Relaxed);
    let checked = api.post(&format!("{path}/verify"), &json!({})).await;
    assert_eq!(text(&checked, "status"), "pending");
    hours.store(73, Ordering::Relaxed);
    instance.app.wake.verify.notify_one();
    let failed = api.until(&path, |domain| domain["status"] == "failed").await;
    assert_eq!(failed["can_send"], false);
    api.post(&format!("/playground/domains/{}/publish", text(&domain, "id")), &json!({})).await;
    api.until(&path, |domain| domain["status"] == "verified").await;
    instance.stop().await;
}
