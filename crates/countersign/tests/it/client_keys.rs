//! `rotate-keys --all` against a platform that stops answering half way.

use crate::{client::Terminal, support::Folder};
use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

const DOMAINS: [&str; 3] = ["one.test", "two.test", "three.test"];

fn problem(status: StatusCode) -> Response {
    let detail = json!({"code": "RATE_LIMITED", "detail": "too many", "request_id": "req_1"});
    (status, [("retry-after", "0")], Json(detail)).into_response()
}

/// A platform with three verified domains, each of which gets a record to add. Its answers about keys: too many at first, the
/// list, and then nothing of use.
async fn platform(rotations: Arc<AtomicU32>) -> String {
    let domain = |name: &str| {
        let record = json!({"purpose": "dkim", "required": false, "status": "missing",
            "type": "TXT", "name": format!("new._domainkey.{name}"), "value": "v=DKIM1; p=x"});
        json!({"object": "domain", "id": name, "domain": name, "status": "verified", "records": [record]})
    };
    let list = json!({"object": "list", "data": DOMAINS.map(domain), "next_cursor": null});
    let asked = Arc::new(AtomicU32::new(0));
    let keys = async move |axum::extract::Path(name): axum::extract::Path<String>| match asked
        .fetch_add(1, Ordering::Relaxed)
    {
        0 => problem(StatusCode::TOO_MANY_REQUESTS),
        1 => {
            let key = json!({"state": "standby", "txt_record": format!("new._domainkey.{name}")});
            Json(json!({"object": "list", "data": [key]})).into_response()
        }
        _ => problem(StatusCode::SERVICE_UNAVAILABLE),
    };
    let router = Router::new()
        .route("/api/v1/domains", get(async move || Json(list)))
        .route(
            "/api/v1/domains/{id}/keys/rotate",
            post(async move |axum::extract::Path(name): axum::extract::Path<String>| -> Json<Value> {
                rotations.fetch_add(1, Ordering::Relaxed);
                Json(domain(&name))
            }),
        )
        .route("/api/v1/domains/{id}/keys", get(keys));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rotated_is_told_although_the_platform_stops_answering() {
    let rotations = Arc::new(AtomicU32::new(0));
    let url = platform(Arc::clone(&rotations)).await;
    let terminal = Terminal { folder: Folder::new(), url, key: Some("cs_x".to_owned()) };
    let said = terminal.run(&["domains", "rotate-keys", "--all", "--yes"]).await;
    assert_eq!(said.code, Some(3), "{}{}", said.out, said.err);
    assert!(
        said.out.contains("one.test") && said.out.contains("add the record new._domainkey.one.test"),
        "{}",
        said.out
    );
    // It was asked to, once; what came of it nobody knows.
    let second = said.out.lines().find(|line| line.starts_with("two.test")).unwrap();
    assert!(second.contains('?') && second.contains("not answered"), "{}", said.out);
    assert!(
        !said.out.contains("three.test") && said.err.contains("after 2 of 3 domains"),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(rotations.load(Ordering::Relaxed), 2);
}
