//! Webhooks over real sockets: signatures checked by another implementation, repeats, backing off, giving up.

use crate::support::{Api, Folder, PATIENCE, config, problem, text};
use app::{access::Caller, ports::Clock, webhooks::ReplaySince};
use aws_lc_rs::hmac;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::Instance;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    timestamp: String,
    signatures: Vec<String>,
    pub traceparent: Option<String>,
    body: String,
}

impl Received {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether a signature is that of this secret, by the words of the standard: HMAC-SHA256 of `id.timestamp.body`.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        assert!(key.len() >= 24, "the standard wants 24 to 64 bytes");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        self.signatures.iter().any(|signature| {
            let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
        })
    }
}

/// Takes webhooks and answers with the status that is set.
#[derive(Clone)]
pub struct Sink {
    pub address: SocketAddr,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(200)),
            received: Arc::default(),
        };
        let router = Router::new().route("/hook", post(take)).with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        sink
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub async fn until(&self, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.received();
            if done(&received) {
                return received;
            }
            assert!(Instant::now() < deadline, "the webhook did not get there: {received:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(sink): State<Sink>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    sink.received.lock().unwrap().push(Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        traceparent: headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned()),
        body,
    });
    let status = StatusCode::from_u16(sink.status.load(Ordering::Relaxed)).unwrap();
    (status, format!("said {status}"))
}

/// An instance whose clock can be set ahead.
struct Ahead {
    instance: Instance,
    api: Api,
    seconds: Arc<AtomicI64>,
    _folder: Folder,
}

impl Ahead {
    async fn start() -> Self {
        let folder = Folder::new();
        let seconds = Arc::new(AtomicI64::new(0));
        let ahead = Arc::clone(&seconds);
        let clock = Clock::new(move || {
            countersign::instance::system_time() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed))
        });
        let instance = Instance::start_at(&config(&folder), clock).await.unwrap();
        let api = Api::new(instance.http, &instance.api_key);
        Self { instance, api, seconds, _folder: folder }
    }

    /// Sets the clock to this time, and has the tasks look.
    fn set_to(&self, at: Timestamp) {
        let ahead = at.duration_since(countersign::instance::system_time()).as_secs() + 1;
        self.seconds.store(ahead, Ordering::Relaxed);
        self.instance.app.look_again();
    }
}

fn types(received: &[Received]) -> Vec<String> {
    received.iter().map(|one| text(&one.event(), "type").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_are_told_once_and_signed() {
    let platform = crate::support::Platform::start().await;
    let api = &platform.api;
    let sink = Sink::start().await;
    let hook = json!({"url": sink.url(), "event_types": ["domain.*", "email.*"], "description": "all of it"});
    let hook = api.post("/webhooks", &hook).await;
    let (id, secret) = (text(&hook, "id"), text(&hook, "secret"));
    let domain = api.verified("mail.acme.test", "acme.test", "two-txt").await;
    // A check that finds the same is no transition.
    api.post(&format!("/domains/{}/verify", text(&domain, "id")), &json!({})).await;
    let message = json!({"from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "x", "text": "y"});
    api.send_and_receive(&message).await;
    let wanted = ["domain.created", "domain.verified", "email.accepted", "email.delivered"];
    let received = sink.until(|all| all.len() >= wanted.len()).await;
    let mut told = types(&received);
    told.sort();
    assert_eq!(told, wanted, "each once");
    assert!(received.iter().all(|one| one.is_signed_by(secret)));
    assert!(!received[0].is_signed_by("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));

    // The feed tells the same.
    let feed = api.get("/events").await;
    for one in &received {
        let mut event = one.event();
        assert_eq!(one.id, text(&event, "id"));
        assert_eq!(event["timestamp"], event["created_at"]);
        event.as_object_mut().unwrap().remove("timestamp");
        let found = feed["data"].as_array().unwrap().iter().find(|found| found["id"] == event["id"]);
        assert_eq!(found, Some(&event));
    }
    let deliveries = api
        .until(&format!("/webhooks/{id}/deliveries"), |list| {
            list["data"].as_array().unwrap().iter().all(|delivery| delivery["state"] == "delivered")
        })
        .await;
    assert_eq!(deliveries["data"].as_array().unwrap().len(), wanted.len());
    let listed = api.get(&format!("/webhooks/{id}")).await;
    assert!(listed["secret"].is_null() && listed["last_delivered_at"].is_string());

    // Again by hand: the same id, another time and signature.
    let first = deliveries["data"].as_array().unwrap().last().unwrap();
    api.post(&format!("/webhook-deliveries/{}/replay", text(first, "id")), &json!({})).await;
    let received = sink.until(|all| all.len() > wanted.len()).await;
    assert_eq!(received.last().unwrap().id, text(first, "event_id"));
    let log = api
        .until(&format!("/webhook-deliveries/{}", text(first, "id")), |delivery| delivery["attempts"] == 2)
        .await;
    assert_eq!(log["attempt_log"][1]["answer"], "said 200 OK");

    // Two secrets for a while.
    let rotated = api.post(&format!("/webhooks/{id}/rotate"), &json!({"overlap_seconds": 600})).await;
    let tested = api.post(&format!("/webhooks/{id}/test"), &json!({})).await;
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(true), &json!(200)));
    let test = sink.received().pop().unwrap();
    assert_eq!((text(&test.event(), "type"), test.signatures.len()), ("webhook.test", 2));
    assert!(test.is_signed_by(secret) && test.is_signed_by(text(&rotated, "secret")));
    // Rotated again meanwhile: whichever of them the receiver has is good.
    let again = api.post(&format!("/webhooks/{id}/rotate"), &json!({"overlap_seconds": 600})).await;
    api.post(&format!("/webhooks/{id}/test"), &json!({})).await;
    let test = sink.received().pop().unwrap();
    assert_eq!(test.signatures.len(), 3);
    for one in [secret, text(&rotated, "secret"), text(&again, "secret")] {
        assert!(test.is_signed_by(one));
    }
    api.post(&format!("/webhooks/{id}/rotate"), &json!({"overlap_seconds": 0})).await;
    api.post(&format!("/webhooks/{id}/test"), &json!({})).await;
    let test = sink.received().pop().unwrap();
    assert!(test.signatures.len() == 1 && !test.is_signed_by(text(&rotated, "secret")));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_tried_again_and_fetched_up_on() {
    let ahead = Ahead::start().await;
    let api = &ahead.api;
    let sink = Sink::start().await;
    sink.answer(500);
    let hook = api.post("/webhooks", &json!({"url": sink.url(), "event_types": ["domain.created"]})).await;
    let id = text(&hook, "id");
    let deliveries = format!("/webhooks/{id}/deliveries");
    api.post("/domains", &json!({"domain": "one.acme.test"})).await;
    for tries in 1..=3 {
        let list = api.until(&deliveries, |list| list["data"][0]["attempts"] == tries).await;
        let delivery = &list["data"][0];
        assert_eq!((text(delivery, "state"), text(delivery, "last_error")), ("waiting", "answered 500"));
        if tries == 3 {
            sink.answer(200);
        }
        ahead.set_to(text(delivery, "next_attempt_at").parse().unwrap());
    }
    let list = api.until(&deliveries, |list| list["data"][0]["state"] == "delivered").await;
    let received = sink.received();
    assert!(received.iter().all(|one| one.id == received[0].id && one.is_signed_by(text(&hook, "secret"))));
    let log = api.get(&format!("/webhook-deliveries/{}", text(&list["data"][0], "id"))).await;
    let statuses: Vec<_> =
        log["attempt_log"].as_array().unwrap().iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [500, 500, 500, 200]);
    assert!(api.get(&format!("/webhooks/{id}")).await["failing_since"].is_null());

    // Nothing but failures for five days: it is disabled, others are told, and what was missed comes when it is back.
    let watcher = Sink::start().await;
    api.post("/webhooks", &json!({"url": watcher.url(), "event_types": ["webhook.disabled"]})).await;
    sink.answer(503);
    api.post("/domains", &json!({"domain": "two.acme.test"})).await;
    api.until(&format!("/webhooks/{id}"), |hook| hook["failing_since"].is_string()).await;
    ahead.set_to(ahead.instance.app.now() + SignedDuration::from_hours(5 * 24));
    let hook = api.until(&format!("/webhooks/{id}"), |hook| hook["status"] == "disabled").await;
    assert_eq!(text(&hook, "disabled_reason"), "nothing could be delivered for five days");
    let told = watcher.until(|all| !all.is_empty()).await;
    assert_eq!(text(&told[0].event(), "subject"), id);
    api.post("/domains", &json!({"domain": "three.acme.test"})).await;
    let (status, refused) =
        api.refused(&format!("/webhooks/{id}/replay"), &json!({"since": hook["created_at"]})).await;
    assert_eq!((status.as_u16(), text(&refused, "code")), (409, "WEBHOOK_DISABLED"));
    sink.answer(200);
    let path = format!("/webhooks/{id}");
    let enabled = api.request(Method::PATCH, &path).json(&json!({"enabled": true})).send().await.unwrap();
    assert!(enabled.status().is_success());
    let before = sink.received().len();
    api.until("/events?types=domain.created", |feed| feed["data"].as_array().unwrap().len() == 3).await;
    let replayed = api.post(&format!("{path}/replay"), &json!({"since": hook["created_at"]})).await;
    assert_eq!((&replayed["count"], &replayed["has_more"]), (&json!(2), &json!(false)));
    let received = sink.until(|all| all.len() >= before + 2).await;
    let mut names: Vec<_> =
        received[before..].iter().map(|one| text(&one.event()["data"], "domain").to_owned()).collect();
    names.sort();
    assert_eq!(names, ["three.acme.test", "two.acme.test"]);

    // 410: at once.
    sink.answer(410);
    api.post("/domains", &json!({"domain": "four.acme.test"})).await;
    let hook = api.until(&path, |hook| hook["status"] == "disabled").await;
    assert_eq!(text(&hook, "disabled_reason"), "it answered 410 Gone");
    ahead.instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_webhook_holds_up_no_other_one() {
    let platform = crate::support::Platform::start().await;
    let api = &platform.api;
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let slow = api.post("/webhooks", &json!({"url": url})).await;
    // More than it may have under way.
    for number in 0..12 {
        api.post("/domains", &json!({"domain": format!("n{number}.acme.test"), "profile": "two-txt"})).await;
    }
    let sink = Sink::start().await;
    api.post("/webhooks", &json!({"url": sink.url(), "event_types": ["domain.deleted"]})).await;
    let first = api.get("/domains?limit=1").await;
    let began = Instant::now();
    api.delete(&format!("/domains/{}", text(&first["data"][0], "id"))).await;
    sink.until(|all| all.len() == 1).await;
    assert!(began.elapsed() < Duration::from_secs(14), "before the slow one's requests end");
    let path = format!("/webhooks/{}", text(&slow, "id"));
    api.delete(&path).await;
    let (status, _) = problem(api.request(Method::GET, &path).send().await.unwrap()).await;
    assert_eq!(status.as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_nothing_again_that_it_forgot_and_goes_on_where_it_ended() {
    let ahead = Ahead::start().await;
    let api = &ahead.api;
    let sink = Sink::start().await;
    let hook = api.post("/webhooks", &json!({"url": sink.url(), "event_types": ["domain.created"]})).await;
    let path = format!("/webhooks/{}", text(&hook, "id"));
    let add = async |name: &str| api.post("/domains", &json!({"domain": name})).await;
    add("one.acme.test").await;
    let delivered = |list: &serde_json::Value| list["data"][0]["state"] == "delivered";
    api.until(&format!("{path}/deliveries"), delivered).await;
    // Deliveries are kept for 30 days, events for 90: after that nobody knows that this one was taken.
    ahead.set_to(ahead.instance.app.now() + SignedDuration::from_hours(31 * 24));
    let is_empty = |list: &serde_json::Value| list["data"].as_array().unwrap().is_empty();
    api.until(&format!("{path}/deliveries"), is_empty).await;
    let since = text(&hook, "created_at");
    let replayed = api.post(&format!("{path}/replay"), &json!({"since": since})).await;
    assert_eq!((&replayed["count"], &replayed["has_more"]), (&json!(0), &json!(false)), "{replayed:#}");
    let from: Timestamp = text(&replayed, "since").parse().unwrap();
    assert!(from > since.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(23), "{from}");
    let all = json!({"since": since, "delivered_too": true});
    let replayed = api.post(&format!("{path}/replay"), &all).await;
    assert_eq!((&replayed["count"], text(&replayed, "since")), (&json!(1), since));
    sink.until(|all| all.len() == 2).await;

    // A few at once, and on from there.
    for name in ["two.acme.test", "three.acme.test"] {
        add(name).await;
    }
    sink.until(|all| all.len() == 4).await;
    let caller = Caller::owner(ahead.instance.app.first_organisation("x").await.unwrap().0);
    let (mut after, mut count, mut rounds) = (None, 0, 0);
    loop {
        let since = since.parse().unwrap();
        let wanted = ReplaySince { since, after, delivered_too: true, most: 2 };
        let id = text(&hook, "id").parse().unwrap();
        let replayed = ahead.instance.app.replay_webhook(&caller, id, wanted).await.unwrap();
        (count, rounds) = (count + replayed.count, rounds + 1);
        after = replayed.next;
        if after.is_none() {
            break;
        }
    }
    assert!(count == 3 && rounds >= 2, "{count} in {rounds}");
    // The same by the API.
    sink.until(|all| all.len() == 7).await;
    let feed = api.get("/events?types=domain.created&limit=1").await;
    let rest = json!({"since": since, "delivered_too": true, "after": feed["next_cursor"]});
    assert_eq!(api.post(&format!("{path}/replay"), &rest).await["count"], 2);
    let (status, _) =
        api.refused(&format!("{path}/replay"), &json!({"since": since, "after": "nonsense"})).await;
    assert_eq!(status.as_u16(), 422);
    ahead.instance.stop().await;
}
