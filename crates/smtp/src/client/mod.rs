//! The client: hands one finished message to one server.
//!
//! The way of the data: connect (TCP, no delay) → greeting → EHLO → perhaps STARTTLS and EHLO again → MAIL, every
//! RCPT and DATA, in one segment where the server takes pipelining (RFC 2920) → the message, its dots doubled →
//! the reply, kept word by word: it names the server's queue id, or tells why not.
//!
//! It does not resolve names, choose a mail exchanger, authenticate, or try again; those are the caller's. A
//! message with 8-bit octets is sent as it is even to a server that does not announce 8BITMIME (RFC 6152 asks
//! for a conversion, which would break DKIM signatures); compose 7-bit messages to avoid the question.

mod connection;
mod error;
mod reply;
mod wire;

pub use connection::Connection;
pub use error::{ClientError, Stage};
pub use reply::{EnhancedStatus, Reply};

use model::EmailAddress;
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where to deliver.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's socket.
    pub address: SocketAddr,
    /// The server's name, which a checked certificate must have.
    pub server_name: String,
    /// Whether to encrypt.
    pub tls: TlsMode,
}

/// How STARTTLS (RFC 3207) is used.
#[derive(Debug, Clone)]
pub enum TlsMode {
    /// Never.
    None,
    /// When offered, without looking at the certificate; in plain text when the server does not offer it, refuses
    /// it or fails the handshake (RFC 7435). The usual way to a mail exchanger.
    Opportunistic,
    /// Always, with a certificate for `server_name` that the operating system's authorities vouch for. The way to
    /// a relay.
    Required,
    /// Always, with a certificate for `server_name` of one of these authorities (a private relay).
    RequiredBy(Arc<RootCertStore>),
}

/// Reverse path and recipients.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// `None` is the null reverse path of bounces.
    pub mail_from: Option<EmailAddress>,
    /// At least one.
    pub recipients: &'a [EmailAddress],
}

/// How long to wait for what. The defaults are shorter than RFC 5321 §4.5.3.2 where a queue is better served by a
/// later attempt than by a long wait.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For the TCP connection. Default 30 seconds.
    pub connect: Duration,
    /// For the greeting. Default 1 minute; servers use a delay here against spam.
    pub greeting: Duration,
    /// For the reply to a command, and for the TLS handshake. Default 2 minutes.
    pub command: Duration,
    /// For one piece of the message to be taken. Default 3 minutes.
    pub data_block: Duration,
    /// For the reply to the message. Default 10 minutes, as the RFC has it: giving up here sends it twice.
    pub final_reply: Duration,
    /// For the reply to QUIT; nothing depends on it. Default 1 second.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_mins(1),
            command: Duration::from_mins(2),
            data_block: Duration::from_mins(3),
            final_reply: Duration::from_mins(10),
            quit: Duration::from_secs(1),
        }
    }
}

/// What the server said about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The reply to each `RCPT TO`, in the order of the envelope.
    pub recipients: Vec<(EmailAddress, Reply)>,
    /// The reply to the message, or to `DATA` when that was refused; it holds for the recipients that were
    /// accepted. `None` when all recipients were refused: no message was sent.
    pub data: Option<Reply>,
    /// Whether the message went encrypted.
    pub tls: bool,
}

impl Delivery {
    /// The recipients for whom the server has taken the message.
    pub fn accepted(&self) -> impl Iterator<Item = &EmailAddress> {
        let taken = self.data.as_ref().is_some_and(Reply::is_success);
        self.recipients
            .iter()
            .filter(move |(_, reply)| taken && reply.is_success())
            .map(|(address, _)| address)
    }

    /// The reply that decides for a recipient: its own when that refuses, else the one to the message.
    pub fn outcome(&self) -> impl Iterator<Item = (&EmailAddress, &Reply)> {
        self.recipients.iter().map(|(address, reply)| {
            let deciding = if reply.is_success() { self.data.as_ref().unwrap_or(reply) } else { reply };
            (address, deciding)
        })
    }
}

/// Delivers one message over a connection of its own.
///
/// `raw` must have CRLF line breaks only; else nothing is sent. An error means that no recipient has the message,
/// unless [`ClientError::maybe_accepted`].
pub async fn deliver(
    target: &Target,
    helo: &str,
    envelope: &Envelope<'_>,
    raw: &[u8],
    timeouts: &Timeouts,
) -> Result<Delivery, ClientError> {
    deliver_if(target, helo, envelope, raw, timeouts, &mut || true).await
}

/// The same, but `go` is asked before the message and again before its last octets, without which the server has none of
/// it: [`ClientError::HeldBack`] after a no.
pub async fn deliver_if(
    target: &Target,
    helo: &str,
    envelope: &Envelope<'_>,
    raw: &[u8],
    timeouts: &Timeouts,
    go: &mut (dyn FnMut() -> bool + Send),
) -> Result<Delivery, ClientError> {
    connection::check(envelope, raw)?;
    let mut connection = Connection::open(target, helo, timeouts).await?;
    let delivery = connection.send_if(envelope, raw, go).await;
    // After any other error the session is out of step, and QUIT might become part of a message.
    if matches!(delivery, Ok(_) | Err(ClientError::Refused { .. })) {
        connection.close().await;
    }
    delivery
}
