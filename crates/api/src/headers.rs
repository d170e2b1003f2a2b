//! Header fields that every response of this crate has.

use axum::http::{HeaderMap, HeaderValue, header};

/// What the reference page may load: its own files, and pictures inside of its style sheet. Nothing of other hosts.
pub const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// Answers hold customers' data and change with every check: no cache keeps them, and no browser guesses their type.
pub fn finish(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
