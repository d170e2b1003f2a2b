//! The span of a request, by the names of OpenTelemetry's conventions for HTTP.

use app::traces::{KeyValue, Parent, Span, SpanKind, TRACEPARENT, Traces};
use axum::http::HeaderMap;

/// Begins it, as a part of the caller's trace where there is one. The path may have a token in it and the
/// query anything: neither is told, only the route.
pub(crate) fn begin(
    traces: &Traces,
    method: &'static str,
    route: &str,
    id: &str,
    headers: &HeaderMap,
) -> Span {
    if !traces.is_on() {
        return Span::none();
    }
    // One that is given twice is none (§3.2.1).
    let mut given = headers.get_all(TRACEPARENT).iter();
    let parent = match (given.next(), given.next()) {
        (Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    let method = if method == "other" { "_OTHER" } else { method };
    let known = (route != "none").then_some(route);
    let name = known.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    traces.begin(name, SpanKind::Server, Parent::Of(parent), || {
        let mut about = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("countersign.request.id", id.to_owned()),
        ];
        about.extend(known.map(|route| KeyValue::new("http.route", route.to_owned())));
        about
    })
}

/// What came of it.
pub(crate) fn end(trace: &Span, status: u16) {
    trace.note(|| vec![KeyValue::new("http.response.status_code", i64::from(status))]);
    // What a caller does wrong is no failure of ours.
    if status >= 500 {
        trace.failed(status.to_string());
    }
}
