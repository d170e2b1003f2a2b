//! Requests with an `Idempotency-Key`: carried out once, and answered the same each time.
//!
//! The layer is inside of authentication and around the handlers. It reads the whole body, claims the key, and has the
//! handler carry the request out in a task of its own: a client that goes away in the middle finds the answer when it asks
//! again. See [`app::idempotency`] for what is kept, and for how long.

use crate::{
    TIME_LIMIT,
    auth::{Authenticated, Door},
    extract::{LARGE, read_body},
    fresh,
    problem::{Code, Problem},
};
use app::{
    App,
    access::Caller,
    idempotency::{Claim, MOST_ANSWER, Repeated},
    tenants,
};
use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use tracing::Instrument;

/// The header with the key.
pub const HEADER: &str = "Idempotency-Key";

/// The header of an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long a key may be, in characters.
pub const MOST_KEY: usize = 255;

/// What a body may have here, but for mail; the handlers have limits of their own below that.
const MOST_BODY: usize = 1024 * 1024;

/// How many octets of bodies there may be of requests that were begun: whoever sends large ones and goes away has to wait for
/// them with the next.
pub const MOST_BEGUN: usize = 4 * LARGE;

/// When to ask again for the answer of a request that is being carried out, in seconds.
const RETRY_AFTER: u32 = 2;

/// The fields of an answer that are kept with it.
const KEPT: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// Lets requests pass that have no key, and each other one once.
pub async fn once(door: &Door, request: Request, next: Next) -> Response {
    let key = match key(request.headers()) {
        Ok(Some(key)) if request.method() == Method::POST => key,
        Ok(_) => return fresh::answer(&door.memory, request, next).await,
        Err(problem) => return problem.into_response(),
    };
    match Box::pin(carried_out(door, key, request, next)).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// The key of a request.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let wrong = |message: &str| Err(Problem::field(HEADER, message));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => wrong("is given twice; give one key"),
        (Some(value), None) => match value.to_str() {
            Ok(key) if !key.is_empty() && key.len() <= MOST_KEY => Ok(Some(key.to_owned())),
            _ => wrong("give 1 to 255 printable ASCII characters, such as a UUID, new for each new request"),
        },
    }
}

async fn carried_out(door: &Door, key: String, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let Some(Authenticated(caller)) = parts.extensions.get::<Authenticated>().cloned() else {
        return Err(Problem::unauthenticated("The request has no API key.", "Bearer"));
    };
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let limit = if path.ends_with("/emails") { LARGE } else { MOST_BODY };
    let body = read_body(Request::from_parts(parts.clone(), body), limit).await?;
    // Whoever waits here has a connection, and those are bounded; what was begun needs none any more.
    let octets = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let room = Arc::clone(&door.room).acquire_many_owned(octets).await;
    // Whoever has asked may go away: from the claim of the key on, what was begun is brought to its end, and its answer kept.
    let begun = begun(Arc::clone(&door.app), caller, key, parts, body, next);
    let begun = async move {
        let response = begun.await;
        drop(room);
        response
    };
    tokio::spawn(begun.in_current_span()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request panicked");
        Err(Problem::new(Code::Internal, "Something failed on our side. The log has the reason."))
    })
}

/// Claims the key and carries the request out, or says what came of the one before.
async fn begun(
    app: Arc<App>,
    caller: Caller,
    key: String,
    mut parts: Parts,
    body: Bytes,
    next: Next,
) -> Result<Response, Problem> {
    let tenant = parts.headers.get(tenants::HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    let address = parts.uri.path_and_query().map_or("", |address| address.as_str()).as_bytes();
    match app.begin_request(&caller, &key, &[address, tenant, &body]).await? {
        Repeated::Running => {
            let detail = "A request with this Idempotency-Key is being carried out; ask again in a moment for its answer.";
            Err(Problem::new(Code::IdempotencyInProgress, detail).with_retry_after(RETRY_AFTER))
        }
        Repeated::OtherRequest => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "This Idempotency-Key came with another request before; take a new key for a new request.",
        )),
        Repeated::TooMany(seconds) => {
            let detail = "The organisation has begun as many requests with an Idempotency-Key in 24 hours as it may. What \
                 was begun can be repeated still; send less of what is new with a key, or wait.";
            Err(Problem::new(Code::RateLimited, detail).with_retry_after(seconds))
        }
        Repeated::Answered(status, answer) => again(status, &answer),
        Repeated::CarryOut(claim, reserved) => {
            let caller = Caller { reserved: Some(reserved), ..caller };
            parts.extensions.insert(Authenticated(caller));
            let request = Request::from_parts(parts, Body::from(body));
            run(app, claim, request, next).await
        }
    }
}

/// Carries the request out and keeps its answer.
async fn run(app: Arc<App>, claim: Claim, request: Request, next: Next) -> Result<Response, Problem> {
    let request_id = request.extensions().get::<model::RequestId>().copied();
    let response = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
    let Ok(response) = response else {
        app.give_back_request(&claim).await;
        let detail = format!("The request was given up after {} seconds.", TIME_LIMIT.as_secs());
        return Err(Problem::new(Code::Timeout, detail));
    };
    let status = response.status();
    let problem = response.extensions().get::<Problem>().cloned();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| {
        tracing::error!(%error, "an answer broke off");
        Problem::new(Code::Internal, "Something failed on our side. The log has the reason.")
    });
    let body = match body {
        Ok(body) if is_kept(status) && body.len() <= MOST_ANSWER => body,
        other => {
            app.give_back_request(&claim).await;
            return other.map(|body| Response::from_parts(parts, Body::from(body)));
        }
    };
    // The problem as its first reader saw it.
    let request_id = request_id.map(|id| id.to_string());
    let shown = problem.map(|problem| Bytes::from(problem.to_json(request_id.as_deref())));
    let answer = Answer::of(&parts.headers);
    app.keep_answer(&claim, status.as_u16(), &answer.to_bytes(shown.as_ref().unwrap_or(&body))).await;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// A fault of ours and a refusal because there are too many requests say nothing of the request itself; one that is wrong
/// is refused again without being kept, and made nothing.
fn is_kept(status: StatusCode) -> bool {
    const NOT: [StatusCode; 3] =
        [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !NOT.contains(&status)
}

/// What stands in front of a body that is kept.
#[derive(Serialize, Deserialize)]
struct Answer {
    headers: BTreeMap<String, String>,
}

impl Answer {
    fn of(headers: &HeaderMap) -> Self {
        let kept = KEPT.iter().filter_map(|name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some((name.to_string(), value.to_owned()))
        });
        Self { headers: kept.collect() }
    }

    /// One line of JSON, and the body.
    fn to_bytes(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        bytes
    }
}

/// The answer that was kept.
fn again(status: u16, answer: &[u8]) -> Result<Response, Problem> {
    let unreadable = || Problem::new(Code::Internal, "The answer that was kept cannot be read.");
    let end = answer.iter().position(|byte| *byte == b'\n').ok_or_else(unreadable)?;
    let (line, body) = answer.split_at(end);
    let kept: Answer = serde_json::from_slice(line).map_err(|_| unreadable())?;
    let mut response = Response::new(Body::from(body[1..].to_vec()));
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| unreadable())?;
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
