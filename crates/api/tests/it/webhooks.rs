//! Webhooks as callers make and change them. What is delivered is tested over real sockets, in `countersign`.

use crate::platform::{Platform, settings};
use app::Settings;
use serde_json::json;

async fn make(platform: &Platform, url: &str) -> crate::platform::Answer {
    platform.call("POST", "/api/v1/webhooks", &json!({ "url": url }).to_string()).await
}

#[tokio::test]
async fn webhooks_are_on_the_public_internet() {
    let platform = Platform::start_with(Settings { private_webhook_targets: false, ..settings() }).await;
    let good = make(&platform, "https://example.com/x").await;
    assert_eq!(good.status, 201, "{}", good.text);
    let path = format!("/api/v1/webhooks/{}", good.json()["id"].as_str().unwrap());
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://user:pass@example.com/",
        "not an address",
    ] {
        for answer in [
            make(&platform, url).await,
            platform.call("PATCH", &path, &json!({ "url": url }).to_string()).await,
        ] {
            answer.assert_problem(422, "WEBHOOK_TARGET_REFUSED");
            assert_eq!(answer.json()["errors"][0]["field"], "url", "{url}");
        }
    }
    assert_eq!(platform.get(&path).await.json()["url"], "https://example.com/x");
}

#[tokio::test]
async fn a_webhook_is_made_changed_and_deleted() {
    let platform = Platform::start().await;
    let body =
        json!({"url": "http://127.0.0.1:1/x", "event_types": ["domain.*"], "description": " for billing "});
    let made = platform.call("POST", "/api/v1/webhooks", &body.to_string()).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("cache-control"), "no-store");
    let hook = made.json();
    let secret = hook["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let path = made.header("location").to_owned();
    let change = async |body: serde_json::Value| platform.call("PATCH", &path, &body.to_string()).await;
    let changed = change(json!({"event_types": ["email.bounced"], "enabled": false})).await.json();
    assert_eq!((&changed["description"], &changed["status"]), (&json!("for billing"), &json!("disabled")));
    assert_eq!(changed["event_types"], json!(["email.bounced"]));
    assert_eq!(change(json!({"enabled": true})).await.json()["status"], "enabled");
    for (body, field) in [
        (json!({"event_types": ["no.such"]}), "event_types"),
        (json!({"description": "x".repeat(201)}), "description"),
        (json!({"secret": "mine"}), "secret"),
    ] {
        let refused = change(body).await;
        refused.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    let rotated = platform.call("POST", &format!("{path}/rotate"), "{\"overlap_seconds\":60}").await.json();
    assert_ne!(rotated["secret"], hook["secret"]);
    assert!(rotated["old_secret_until"].is_string());
    let shown = platform.get(&path).await;
    let listed = platform.get("/api/v1/webhooks").await;
    for answer in [&shown, &listed] {
        assert!(!answer.text.contains(secret) && !answer.text.contains("whsec_"), "{}", answer.text);
    }
    let tested = platform.call("POST", &format!("{path}/test"), "").await.json();
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(false), &json!(null)));
    assert!(!tested["error"].as_str().unwrap().is_empty());
    assert_eq!(platform.call("DELETE", &path, "").await.status, 200);
    platform.get(&path).await.assert_problem(404, "WEBHOOK_NOT_FOUND");
    assert_eq!(platform.get("/api/v1/webhooks").await.json()["data"], json!([]));
}
