//! "Why can't I send?": what is shown is what sending is refused for.

use crate::support::Api;
use crate::support::{Folder, config, text};
use countersign::{Config, Instance};
use serde_json::{Value, json};

/// What the readiness says, and what sending does; they must agree.
pub async fn codes_of(api: &Api, domain: &Value) -> Vec<String> {
    let path = format!("/domains/{}", text(domain, "id"));
    let readiness = api.get(&format!("{path}/readiness")).await;
    let obstacles = readiness["obstacles"].as_array().unwrap();
    for obstacle in obstacles {
        for field in ["code", "reason", "fix", "docs"] {
            assert!(!text(obstacle, field).is_empty(), "{obstacle:#}");
        }
        let docs = api.plain(text(obstacle, "docs")).await;
        assert!(docs.status().is_success(), "{obstacle:#}");
    }
    let codes: Vec<String> = obstacles.iter().map(|obstacle| text(obstacle, "code").to_owned()).collect();
    assert_eq!(readiness["can_send"], codes.is_empty());
    assert_eq!(api.get(&path).await["can_send"], codes.is_empty());
    let from = format!("a@{}", text(domain, "domain"));
    let message = json!({"from": from, "to": ["b@example.org"], "subject": "Hi", "text": "Hi"});
    match codes.first() {
        Some(code) => {
            let (_, refused) = api.refused("/emails", &message).await;
            assert_eq!(text(&refused, "code"), code);
        }
        None => drop(api.post("/emails", &message).await),
    }
    codes
}

#[tokio::test]
async fn sending_is_refused_for_exactly_what_readiness_says() {
    let folder = Folder::new();
    let instance = Instance::start(&Config { warmup_daily_limit: 1, ..config(&folder) }).await.unwrap();
    let api = &Api::new(instance.http, &instance.api_key);
    let pending = api.post("/domains", &json!({"domain": "new.acme.test"})).await;
    assert_eq!(codes_of(api, &pending).await, ["DOMAIN_PENDING_VERIFICATION"]);
    let verified = api.verified("mail.acme.test", "acme.test", "three-cname").await;
    let path = format!("/domains/{}", text(&verified, "id"));
    assert!(codes_of(api, &verified).await.is_empty());
    assert_eq!(codes_of(api, &verified).await, ["WARMUP_LIMIT_EXCEEDED"]);

    let disabled = api.post(&format!("{path}/disable"), &json!({"reason": "under review"})).await;
    assert_eq!((text(&disabled, "status"), &disabled["can_send"]), ("disabled", &json!(false)));
    assert_eq!(codes_of(api, &verified).await, ["DOMAIN_DISABLED", "WARMUP_LIMIT_EXCEEDED"]);
    let readiness = api.get(&format!("{path}/readiness")).await;
    assert!(text(&readiness["obstacles"][0], "reason").contains("under review"));
    let long = json!({"reason": "x".repeat(201)});
    assert_eq!(text(&api.refused(&format!("{path}/disable"), &long).await.1, "code"), "INVALID_REQUEST");
    // Its records are right: it is verified in the same answer. Again changes nothing.
    for _ in 0..2 {
        let enabled = api.post(&format!("{path}/enable"), &json!({})).await;
        assert_eq!(text(&enabled, "status"), "verified");
    }
    assert_eq!(codes_of(api, &verified).await, ["WARMUP_LIMIT_EXCEEDED"]);
    api.request(reqwest::Method::PATCH, &path).json(&json!({"warmup_days": 0})).send().await.unwrap();
    assert!(codes_of(api, &verified).await.is_empty());
    instance.stop().await;
}
