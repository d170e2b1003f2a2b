//! Fragments that a page fetches again and again while it is looked at.

use crate::{assets::fnv1a, page::Failure};
use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

/// The entity tag (RFC 9110 §8.8.3) of a state: the same for as long as the fragment says the same.
pub(crate) fn tag(state: &str) -> String {
    // A new version of the program may say it in another way.
    let text = format!("{}/{state}", crate::assets::css_address());
    format!("\"{:016x}\"", fnv1a(text.as_bytes()))
}

/// Whether the asker has this state already.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
}

/// "Nothing is new."
pub(crate) fn not_modified(tag: &str) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache")]).into_response()
}

/// The fragment with its tag.
pub(crate) fn fragment(tag: &str, template: &impl Template) -> Result<Response, Failure> {
    let body = Html(template.render()?);
    Ok(([(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_known_state_is_recognised() {
        let one = tag("dom_1/7");
        assert_ne!(one, tag("dom_1/8"));
        let mut headers = HeaderMap::new();
        assert!(!is_known(&headers, &one));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&format!("\"x\", W/{one}")).unwrap());
        assert!(is_known(&headers, &one));
        assert!(!is_known(&headers, &tag("dom_1/8")));
    }
}
