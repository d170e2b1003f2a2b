//! How often a key may call, told in the header fields of every answer.

use crate::problem::{Code, Problem};
use app::{limits::Class, rate::Quota};
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    response::{IntoResponse, Response},
};

/// How many requests of its class a key may make in a minute.
pub const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// How many of them are left.
pub const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// Seconds until there are all of them again.
pub const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What an operation counts as.
pub fn class(method: &Method, path: &str) -> Class {
    match path.strip_prefix(crate::BASE_PATH).unwrap_or_default() {
        // Checks of any domain have a count of their own.
        "/checks" => Class::Read,
        "/emails" if method == Method::POST => Class::Send,
        // Each of them looks at DNS, and answers when that is done.
        "/domains/{id}/verify" | "/domains/{id}/claim" | "/domains/{id}/enable" | "/sandbox/domain"
            if method == Method::POST =>
        {
            Class::Verify
        }
        _ if method == Method::GET || method == Method::HEAD => Class::Read,
        _ => Class::Write,
    }
}

/// The refusal of a request that is one too many.
pub fn refused(quota: Quota, class: Class) -> Response {
    let detail = format!(
        "This key may make {} {} a minute; try again in {} s.",
        quota.limit,
        class.as_str(),
        quota.reset
    );
    let problem = Problem::new(Code::RateLimited, detail).with_retry_after(quota.reset);
    let mut response = problem.into_response();
    tell(response.headers_mut(), quota);
    response
}

/// Puts the fields into an answer.
pub fn tell(headers: &mut HeaderMap, quota: Quota) {
    headers.insert(LIMIT, HeaderValue::from(quota.limit));
    headers.insert(REMAINING, HeaderValue::from(quota.remaining));
    headers.insert(RESET, HeaderValue::from(quota.reset));
}
