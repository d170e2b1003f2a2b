//! What hosts have in common that take and give JSON and are opened by a token: one call, and writes that are done one by one.

use crate::{
    Secret,
    call::{self, Failed},
};
use model::DomainName;
use publish::{
    Done, HostError, Refusal, WriteError, Written,
    http::{Exchange, HttpAnswer, HttpRequest},
};
use serde_json::Value;

/// An account: the way to its host, and the token that opens it.
pub(crate) struct Account {
    exchange: Box<dyn Exchange>,
    token: Secret,
    /// What stands in front of the token: `Bearer`, `Token`.
    scheme: &'static str,
}

impl Account {
    pub(crate) fn new(exchange: Box<dyn Exchange>, token: Secret, scheme: &'static str) -> Self {
        Self { exchange, token, scheme }
    }

    /// Sends a request, and reads the whole answer, whatever it is.
    pub(crate) async fn send(
        &self,
        method: &'static str,
        target: String,
        body: Option<&Value>,
    ) -> Result<HttpAnswer, Failed> {
        let mut headers = vec![
            ("authorization", format!("{} {}", self.scheme, self.token.expose())),
            ("accept", "application/json".to_owned()),
        ];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = HttpRequest { method, target, headers, body };
        call::send(&*self.exchange, request, &[self.token.expose()]).await
    }

    /// What a refusal comes to, with the host's words. An error of the host's own says nothing of how far it came.
    pub(crate) fn failed(&self, refusal: Refusal, status: u16, words: &str) -> Failed {
        let is_open = matches!(refusal, Refusal::Unexpected { .. }) && !(400..500).contains(&status);
        Failed { error: HostError::saying(refusal, words, &[self.token.expose()]), is_open }
    }
}

/// The body of an answer; `Null` where it is no JSON.
pub(crate) fn body(answer: &HttpAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// Whether an answer is a yes.
pub(crate) fn is_yes(answer: &HttpAnswer) -> bool {
    (200..300).contains(&answer.status)
}

/// The labels in front of the zone's name, `@` at the topmost name. `None` outside of the zone, and for names with octets that
/// no host's documentation says how to write.
pub(crate) fn relative(owner: &DomainName, apex: &DomainName) -> Option<String> {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.*".contains(&octet);
    owner.relative_to(apex).filter(|name| name == "@" || name.bytes().all(is_plain))
}

/// The name that labels in front of the zone's name make; `@` and nothing are the topmost name.
pub(crate) fn owner(labels: &str, apex: &DomainName) -> Option<DomainName> {
    match labels {
        "" | "@" => Some(apex.clone()),
        labels => apex.prepend(labels).ok(),
    }
}

/// What was done of steps that a host does one by one.
#[derive(Debug, Default)]
pub(crate) struct Progress(Vec<Written>);

impl Progress {
    pub(crate) fn done(&mut self, step: u16, id: Option<String>) {
        self.0.push(Written { step, id });
    }

    pub(crate) fn written(self) -> Vec<Written> {
        self.0
    }

    /// One failed: those before it are done, and nobody knows of one whose answer was lost.
    pub(crate) fn stopped(self, failed: Failed) -> WriteError {
        let done = match (failed.is_open, self.0.is_empty()) {
            (true, _) => Done::Unknown,
            (false, true) => Done::Nothing,
            (false, false) => Done::Steps(self.0),
        };
        WriteError { error: failed.error, done }
    }
}

/// A batch of which nothing was written.
pub(crate) const fn untouched(error: HostError) -> WriteError {
    WriteError { error, done: Done::Nothing }
}
