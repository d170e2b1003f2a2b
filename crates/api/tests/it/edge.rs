//! What all routes have in common.

use crate::platform::Platform;
use axum::{
    body::Body,
    http::{Request, header},
};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let platform = Platform::start().await;
    for path in
        ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/domains", "/api/v1/domains/dom_x/nothing"]
    {
        platform.call_with("", "GET", path, "").await.assert_problem(404, "NOT_FOUND");
    }
    for id in ["dom_x", "msg_01JD0000000000000000000000", "dom_01JD0000000000000000000000", "%ff", "%00"] {
        platform.get(&format!("/api/v1/domains/{id}")).await.assert_problem(404, "DOMAIN_NOT_FOUND");
    }
    platform.get("/api/v1/emails/x").await.assert_problem(404, "MESSAGE_NOT_FOUND");
    platform.get("/api/v1/sandbox/messages/x").await.assert_problem(404, "SANDBOX_MESSAGE_NOT_FOUND");
    let zone = platform.get("/api/v1/playground/zones/x").await;
    zone.assert_problem(404, "NOT_FOUND");
    assert!(zone.json()["detail"].as_str().unwrap().contains("no zone x"), "{}", zone.text);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let platform = Platform::start().await;
    let answer = platform.call("PATCH", "/api/v1/domains", "{}").await;
    answer.assert_problem(405, "METHOD_NOT_ALLOWED");
    let allow = answer.header(header::ALLOW);
    assert!(allow.contains("GET") && allow.contains("POST") && !allow.contains("PATCH"), "{allow}");
    platform.call("POST", "/api/v1/openapi.json", "{}").await.assert_problem(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn every_answer_is_named_and_not_kept() {
    let platform = Platform::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for (method, path) in [
        ("GET", "/api/v1/domains"),
        ("HEAD", "/api/v1/domains"),
        ("GET", "/docs/"),
        ("GET", "/api/x"),
        ("BREW", "/api/v1/domains"),
    ] {
        let answer = platform.call(method, path, "").await;
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{method} {path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        if method == "GET" && answer.header(header::CONTENT_TYPE).ends_with("json") {
            assert!(answer.text.ends_with("}\n"), "{path}: {:?}", answer.text);
        }
        ids.insert(answer.header("x-request-id").to_owned());
    }
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn requests_are_read_strictly() {
    let platform = Platform::start().await;
    let post = |body: &'static str| platform.call("POST", "/api/v1/domains", body);
    post("{\"domain\":").await.assert_problem(400, "INVALID_JSON");
    post("{\"domain\":1}").await.assert_problem(422, "INVALID_REQUEST");
    let array = post("[\"a.test\",null,null,null]").await;
    array.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(array.json()["detail"], "the body must be a JSON object");
    let unknown = post("{\"domain\":\"a.test\",\"doman\":1}").await;
    unknown.assert_problem(422, "INVALID_REQUEST");
    assert_eq!(unknown.json()["errors"][0]["field"], "doman");
    let large = format!("{{\"domain\":\"{}\"}}", "a".repeat(70_000));
    platform.call("POST", "/api/v1/domains", &large).await.assert_problem(413, "PAYLOAD_TOO_LARGE");
    let form = Request::post("/api/v1/domains")
        .header(header::AUTHORIZATION, format!("Bearer {}", platform.key))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("domain=a.test"))
        .unwrap();
    platform.send(form).await.assert_problem(415, "UNSUPPORTED_MEDIA_TYPE");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("status=great", "status"),
        ("order=asc", "order"),
    ] {
        let answer = platform.get(&format!("/api/v1/domains?{query}")).await;
        answer.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn readiness_is_looked_at_once_a_second_whoever_asks() {
    let platform = Platform::start().await;
    let start = std::time::Instant::now();
    // The time goes into what is written, and is asked for nowhere else here.
    let before = platform.clock_reads.load(Ordering::Relaxed);
    for _ in 0..100 {
        platform.app.ready().await.unwrap();
    }
    let writes = u64::from(platform.clock_reads.load(Ordering::Relaxed) - before);
    assert!((1..=1 + start.elapsed().as_secs()).contains(&writes), "{writes}");
}
