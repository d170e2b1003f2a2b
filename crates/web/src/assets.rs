//! The files that pages refer to, part of the program. Their address changes with their content, so that they can
//! be kept for a year.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const CSS: &str = include_str!("../assets/app.css");
const JS: &str = include_str!("../assets/app.js");
const FAVICON: &str = include_str!("../assets/favicon.svg");

const CSS_HASH: u64 = fnv1a(CSS.as_bytes());
const JS_HASH: u64 = fnv1a(JS.as_bytes());

/// FNV-1a: tells versions of our own files apart, nothing more.
pub(crate) const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// The style sheet's address.
pub(crate) fn css_address() -> String {
    format!("/assets/app.css?{CSS_HASH:016x}")
}

/// The script's address.
pub(crate) fn js_address() -> String {
    format!("/assets/app.js?{JS_HASH:016x}")
}

const YEAR: &str = "public, max-age=31536000, immutable";

pub(crate) async fn css() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, YEAR)], CSS).into_response()
}

pub(crate) async fn js() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, YEAR)], JS)
        .into_response()
}

pub(crate) async fn favicon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")], FAVICON)
        .into_response()
}
