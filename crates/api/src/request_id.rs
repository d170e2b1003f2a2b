//! The outermost layer: gives each request an id, measures it, logs one line, and finishes every response.

use crate::{fresh::Ended, headers, problem::Problem, request_trace};
use app::App;
use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tracing::{Instrument, field};

/// The header with the request's id.
pub const HEADER: &str = "x-request-id";

/// Wraps a request. Problem documents get the id that the log has.
pub async fn observe(State(observer): State<Observer>, mut request: Request, next: Next) -> Response {
    let id = observer.app.request_id();
    request.extensions_mut().insert(id);
    let id = id.to_string();
    let method = method_word(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let start = Instant::now();
    let traces = &observer.app.traces;
    let trace = request_trace::begin(traces, method, route, &id, request.headers());
    let span =
        tracing::info_span!("request", request_id = %id, org_id = field::Empty, trace_id = field::Empty);
    if let Some(trace_id) = trace.trace_id() {
        span.record("trace_id", field::display(trace_id));
    }
    let answer = crate::limit_time(request, next).instrument(span.clone());
    let mut response = if traces.is_on() { Box::pin(trace.around(answer)).await } else { answer.await };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // Another length than before.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(problem.to_json(Some(&id)));
    }
    if has_no_end(&response) {
        response = Box::pin(end_line(response)).await;
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    headers::finish(response.headers_mut());
    let elapsed = start.elapsed();
    let status = response.status().as_u16();
    request_trace::end(&trace, status);
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(method, route, status, micros, "answered"));
    observer.count(route, method, status, elapsed);
    response
}

/// What the layer has at hand.
#[derive(Clone)]
pub struct Observer {
    app: Arc<App>,
    /// By route: looking a metric up costs more than counting.
    counted: Arc<RwLock<HashMap<String, Vec<Counted>>>>,
}

/// The metrics of one route, method and status.
struct Counted {
    method: &'static str,
    status: u16,
    requests: metrics::Counter,
    seconds: metrics::Histogram,
}

impl Observer {
    /// With nothing counted yet.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, counted: Arc::default() }
    }

    fn count(&self, route: &str, method: &'static str, status: u16, elapsed: Duration) {
        let is_it = |counted: &&Counted| counted.method == method && counted.status == status;
        let known = self.counted.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = known.get(route).and_then(|of_route| of_route.iter().find(is_it)) {
            counted.requests.increment(1);
            counted.seconds.record(elapsed.as_secs_f64());
            return;
        }
        drop(known);
        let requests = metrics::counter!("countersign_http_requests_total",
            "route" => route.to_owned(), "method" => method, "status" => status.to_string());
        requests.increment(1);
        let seconds = metrics::histogram!("countersign_http_request_seconds",
            "route" => route.to_owned(), "method" => method);
        seconds.record(elapsed.as_secs_f64());
        let mut known = self.counted.write().unwrap_or_else(PoisonError::into_inner);
        // There are as many routes as the program has, and a bounded set of words and codes.
        known.entry(route.to_owned()).or_default().push(Counted { method, status, requests, seconds });
    }
}

/// Whether it is a JSON answer without a line break at its end. Problems have one.
fn has_no_end(response: &Response) -> bool {
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    is_json && response.extensions().get::<Ended>().is_none()
}

/// Ends a JSON answer with a line break, so that a terminal's prompt starts on a line of its own.
async fn end_line(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // Another length than before; an answer to HEAD has no body, and need not tell one.
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = match body.size_hint().exact() {
        None | Some(0) => body,
        // All of it is in memory already.
        Some(_) => match axum::body::to_bytes(body, usize::MAX).await {
            Ok(bytes) => {
                let mut bytes = Vec::from(bytes);
                bytes.push(b'\n');
                Body::from(bytes)
            }
            Err(error) => {
                tracing::error!(%error, "an answer broke off");
                Body::empty()
            }
        },
    };
    Response::from_parts(parts, body)
}

/// Strangers may send any word as method: metrics have a bounded set of them.
fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
