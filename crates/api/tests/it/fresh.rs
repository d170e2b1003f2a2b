//! Answers that are given again are right: whatever changes, by whomever, the next answer has it.

use crate::platform::Platform;
use app::store::{Store, StoreOptions};
use model::{DomainId, DomainStatus, Timestamp};
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn what_somebody_else_changes_is_seen_at_once() {
    let platform = Platform::start().await;
    let id = platform.add_domain("one.acme.test").await;
    let path = format!("/api/v1/domains/{id}");
    let other = Store::open(&platform.path, StoreOptions::default()).await.unwrap();
    let (org, id) = (platform.org_id, id.parse::<DomainId>().unwrap());
    for _ in 0..2 {
        for status in [DomainStatus::Disabled, DomainStatus::Pending, DomainStatus::Failed] {
            assert_ne!(platform.get(&path).await.json()["status"], status.as_str());
            other.set_domain_status(org, id, status, None, &[]).await.unwrap();
            assert_eq!(platform.get(&path).await.json()["status"], status.as_str());
            let listed = platform.get("/api/v1/domains").await.json();
            assert_eq!(listed["data"][0]["status"], status.as_str());
        }
    }
    other.delete_domain(org, id, Timestamp::UNIX_EPOCH, &[]).await.unwrap();
    platform.get(&path).await.assert_problem(404, "DOMAIN_NOT_FOUND");
    assert_eq!(platform.get("/api/v1/domains").await.json()["data"], json!([]));
    other.close().await;
}

#[tokio::test]
async fn a_key_that_somebody_else_revokes_is_refused_at_once() {
    let platform = Platform::start().await;
    let wanted = json!({"name": "n", "scopes": ["read:domains"]}).to_string();
    let made = platform.call("POST", "/api/v1/keys", &wanted).await.json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    for _ in 0..3 {
        assert_eq!(platform.call_with(secret, "GET", "/api/v1/domains", "").await.status, 200);
    }
    let other = Store::open(&platform.path, StoreOptions::default()).await.unwrap();
    other.revoke_api_key(platform.org_id, id.parse().unwrap(), Timestamp::UNIX_EPOCH, &[]).await.unwrap();
    platform.call_with(secret, "GET", "/api/v1/domains", "").await.assert_problem(401, "UNAUTHENTICATED");
    other.close().await;
}

#[tokio::test]
async fn an_answer_is_for_those_who_see_the_same() {
    let platform = Platform::start().await;
    let mine = platform.add_domain("one.acme.test").await;
    platform.add_domain("two.acme.test").await;
    let key = async |limits: serde_json::Value| {
        let made = platform.call("POST", "/api/v1/keys", &limits.to_string()).await.json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let scopes = json!(["read:domains"]);
    let one = key(json!({"name": "n", "scopes": scopes, "allowed_domain_ids": [mine]})).await;
    let none = key(json!({"name": "n", "scopes": scopes, "allowed_domain_ids": []})).await;
    let blind = key(json!({"name": "n", "scopes": ["read:events"]})).await;
    for _ in 0..2 {
        for (secret, seen) in [(&platform.key, 2), (&one, 1), (&none, 0)] {
            let listed = platform.call_with(secret, "GET", "/api/v1/domains", "").await.json();
            assert_eq!(listed["data"].as_array().unwrap().len(), seen);
        }
        let refused = platform.call_with(&blind, "GET", "/api/v1/domains", "").await;
        refused.assert_problem(403, "SCOPE_MISSING");
        let page = platform.get("/api/v1/domains?limit=1").await;
        assert_eq!(page.json()["data"].as_array().unwrap().len(), 1, "another question");
        assert!(page.text.ends_with("}\n"));
        assert_eq!(platform.call("HEAD", "/api/v1/domains?limit=1", "").await.text, "");
    }
}

#[tokio::test]
async fn what_the_time_alone_changes_is_seen() {
    let platform = Platform::start().await;
    let id = platform.add_domain("one.acme.test").await;
    for path in [format!("/api/v1/domains/{id}"), "/api/v1/domains".to_owned()] {
        let resets_at = async |ahead| {
            platform.ahead.store(ahead, Ordering::Relaxed);
            let answer = platform.get(&path).await;
            let domain = answer.json();
            let domain = if path.ends_with("domains") { &domain["data"][0] } else { &domain };
            (domain["warmup"]["resets_at"].as_str().unwrap().to_owned(), answer.text)
        };
        let first = resets_at(0).await;
        assert_eq!(first.0, "2025-06-16T00:00:00Z");
        // Nothing is written and nothing waited for: the same until midnight, and not one second longer.
        assert_eq!(resets_at(31_999).await, first);
        assert_eq!(resets_at(32_000).await.0, "2025-06-17T00:00:00Z");
        assert_eq!(resets_at(0).await, first, "a clock that is set back");
    }
}
