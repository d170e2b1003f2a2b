//! What hosts have in common that take and give JSON and are opened by a token: one call, and writes that are done one by one.

use crate::{
    Secret,
    call::{self, Failed},
    text::Escapes,
};
use model::{DomainName, RecordData, RecordType};
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

    /// What a refusal comes to, with the host's words. An error of the host's own says nothing of how far it came, whatever its
    /// words are; nor does a request that took too long (RFC 9110 §15.5.9) or came too early (RFC 8470 §5.2).
    pub(crate) fn failed(&self, refusal: Refusal, status: u16, words: &str) -> Failed {
        let is_unexpected = matches!(refusal, Refusal::Unexpected { .. });
        let is_open = is_unknown(status) || is_unexpected && !(400..500).contains(&status);
        Failed {
            error: HostError::saying(refusal, words, &[self.token.expose()]),
            is_open,
            is_under_way: false,
        }
    }
}

/// Whether a status leaves open what was done.
pub(crate) const fn is_unknown(status: u16) -> bool {
    matches!(status, 408 | 425 | 500..)
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

/// Data in zone file form as these hosts tell it: a name of a target that has no final dot has the zone's name behind it. `None`
/// for what is damaged or not read here.
pub(crate) fn data(of_type: RecordType, text: &str, apex: &DomainName) -> Option<RecordData> {
    let has_target = matches!(
        of_type,
        RecordType::Cname | RecordType::Mx | RecordType::Ns | RecordType::Ptr | RecordType::Srv
    );
    let text = text.trim();
    if has_target && text.is_empty() {
        return None;
    }
    if !has_target || text.ends_with('.') {
        return Escapes::Decimal.parse(of_type, text);
    }
    let (front, target) = text.rsplit_once(' ').unwrap_or_default();
    let target = if front.is_empty() { text } else { target };
    let full = owner(target, apex)?.absolute();
    Escapes::Decimal.parse(of_type, &format!("{front} {full}"))
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
        if failed.is_under_way {
            return WriteError { error: failed.error, done: Done::UnderWay };
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_zone_or_full() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let apex = name("acme.test");
        let read = |of_type, text| data(of_type, text, &apex);
        assert_eq!(read(RecordType::Cname, "www"), Some(RecordData::Cname(name("www.acme.test"))));
        assert_eq!(read(RecordType::Cname, "www.acme.test."), Some(RecordData::Cname(name("www.acme.test"))));
        assert_eq!(read(RecordType::Cname, "@"), Some(RecordData::Cname(apex.clone())));
        let exchange = name("mx.acme.test");
        assert_eq!(read(RecordType::Mx, "10 mx"), Some(RecordData::Mx { preference: 10, exchange }));
        let exchange = DomainName::root();
        assert_eq!(read(RecordType::Mx, "0 ."), Some(RecordData::Mx { preference: 0, exchange }));
        assert_eq!(read(RecordType::Mx, "mx"), None);
        assert_eq!(read(RecordType::Cname, " "), None);
        assert_eq!(relative(&name("a.b.acme.test"), &apex).as_deref(), Some("a.b"));
        assert_eq!(relative(&apex, &apex).as_deref(), Some("@"));
        assert_eq!(relative(&name("acme.test.other.test"), &apex), None);
        assert_eq!(owner("*.b", &apex), Some(name("*.b.acme.test")));
        let odd = DomainName::from_labels([&b"a\x00b"[..], b"acme", b"test"]).unwrap();
        assert_eq!(relative(&odd, &apex), None);
    }
}
