//! A fresh domain's daily cap.

use crate::support::{Api, Folder, PATIENCE, config, problem, text};
use app::ports::Clock;
use countersign::{Config, Instance};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// A clock that starts at noon, so that no test runs into midnight, and that can be set ahead.
#[derive(Clone)]
struct Noon {
    base: Timestamp,
    started: Timestamp,
    hours: Arc<AtomicI64>,
}

impl Noon {
    fn new() -> Self {
        Self {
            base: "2026-11-21T12:00:00Z".parse().unwrap(),
            started: countersign::instance::system_time(),
            hours: Arc::default(),
        }
    }

    fn clock(&self) -> Clock {
        let Self { base, started, hours } = self.clone();
        Clock::new(move || {
            let passed = countersign::instance::system_time().duration_since(started);
            base + passed + SignedDuration::from_hours(hours.load(Ordering::Relaxed))
        })
    }

    fn set(&self, hours: i64) {
        self.hours.store(hours, Ordering::Relaxed);
    }
}

async fn start(config: &Config, noon: &Noon) -> (Instance, Api) {
    let instance = Instance::start_at(config, noon.clock()).await.unwrap();
    let api = Api::new(instance.http, &instance.api_key);
    (instance, api)
}

fn message() -> Value {
    json!({"from": "hello@mail.acme.test", "to": ["one@example.org", "two@example.org"], "subject": "Hello", "text": "Hi."})
}

/// Sends so many at once; how many were accepted. The others are refused by the warm-up and nothing else.
async fn send_at_once(api: &Api, count: usize) -> usize {
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..count {
        requests.spawn(api.request(Method::POST, "/emails").json(&message()).send());
    }
    let mut accepted = 0;
    while let Some(response) = tokio::time::timeout(PATIENCE, requests.join_next()).await.unwrap() {
        let response = response.unwrap().unwrap();
        if response.status() == StatusCode::ACCEPTED {
            accepted += 1;
        } else {
            let (status, problem) = problem(response).await;
            assert_eq!((status.as_u16(), text(&problem, "code")), (429, "WARMUP_LIMIT_EXCEEDED"));
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_messages_pass_on_the_first_day_whatever_comes_at_once_and_a_hundred_on_the_second() {
    let folder = Folder::new();
    let noon = Noon::new();
    let (instance, api) = start(&config(&folder), &noon).await;
    let domain = api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let path = format!("/domains/{}", text(&domain, "id"));
    assert!(text(&domain, "warmup_started_at").starts_with("2026-11-21T12:0"));
    assert_eq!(domain["warmup_days"], 14);
    assert_eq!(
        domain["warmup"],
        json!({"day": 1, "cap": 50, "sent_today": 0, "resets_at": "2026-11-22T00:00:00Z"})
    );
    assert_eq!(send_at_once(&api, 60).await, 50);
    let response = api.request(Method::POST, "/emails").json(&message()).send().await.unwrap();
    let wait: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let (_, refused) = problem(response).await;
    assert!((11 * 3_600..=12 * 3_600).contains(&wait), "{wait} seconds until midnight");
    assert_eq!(
        refused["warmup"],
        json!({"day": 1, "cap": 50, "sent_today": 50, "resets_at": "2026-11-22T00:00:00Z"})
    );
    let detail = text(&refused, "detail");
    for part in ["mail.acme.test", "day 1 of 14", "50 messages", "50 were sent", "2026-11-22T00:00:00Z"] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert_eq!(text(&refused, "type"), "/docs/errors/WARMUP_LIMIT_EXCEEDED");
    let used_up = api.get(&path).await;
    assert_eq!((&used_up["can_send"], &used_up["warmup"]["sent_today"]), (&json!(false), &json!(50)));
    let readiness = api.get(&format!("{path}/readiness")).await;
    assert_eq!(readiness["obstacles"][0]["code"], "WARMUP_LIMIT_EXCEEDED");
    let page = api.plain(&path).await.text().await.unwrap();
    assert!(page.contains("Warm-up day 1 of 14: 50 of 50 messages sent today"), "{page}");
    instance.stop().await;

    // A restart forgets nothing.
    let (instance, api) = start(&config(&folder), &noon).await;
    assert_eq!(send_at_once(&api, 3).await, 0);
    noon.set(12);
    assert_eq!(send_at_once(&api, 1).await, 1);
    let next_day = api.get(&path).await;
    assert_eq!(
        next_day["warmup"],
        json!({"day": 2, "cap": 100, "sent_today": 1, "resets_at": "2026-11-23T00:00:00Z"})
    );
    assert_eq!(next_day["can_send"], true);
    // A clock that is set back finds the first day used up.
    noon.set(0);
    assert_eq!(send_at_once(&api, 1).await, 0);
    noon.set(14 * 24);
    let over = api.get(&path).await;
    assert_eq!((&over["warmup"], &over["warmup_started_at"]), (&Value::Null, &domain["warmup_started_at"]));
    assert_eq!(send_at_once(&api, 1).await, 1);
    instance.stop().await;
}

#[tokio::test]
async fn a_domain_can_do_without_and_the_operator_s_limit_holds_on_every_day() {
    let folder = Folder::new();
    let noon = Noon::new();
    let (instance, api) = start(&Config { warmup_daily_limit: 2, ..config(&folder) }, &noon).await;
    for (field, value) in
        [("warmup_days", json!(91)), ("warmup_days", json!(-1)), ("warmup_days", json!("14"))]
    {
        let (status, problem) =
            api.refused("/domains", &json!({"domain": "mail.acme.test", field: value})).await;
        assert_eq!((status.as_u16(), text(&problem["errors"][0], "field")), (422, field), "{value}");
    }
    let domain = api
        .post("/domains", &json!({"domain": "mail.acme.test", "profile": "two-txt", "warmup_days": 0}))
        .await;
    assert_eq!((&domain["warmup_days"], &domain["warmup"]), (&json!(0), &Value::Null));
    let path = format!("/domains/{}", text(&domain, "id"));
    api.publish_all(&api.zone("acme.test").await, &domain).await;
    api.until(&path, |domain| domain["can_send"] == true).await;
    for _ in 0..4 {
        api.post("/emails", &message()).await;
    }
    // Switched on: the first verification was the first day, and what was sent without it does not count.
    let changed = change(&api, &path, &json!({"warmup_days": 14})).await;
    let expected = json!({"day": 1, "cap": 2, "sent_today": 0, "resets_at": "2026-11-22T00:00:00Z"});
    assert_eq!(changed.1["warmup"], expected);
    assert_eq!(send_at_once(&api, 4).await, 2);
    noon.set(10 * 24);
    assert_eq!(api.get(&path).await["warmup"]["cap"], 2);
    assert_eq!(send_at_once(&api, 4).await, 2);
    // Switched off again.
    change(&api, &path, &json!({"warmup_days": 0})).await;
    assert_eq!(send_at_once(&api, 4).await, 4);
    for body in [json!({}), json!({"warmup_days": 91}), json!({"warmup_days": 1, "status": "verified"})] {
        let (status, problem) = change(&api, &path, &body).await;
        assert_eq!((status.as_u16(), text(&problem, "code")), (422, "INVALID_REQUEST"), "{body}");
    }
    let (status, _) =
        change(&api, "/domains/dom_01JD0000000000000000000000", &json!({"warmup_days": 1})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    instance.stop().await;
}

async fn change(api: &Api, path: &str, body: &Value) -> (StatusCode, Value) {
    let response = api.request(Method::PATCH, path).json(body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}
