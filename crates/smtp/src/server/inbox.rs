//! What the application implements behind the listener.

use model::EmailAddress;
use std::future::Future;
use std::net::SocketAddr;

/// Decides about recipients and stores messages.
///
/// Called from many connections at once; within one connection never concurrently. Either future is dropped when
/// it takes longer than the listener's timeouts or when the drain at shutdown runs out, and the client is then
/// told to try again: an implementation must be all or nothing (one transaction).
pub trait Inbox: Send + Sync + 'static {
    /// Whether mail for `to` is taken. Asked for every `RCPT TO`; `envelope` holds what was agreed before.
    fn recipient(
        &self,
        envelope: &EnvelopeSoFar,
        to: &EmailAddress,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Stores the message and returns its queue id. Once this has returned `Ok`, the client is told `250` and
    /// forgets the message: return only after the commit.
    fn accept(&self, message: Incoming) -> impl Future<Output = Result<String, Refusal>> + Send;
}

/// The envelope before the message itself: after `MAIL FROM`, with the recipients accepted so far.
#[derive(Debug, Clone)]
pub struct EnvelopeSoFar {
    /// The client's socket.
    pub client: SocketAddr,
    /// What the client called itself in EHLO or HELO; unchecked, printable ASCII, at most 255 octets.
    pub helo: String,
    /// Whether the session is encrypted.
    pub tls: bool,
    /// The reverse path; `None` is the null path of bounces (RFC 5321 §4.5.5).
    pub mail_from: Option<EmailAddress>,
    /// Octets announced by `SIZE=` (RFC 1870), when announced.
    pub declared_size: Option<usize>,
    /// Recipients accepted so far, each once.
    pub recipients: Vec<EmailAddress>,
}

/// A complete message with its envelope.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The client's socket.
    pub client: SocketAddr,
    /// What the client called itself in EHLO or HELO.
    pub helo: String,
    /// The reverse path; `None` is the null path of bounces.
    pub mail_from: Option<EmailAddress>,
    /// At least one, each once.
    pub recipients: Vec<EmailAddress>,
    /// The message as sent, its dots undone: every line break is CRLF. It may hold 8-bit octets and NUL, and
    /// its lines may be longer than 998 octets.
    pub raw: Vec<u8>,
    /// Whether the session was encrypted.
    pub tls: bool,
}

/// A refusal as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400–499 asks for another attempt, 500–599 is final.
    pub code: u16,
    /// Enhanced status `class.subject.detail` (RFC 3463); its class must be the code's first digit.
    pub enhanced: String,
    /// For people: what was seen and what to do. Anything but printable ASCII is sent as `?`.
    pub text: String,
}

impl Refusal {
    /// `451`: the client should try again later.
    pub fn temporary(enhanced: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: 451, enhanced: enhanced.into(), text: text.into() }
    }

    /// `550`: the client must not try again.
    pub fn permanent(enhanced: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: 550, enhanced: enhanced.into(), text: text.into() }
    }

    /// The same with another reply code, for the cases where `451` or `550` is not exact enough.
    #[must_use]
    pub fn with_code(mut self, code: u16) -> Self {
        self.code = code;
        self
    }

    /// Code and enhanced status that are safe to send: a refusal never turns into a success by a slip.
    pub(super) fn status(&self) -> (u16, String) {
        let code = if (400..600).contains(&self.code) { self.code } else { 451 };
        let class = if code < 500 { '4' } else { '5' };
        let mut parts = self.enhanced.split('.');
        let fits = self.enhanced.starts_with(class)
            && parts
                .by_ref()
                .take(3)
                .all(|p| matches!(p.len(), 1..=3) && p.bytes().all(|b| b.is_ascii_digit()))
            && parts.next().is_none()
            && self.enhanced.matches('.').count() == 2;
        (code, if fits { self.enhanced.clone() } else { format!("{class}.0.0") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stays_one() {
        assert_eq!(Refusal::permanent("5.1.1", "").status(), (550, "5.1.1".to_owned()));
        assert_eq!(Refusal::permanent("5.1.1", "").with_code(250).status(), (451, "4.0.0".to_owned()));
        assert_eq!(Refusal::temporary("5.1.1", "").status(), (451, "4.0.0".to_owned()));
        assert_eq!(Refusal::temporary("4.1\r\n250.1", "").status(), (451, "4.0.0".to_owned()));
        assert_eq!(Refusal::temporary("4.1", "").status(), (451, "4.0.0".to_owned()));
    }
}
