//! The log: what a program can read of it, and what must not be in it.

use crate::{
    durability::Process,
    support::{Folder, text},
    webhooks::Sink,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, fs::File};

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_json_with_ids_as_fields_and_no_secret_in_them() {
    let folder = Folder::new();
    let log = folder.0.join("log");
    let to = File::create(&log).unwrap();
    let process = Process::start_with(&folder.0, "trace", |command| {
        command.env("COUNTERSIGN_LOG_FORMAT", "json").stderr(to);
    });
    let api = process.api();
    let domain = api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let hook = Sink::start().await;
    let hook = api
        .post("/webhooks", &json!({"url": format!("{}?t=hush-target", hook.url()), "event_types": []}))
        .await;
    let key = api.post("/keys", &json!({"name": "x", "scopes": ["read:domains"]})).await;
    let message = json!({"from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "hush-subject",
        "text": "hush-text"});
    api.send_and_receive(&message).await;
    // Secrets where they do not belong, too.
    for path in ["/domains?q=hush-query", "/webhooks/hush-path", "/hush-route"] {
        api.request(Method::GET, path).send().await.unwrap();
    }
    let wrong = api.request(Method::GET, "/domains").header("authorization", "Bearer cs_hush_wrong");
    wrong.send().await.unwrap();
    api.refused("/keys", &json!({"name": "y", "scopes": "hush-body"})).await;
    let asked = api.request(Method::GET, &format!("/domains/{}", text(&domain, "id"))).send().await.unwrap();
    let request_id = asked.headers()["x-request-id"].to_str().unwrap().to_owned();
    let secrets = [&process.key, text(&key, "secret"), text(&hook, "secret")].map(str::to_owned);
    assert!(process.terminate().success());

    let written = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 50, "{} lines", lines.len());
    for line in &lines {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    let answered =
        lines.iter().find(|line| line["message"] == "answered" && line["span"]["request_id"] == *request_id);
    let answered = answered.unwrap();
    assert_eq!(answered["span"]["name"], "request");
    assert!(text(&answered["span"], "org_id").starts_with("org_"), "{answered}");
    assert_eq!(
        (&answered["route"], &answered["method"], &answered["status"]),
        (&json!("/api/v1/domains/{id}"), &json!("GET"), &json!(200))
    );
    let changed = lines.iter().find(|line| line["message"] == "a domain changed its status").unwrap();
    assert_eq!(
        (&changed["span"]["name"], &changed["span"]["domain"]),
        (&json!("check"), &json!("mail.acme.test"))
    );
    assert_eq!(changed["span"]["domain_id"], domain["id"]);
    assert!(text(&changed["span"], "org_id").starts_with("org_"));

    // What the last part of a key is nobody needs to know either.
    for secret in secrets {
        let (_, hidden) = secret.split_at(secret.len() / 2);
        let line = written.lines().find(|line| line.contains(hidden));
        assert_eq!(line, None, "a secret is in the log");
    }
    let line = written.lines().find(|line| line.contains("hush"));
    assert_eq!(line, None, "something that is nobody's business is in the log");
}
