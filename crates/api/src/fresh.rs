//! Answers that are still right: what a list or a domain looks like is made once for each state of the database, however
//! often it is asked for.
//!
//! What is answered to a GET here follows from the database, the caller and the time. Where the database tells without being
//! asked that nothing was written to it since ([`app::store::Mark`]: SQLite), an answer to the same question is given again:
//! for as long as the handler says that the time changes nothing in it ([`Until`]), else in the same second. Who may ask is
//! decided before, for each request. On PostgreSQL every request asks the database.

use crate::auth::Authenticated;
use app::{App, access::Caller, store::Mark};
use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use model::{ApiKeyId, OrgId, TenantId, Timestamp};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is looked at often.
const ROUTES: [&str; 2] = ["/api/v1/domains", "/api/v1/domains/{id}"];

/// How many bytes are kept; then all are forgotten.
const MOST: usize = 32 << 20;

/// The longest question to which an answer is kept, path and query.
const LONGEST: usize = 512;

/// What an answer takes beside its body and its question.
const BESIDE: usize = 256;

/// The largest answer that is kept.
const LARGEST: usize = 1 << 20;

/// Says that a body has its line break already.
#[derive(Debug, Clone, Copy)]
pub struct Ended;

/// Said by a handler with its answer: until then the time changes nothing in it.
#[derive(Debug, Clone, Copy)]
pub struct Until(pub Timestamp);

/// Whose question it is, and which.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    org_id: OrgId,
    tenant_id: Option<TenantId>,
    /// The key, where it is limited to domains.
    limited: Option<ApiKeyId>,
    /// Path and query.
    asked: String,
}

struct Answer {
    mark: Mark,
    /// When it was made, and from when on it may be another one.
    made: Timestamp,
    until: Timestamp,
    body: Bytes,
}

/// The answers that are kept, and how many bytes they are.
#[derive(Default)]
struct Kept {
    answers: HashMap<Question, Answer>,
    bytes: usize,
}

impl Kept {
    fn keep(&mut self, question: Question, answer: Answer) {
        let asked = question.asked.len();
        let bytes = |answer: &Answer| asked + answer.body.len() + BESIDE;
        if self.bytes + bytes(&answer) > MOST {
            *self = Self::default();
        }
        self.bytes += bytes(&answer);
        if let Some(before) = self.answers.insert(question, answer) {
            self.bytes -= bytes(&before);
        }
    }
}

/// What the middleware has at hand.
#[derive(Clone)]
pub struct Memory {
    app: Arc<App>,
    kept: Arc<Mutex<Kept>>,
}

impl Memory {
    /// With nothing in it.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, kept: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, question: &Question, mark: Mark, now: Timestamp) -> Option<Bytes> {
        let kept = self.lock();
        let answer = kept.answers.get(question)?;
        // A clock that was set back is no time that it was made for.
        let is_right = answer.mark == mark && answer.made <= now && now < answer.until;
        is_right.then(|| answer.body.clone())
    }

    fn keep(&self, question: Question, answer: Answer) {
        self.lock().keep(question, answer);
    }
}

/// Answers as before where that is still right.
pub async fn answer(memory: &Memory, request: Request, next: Next) -> Response {
    let Some(question) = question(&request) else { return next.run(request).await };
    // Of before the key was read.
    let Some(mark) = request.extensions().get::<Mark>().copied() else { return next.run(request).await };
    let made_at = memory.app.now();
    if let Some(body) = memory.find(&question, mark, made_at) {
        return ended(body);
    }
    Box::pin(made(memory, question, mark, made_at, request, next)).await
}

/// Has the answer made, and keeps it.
async fn made(
    memory: &Memory,
    question: Question,
    mark: Mark,
    made: Timestamp,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    let until = response.extensions().get::<Until>().map(|Until(until)| *until);
    let until = until.or_else(|| Timestamp::from_second(made.as_second() + 1).ok()).unwrap_or(made);
    let size = response.body().size_hint().exact();
    if response.status() != StatusCode::OK || !is_json || size.is_none_or(|size| size >= LARGEST as u64) {
        return response;
    }
    let Ok(body) = axum::body::to_bytes(response.into_body(), LARGEST).await else {
        tracing::error!("an answer broke off");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut body = Vec::from(body);
    body.push(b'\n');
    let body = Bytes::from(body);
    memory.keep(question, Answer { mark, made, until, body: body.clone() });
    ended(body)
}

fn question(request: &Request) -> Option<Question> {
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    if request.method() != Method::GET || !ROUTES.contains(&route) {
        return None;
    }
    let Authenticated(caller) = request.extensions().get()?;
    let Caller { org_id, tenant_id, .. } = *caller;
    // Of a tenant that is not there yet nothing is seen, and the one with that name is another one next time.
    if caller.new_tenant.is_some() {
        return None;
    }
    let limited = match caller.allowed_domain_ids {
        None => None,
        Some(_) => Some(caller.key_id()?),
    };
    let asked = request.uri().path_and_query()?.as_str();
    // As long as its sender likes: kept, it would be a way to fill the memory.
    if asked.len() > LONGEST {
        return None;
    }
    Some(Question { org_id, tenant_id, limited, asked: asked.to_owned() })
}

fn ended(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(Ended);
    response
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use app::store::{Store, StoreOptions};

    /// A short answer to a long question takes its room too.
    #[tokio::test]
    async fn what_is_kept_is_bounded_with_its_questions() {
        let folder = std::env::temp_dir().join(format!("countersign-fresh-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&folder.join("x.sqlite"), StoreOptions::default()).await.unwrap();
        let mark = store.mark().unwrap();
        let mut kept = Kept::default();
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..100_000 {
            let asked = format!("{number:0LONGEST$}");
            let question =
                Question { org_id: OrgId::from_parts(0, 0), tenant_id: None, limited: None, asked };
            let answer = || Answer { mark, made: now, until: now, body: Bytes::from_static(b"x") };
            kept.keep(question.clone(), answer());
            // In the place of the one before.
            kept.keep(question, answer());
            assert!(kept.bytes <= MOST && kept.answers.len() * LONGEST <= MOST);
        }
        assert_eq!(kept.bytes, kept.answers.len() * (LONGEST + 1 + BESIDE));
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
