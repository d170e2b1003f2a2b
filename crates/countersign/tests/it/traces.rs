//! Traces, as a collector gets them by OTLP: what belongs together, what must not be in them, and a collector that fails.

use crate::{
    support::{PATIENCE, Platform, text},
    webhooks::Sink,
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Takes spans, and answers with the status that is set.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(200)),
            asked: Arc::default(),
            bodies: Arc::default(),
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The first span that fits, once it is there.
    async fn until(&self, what: &str, fits: impl Fn(&Span) -> bool) -> Span {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let spans = self.spans();
            if let Some(span) = spans.iter().find(|span| fits(span)) {
                return span.clone();
            }
            let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
            assert!(Instant::now() < deadline, "no span {what} among {names:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-team"], "mail & more");
    let status = StatusCode::from_u16(collector.status.load(Ordering::Relaxed)).unwrap();
    collector.asked.fetch_add(1, Ordering::Relaxed);
    if status == StatusCode::OK {
        collector.bodies.lock().unwrap().push(body);
    }
    status
}

async fn platform(endpoint: String) -> Platform {
    Platform::start_with(|config| {
        config.otlp_endpoint = endpoint;
        HEADERS.clone_into(&mut config.otlp_headers);
    })
    .await
}

fn plain(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.iter().map(|value| plain(Some(value))).collect()
        }
        other => panic!("an attribute of another kind: {other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> Value {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    found.map_or(Value::Null, |attribute| plain(attribute.value.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const HEADERS: &str = "x-team=mail%20%26%20more";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_delivery_and_its_webhook_are_one_trace() {
    let collector = Collector::start().await;
    let platform = platform(collector.endpoint()).await;
    let api = &platform.api;
    let domain = api.verified("mail.acme.test", "acme.test", "two-txt").await;
    let hook = Sink::start().await;
    let made = json!({"url": format!("{}?t=hush-target", hook.url()), "event_types": ["email.delivered"]});
    let made = api.post("/webhooks", &made).await;
    let message = json!({"from": "a@mail.acme.test", "to": ["hush-recipient@example.org"],
        "subject": "hush-subject", "text": "hush-text"});
    let sent = api
        .request(Method::POST, "/emails?q=hush-query")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .json(&message)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    let request_id = sent.headers()["x-request-id"].to_str().unwrap().to_owned();
    let sent: Value = sent.json().await.unwrap();

    let request = collector.until("of the request", |span| span.name == "POST /api/v1/emails").await;
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(request.kind(), SpanKind::Server);
    for (key, value) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/api/v1/emails")),
        ("http.response.status_code", json!(202)),
        ("url.scheme", json!("http")),
        ("countersign.request.id", json!(request_id)),
    ] {
        assert_eq!(attribute(&request, key), value, "{key}");
    }
    assert!(attribute(&request, "countersign.organisation.id").as_str().unwrap().starts_with("org_"));

    let queued = collector.until("of the queue", |span| span.name == "send deliveries").await;
    assert_eq!((queued.kind(), &queued.parent_span_id), (SpanKind::Producer, &request.span_id));
    assert_eq!(attribute(&queued, "messaging.message.id"), sent["id"]);
    let is_delivery = |span: &Span| span.name == "process deliveries" && span.trace_id == request.trace_id;
    let delivery = collector.until("of the delivery", is_delivery).await;
    assert_eq!((delivery.kind(), &delivery.parent_span_id), (SpanKind::Consumer, &queued.span_id));
    assert_eq!(attribute(&delivery, "countersign.delivery.state"), "delivered");
    assert_eq!(attribute(&delivery, "countersign.smtp.reply_code"), 250);
    assert_eq!(attribute(&delivery, "countersign.domain.id"), domain["id"]);

    let call = collector.until("of the webhook", |span| span.kind() == SpanKind::Client).await;
    assert_eq!((call.name.as_str(), hex(&call.trace_id)), ("POST", TRACE.to_owned()));
    assert_eq!(call.parent_span_id, delivery.span_id);
    for (key, value) in [
        ("http.response.status_code", json!(200)),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(hook.address.port())),
        ("countersign.event.type", json!("email.delivered")),
        ("countersign.webhook.id", made["id"].clone()),
    ] {
        assert_eq!(attribute(&call, key), value, "{key}");
    }
    // The receiver can go on with it.
    let received = hook.until(|received| !received.is_empty()).await;
    assert_eq!(received[0].traceparent, Some(format!("00-{TRACE}-{}-01", hex(&call.span_id))));

    // A check that somebody asked for belongs to their request.
    api.post(&format!("/domains/{}/verify", text(&domain, "id")), &json!({})).await;
    let asked = collector.until("of a verification", |span| span.name.ends_with("/verify")).await;
    let check = |span: &Span| span.name == "check domain" && span.parent_span_id == asked.span_id;
    let check = collector.until("of its check", check).await;
    assert_eq!(
        (attribute(&check, "countersign.domain.name"), check.kind()),
        (json!("mail.acme.test"), SpanKind::Internal)
    );
    assert!(attribute(&check, "countersign.check.verdict").is_string());
    assert!(attribute(&check, "countersign.check.findings").is_array());
    let observed = |span: &Span| span.name == "observe dns" && span.parent_span_id == check.span_id;
    collector.until("of its questions", observed).await;

    let secrets = [platform.instance.api_key.clone(), text(&made, "secret").to_owned(), "hush".to_owned()];
    platform.stop().await;
    let requests = collector.requests();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    assert_eq!(plain(name.value.as_ref()), "countersign");
    let told = format!("{requests:?}");
    assert!(told.contains("mail.acme.test"));
    for secret in secrets {
        assert!(!told.contains(&secret), "a span has a secret");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_for_a_while_gets_the_spans_when_it_works_again() {
    let collector = Collector::start().await;
    collector.status.store(503, Ordering::Relaxed);
    let platform = platform(collector.endpoint()).await;
    platform.api.get("/domains").await;
    let deadline = Instant::now() + PATIENCE;
    while collector.asked.load(Ordering::Relaxed) < 1 {
        assert!(Instant::now() < deadline, "nothing was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    collector.status.store(200, Ordering::Relaxed);
    let span = collector.until("of the request", |span| span.name == "GET /api/v1/domains").await;
    assert_eq!(collector.spans().iter().filter(|other| other.span_id == span.span_id).count(), 1);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sends_what_is_left() {
    let collector = Collector::start().await;
    let platform = platform(collector.endpoint()).await;
    platform.api.get("/profiles").await;
    platform.stop().await;
    assert!(collector.spans().iter().any(|span| span.name == "GET /api/v1/profiles"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_or_silent_harms_nothing() {
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Nobody listens there any more.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [dead, silent.local_addr().unwrap()] {
        let platform = platform(format!("http://{address}")).await;
        let api = &platform.api;
        api.verified("mail.acme.test", "acme.test", "two-txt").await;
        let message =
            json!({"from": "a@mail.acme.test", "to": ["b@example.org"], "subject": "x", "text": "y"});
        let (_, received) = api.send_and_receive(&message).await;
        assert_eq!(received["authentication"]["dkim"][0]["result"], "pass");
        let began = Instant::now();
        platform.stop().await;
        assert!(began.elapsed() < Duration::from_secs(12), "the stop took {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_says_of_its_trace_is_read_strictly_and_makes_nobody_record_more() {
    let collector = Collector::start().await;
    let given = async |ratio: f64, parents: &[&str]| {
        let platform = Platform::start_with(|config| {
            config.otlp_endpoint = collector.endpoint();
            HEADERS.clone_into(&mut config.otlp_headers);
            config.trace_ratio = ratio;
        })
        .await;
        let mut request = platform.api.request(Method::GET, "/profiles");
        for parent in parents {
            request = request.header("traceparent", *parent);
        }
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
        platform.stop().await;
        let spans = collector.spans();
        collector.bodies.lock().unwrap().clear();
        spans.into_iter().find(|span| span.name == "GET /api/v1/profiles")
    };
    let good = format!("00-{TRACE}-{PARENT}-01");
    assert_eq!(hex(&given(1.0, &[&good]).await.unwrap().trace_id), TRACE);
    // Twice is as good as not at all, and so is what is none.
    for bad in [vec![good.as_str(), &good], vec!["00-x"], vec!["\u{fe}"]] {
        let span = given(1.0, &bad).await.unwrap();
        assert!(hex(&span.trace_id) != TRACE && span.parent_span_id.is_empty(), "{bad:?}");
    }
    assert!(given(0.0, &[&good]).await.is_none());
    assert!(given(1.0, &[&good.replace("-01", "-00")]).await.is_none());
}
