//! Authentication at the edge: one middleware in front of every route of the API, one extractor behind it.
//!
//! The middleware turns `Authorization: Bearer cs_…` (RFC 6750 §2.1) into an [`app::access::Caller`], asks for the scopes
//! that the OpenAPI document names ([`crate::guard`]), and narrows the caller to the tenant that the request names.
//! Whose things the caller sees is decided by the use cases. A handler gets the caller by [`Authenticated`]; on a route
//! that was mounted outside of the middleware that extractor refuses, and one that is not in the document is refused
//! here, so a mistake closes a door and opens none.

use crate::{
    fresh::Memory,
    guard::Guards,
    idempotency, limits, organisations,
    problem::{Code, Problem},
};
use app::{
    App,
    access::{Caller, ClientAddress, Origin},
    root_keys,
    store::Mark,
    tenants,
    traces::{KeyValue, ORGANISATION},
};
use axum::{
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State},
    http::{Extensions, HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::Semaphore;

/// The caller of an authenticated request.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Caller);

/// What the middleware has at hand.
#[derive(Clone)]
pub struct Door {
    /// The use cases.
    pub app: Arc<App>,
    /// Answers that may still be right.
    pub memory: Memory,
    /// What each operation asks for.
    pub guards: Arc<Guards>,
    /// Octets that requests may have which go on without their connection.
    pub room: Arc<Semaphore>,
}

/// Lets a request pass whose key may do what is asked.
///
/// What is done in few requests is boxed here and behind: a future is moved several times on its way, as large as the
/// largest of what it may have to wait for.
pub async fn authenticate(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    // The body is not read, and need not be shared between threads for this.
    // Before anything is read: what is read from now on is at least as new.
    let mark = door.app.store_mark();
    let admitted = door.admit(request.headers(), request.method(), path, mark);
    match admitted.await {
        Ok(caller) => {
            let caller = Caller { origin: origin(request.extensions()), ..caller };
            tracing::Span::current().record("org_id", tracing::field::display(caller.org_id));
            door.app.traces.note(|| vec![KeyValue::new(ORGANISATION, caller.org_id.to_string())]);
            let class = limits::class(request.method(), path);
            let quota = match door.app.count_request(&caller, class) {
                Ok(quota) => quota,
                Err(quota) => return limits::refused(quota, class),
            };
            request.extensions_mut().insert(Authenticated(caller));
            if let Some(mark) = mark {
                request.extensions_mut().insert(mark);
            }
            let mut response = idempotency::once(&door, request, next).await;
            if let Some(quota) = quota {
                limits::tell(response.headers_mut(), quota);
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

impl Door {
    async fn admit(
        &self,
        headers: &HeaderMap,
        method: &Method,
        path: &str,
        mark: Option<Mark>,
    ) -> Result<Caller, Problem> {
        let caller = self.app.authenticate_at(bearer(headers)?, mark).await?;
        let Some(guard) = self.guards.of_operation(path, method) else {
            tracing::error!(%method, path, "a route is not in the OpenAPI document");
            return Err(Problem::new(Code::NotFound, "There is nothing here; /docs lists what there is."));
        };
        guard.admit(&caller)?;
        let named = only(headers, root_keys::HEADER)?;
        // A root key acts in an organisation that it names, and on organisations in none.
        let caller = match named {
            None if !caller.is_root || organisations::is_at(path) => caller,
            named => Box::pin(self.app.in_organisation(caller, named)).await?,
        };
        match only(headers, tenants::HEADER)? {
            Some(reference) => Ok(Box::pin(self.app.narrow_to_tenant(caller, reference)).await?),
            None => Ok(caller),
        }
    }
}

/// Where a request came from, for the audit log.
fn origin(extensions: &Extensions) -> Origin {
    let connected = || extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let known = extensions.get::<ClientAddress>().map(|ClientAddress(address)| *address);
    Origin {
        address: known.or_else(connected).map(|address| address.to_canonical()),
        request_id: extensions.get().copied(),
    }
}

/// Lets those pass who run the platform: for routes that are not of the API, such as its metrics.
pub async fn operator(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let caller = app.authenticate(bearer(headers)?).await?;
    Ok(app.require_operator(&caller).await?)
}

/// The value of a header that may be given once.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::field(name, "is given twice; give it once")),
        (Some(value), None) => {
            let text = value.to_str();
            text.map(Some).map_err(|_| Problem::field(name, "has characters that are not ASCII"))
        }
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
