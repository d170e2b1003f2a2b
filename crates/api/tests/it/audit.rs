//! The audit log, held against every operation that writes.

use crate::{
    guards::{World, operations, turn},
    platform::Platform,
};
use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What writes and leaves no line, and why.
const NO_LINE: [(&str, &str); 14] = [
    ("POST /api/v1/contacts/{id}/resend", "has one where the mail is sent: `countersign contacts`"),
    ("POST /api/v1/domains/{id}/keys/rotate", "has one where none waits already: `countersign rotation`"),
    ("POST /api/v1/domains/{id}/keys/discard", "has one where a key waits: `countersign rotation`"),
    ("POST /api/v1/webhooks/{id}/test", "nothing is changed"),
    ("POST /api/v1/emails", "a message names the key that sent it"),
    ("POST /api/v1/checks", "nothing is changed"),
    (
        "POST /api/v1/domains/{id}/domain-connect",
        "nothing is changed: who opens the link decides at the DNS host",
    ),
    ("POST /api/v1/domains/{id}/verify", "what it finds is told by events"),
    ("POST /api/v1/playground/zones", "the stand-in DNS host, in development only"),
    ("DELETE /api/v1/playground/zones/{id}", "the same"),
    ("POST /api/v1/playground/zones/{id}/records", "the same"),
    ("PUT /api/v1/playground/records/{id}", "the same"),
    ("DELETE /api/v1/playground/records/{id}", "the same"),
    ("POST /api/v1/playground/domains/{id}/publish", "the same"),
];

async fn log(platform: &Platform) -> Vec<Value> {
    platform.get("/api/v1/audit?limit=100").await.json()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_operation_that_writes_leaves_its_line() {
    let world = World::new().await;
    let mut operations: Vec<_> = operations().into_iter().map(|(operation, _)| operation).collect();
    operations.retain(|operation| !operation.starts_with("GET "));
    operations.sort_by_key(|operation| turn(operation));
    for (operation, _) in NO_LINE {
        assert!(operations.contains(&operation.to_owned()), "{operation} is no operation any more");
    }
    for operation in operations.iter().filter(|operation| NO_LINE.iter().all(|(no, _)| no != operation)) {
        let answer = world.call(&world.platform.key, operation, None).await;
        assert!(answer.status.is_success(), "{operation}: {}", answer.text);
        let request = answer.header("x-request-id");
        let log = log(&world.platform).await;
        let line = log.iter().find(|line| line["request_id"] == request);
        let line = line.unwrap_or_else(|| panic!("{operation} left no line in the audit log"));
        assert_eq!(line["actor"]["type"], "key", "{operation}");
        for field in ["action", "subject"] {
            assert!(!line[field].as_str().unwrap().is_empty(), "{operation} {field}");
        }
        assert!(line["data"].is_object(), "{operation}");
    }
}

#[tokio::test]
async fn a_line_says_who_what_and_from_where_and_no_secret() {
    let platform = Platform::start().await;
    let body = json!({"name": "billing", "scopes": ["read:domains"]}).to_string();
    let mut request = Request::post("/api/v1/keys")
        .header(header::AUTHORIZATION, format!("Bearer {}", platform.key))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap();
    let peer: SocketAddr = "[::ffff:192.0.2.7]:4321".parse().unwrap();
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    let answer = platform.send(request).await;
    let made = answer.json();
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
    platform.call("POST", &format!("{path}/rotate"), "{}").await;
    platform.call("DELETE", &path, "").await;
    // Again changes nothing, and tells nothing.
    platform.call("DELETE", &path, "").await;
    let own = platform.app.authenticate(&platform.key).await.unwrap().key_id().unwrap().to_string();
    let of_key = platform.get(&format!("/api/v1/audit?subject={}", made["id"].as_str().unwrap())).await;
    let lines = of_key.json()["data"].as_array().unwrap().clone();
    // All at the same moment of a clock that stands: in no order.
    assert_eq!(lines.len(), 3);
    let line = |action: &str| lines.iter().find(|line| line["action"] == action).unwrap();
    assert!(line("key.rotated")["data"]["successor"].is_string());
    let created = line("key.created");
    assert_eq!((&created["address"], &created["actor"]["id"]), (&json!("192.0.2.7"), &json!(own)));
    assert_eq!(created["data"]["scopes"], json!(["read:domains"]));
    assert_eq!(line("key.revoked")["data"]["name"], "billing");
    assert!(!of_key.text.contains(made["secret"].as_str().unwrap()));
    let by_nobody = platform.get("/api/v1/audit?actor=key_01JD0000000000000000000000").await.json();
    assert_eq!(by_nobody["data"], json!([]));
    // The first key was made by whoever started the platform.
    let all = log(&platform).await;
    let first = all.iter().find(|line| line["subject"] == own).unwrap();
    assert_eq!((&first["action"], &first["actor"]["type"]), (&json!("key.created"), &json!("system")));
}
