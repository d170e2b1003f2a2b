//! One request to a host that speaks HTTP, and what came of it.

use publish::{
    Done, HostError, Refusal, WriteError,
    http::{Exchange, HttpAnswer, HttpRequest, NoAnswer},
};
use std::time::Duration;

/// The longest that a host may ask us to wait, in seconds, before it is asked again; else whoever waits is told.
const PATIENCE: u32 = 5;
/// How often a host that asks us to wait is asked again.
const TRIES: u32 = 2;

/// A request that came to nothing.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: HostError,
    /// It was sent, and whether it was done is not known.
    pub(crate) is_open: bool,
    /// It was taken, and may be done at any time from now on.
    pub(crate) is_under_way: bool,
}

impl Failed {
    /// The host said no.
    pub(crate) const fn refused(error: HostError) -> Self {
        Self { error, is_open: false, is_under_way: false }
    }

    pub(crate) fn into_write_error(self) -> WriteError {
        let done = match (self.is_under_way, self.is_open) {
            (true, _) => Done::UnderWay,
            (false, true) => Done::Unknown,
            (false, false) => Done::Nothing,
        };
        WriteError { error: self.error, done }
    }
}

/// Sends a request. A host that has too much to do and says when it has time is waited for, for some seconds.
pub(crate) async fn send(
    exchange: &dyn Exchange,
    request: HttpRequest,
    secrets: &[&str],
) -> Result<HttpAnswer, Failed> {
    for tried in 0.. {
        let answer = exchange.send(request.clone()).await.map_err(|failure| {
            let (words, is_open) = match &failure {
                NoAnswer::NotSent(words) => (words, false),
                NoAnswer::Lost(words) => (words, true),
            };
            Failed {
                error: HostError::saying(Refusal::Unreachable, words, secrets),
                is_open,
                is_under_way: false,
            }
        })?;
        match retry_after(&answer) {
            Some(seconds) if answer.status == 429 && seconds <= PATIENCE && tried < TRIES => {
                tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
            }
            _ => return Ok(answer),
        }
    }
    Err(Failed::refused(HostError::bare(Refusal::Unreachable)))
}

/// When a host wants to be asked again, in seconds.
pub(crate) fn retry_after(answer: &HttpAnswer) -> Option<u32> {
    answer.header("retry-after")?.trim().parse().ok()
}

/// A value within a path or query: all but what RFC 3986 §2.3 leaves alone is escaped.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(octet));
        } else {
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

/// The names whose zones are asked for: that which DNS tells, where it tells one; else the name and those above it, as
/// far as a name can be a zone of a customer's.
///
/// Where DNS tells the zone, no other is asked for: records in one above or below it would be seen by nobody.
pub(crate) fn zones_of(name: &model::DomainName, told: Option<&model::DomainName>) -> Vec<model::DomainName> {
    match told {
        Some(told) if told.label_count() > 1 && name.is_at_or_below(told) => vec![told.clone()],
        // A suffix below which others register is nobody's zone of these.
        _ => name
            .ancestors()
            .filter(|zone| model::registrable_domain(zone).is_some())
            .take(MOST_ZONES)
            .collect(),
    }
}

/// How far up zones are asked for.
const MOST_ZONES: usize = 6;

/// What came cannot be read.
pub(crate) fn nonsense() -> HostError {
    HostError::saying(
        Refusal::Unexpected { status: None },
        "the answer is not what its documentation says",
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::DomainName;

    #[test]
    fn the_zone_that_dns_tells_is_the_only_one() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let mail = name("mail.eu.acme.test");
        assert_eq!(zones_of(&mail, Some(&name("acme.test"))), [name("acme.test")]);
        for told in [None, Some(name("test")), Some(name("other.test"))] {
            assert_eq!(
                zones_of(&mail, told.as_ref()),
                [mail.clone(), name("eu.acme.test"), name("acme.test")]
            );
        }
        assert_eq!(zones_of(&name("1.2.3.4.5.6.7.8.test"), None).len(), MOST_ZONES);
        assert_eq!(zones_of(&name("shop.acme.co.uk"), None), [name("shop.acme.co.uk"), name("acme.co.uk")]);
        assert_eq!(encoded("a b&c=\u{e4}"), "a%20b%26c%3D%C3%A4");
    }
}
