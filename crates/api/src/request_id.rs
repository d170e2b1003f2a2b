//! The outermost layer: gives each request an id, measures it, logs one line, and finishes every response.

use crate::{headers, problem::Problem};
use app::App;
use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use std::{sync::Arc, time::Instant};
use tracing::Instrument;

/// The header with the request's id.
pub const HEADER: &str = "x-request-id";

/// Wraps a request. Problem documents get the id that the log has.
pub async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = app.request_id();
    request.extensions_mut().insert(id);
    let id = id.to_string();
    let method = method_word(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let start = Instant::now();
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // Another length than before.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(problem.to_json(Some(&id)));
    }
    let mut response = end_line(response).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    headers::finish(response.headers_mut());
    let elapsed = start.elapsed();
    let status = response.status().as_u16();
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(method, route, status, micros, "answered"));
    metrics::counter!("countersign_http_requests_total",
        "route" => route.clone(), "method" => method, "status" => status.to_string())
    .increment(1);
    metrics::histogram!("countersign_http_request_seconds", "route" => route, "method" => method)
        .record(elapsed.as_secs_f64());
    response
}

/// Ends a JSON answer with a line break, so that a terminal's prompt starts on a line of its own. Problems have one.
async fn end_line(response: Response) -> Response {
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    if !is_json {
        return response;
    }
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
