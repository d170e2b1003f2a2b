//! Authentication at the edge: one middleware in front of every route of the API, one extractor behind it.
//!
//! The middleware turns `Authorization: Bearer cs_…` (RFC 6750 §2.1) into an [`app::access::Caller`]. What the
//! caller may do is decided by the use cases. A handler gets the caller by [`Authenticated`]; on a route that was
//! mounted outside of the middleware that extractor refuses, so a mistake here closes a door and opens none.

use crate::problem::Problem;
use app::{App, access::Caller};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// The caller of an authenticated request.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Caller);

/// Lets a request with a valid key pass.
pub async fn authenticate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let secret = match bearer(request.headers()) {
        Ok(secret) => secret,
        Err(problem) => return problem.into_response(),
    };
    match app.authenticate(secret).await {
        Ok(caller) => {
            request.extensions_mut().insert(Authenticated(caller));
            next.run(request).await
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The token of the only `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let refuse = |detail: &str| Err(Problem::unauthenticated(detail, "Bearer"));
    let value = match (values.next(), values.next()) {
        (None, _) => {
            return refuse("The request has no API key. Send one in the header Authorization: Bearer cs_…");
        }
        (Some(_), Some(_)) => return refuse("The request has more than one Authorization header; send one."),
        (Some(value), None) => value,
    };
    match value.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => refuse("The Authorization header is not of the form Bearer cs_…"),
    }
}

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::unauthenticated("The request has no API key.", "Bearer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        bearer(&headers).ok().map(str::to_owned)
    }

    #[test]
    fn only_one_bearer_token_is_taken() {
        assert_eq!(read(&["Bearer cs_x"]).as_deref(), Some("cs_x"));
        assert_eq!(read(&["bearer  cs_x"]).as_deref(), Some("cs_x"));
        for values in [&[][..], &["cs_x"], &["Basic cs_x"], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(values), None, "{values:?}");
        }
    }

    #[tokio::test]
    async fn without_the_middleware_nobody_is_let_in() {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        let refused = Authenticated::from_request_parts(&mut parts, &()).await.unwrap_err();
        assert_eq!(refused.status, 401);
    }
}
