//! What can go wrong in handing over a message, and whether it may have arrived all the same.

use super::Reply;
use crate::tls::TlsError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Where in the session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Opening the TCP connection.
    Connect,
    /// Waiting for the greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// `MAIL FROM`.
    MailFrom,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// Sending the message, before its last octets.
    Message,
    /// From sending the last octets of the message to the reply: the server may have taken it.
    FinalReply,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Greeting => "waiting for the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::MailFrom => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "sending the message",
            Self::FinalReply => "waiting for the reply to the message",
        })
    }
}

/// Why a message was not handed over (or nobody knows: [`ClientError::maybe_accepted`]).
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// The server's socket.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The server took too long.
    #[error("the server took too long at the stage \"{stage}\"")]
    Timeout {
        /// Where.
        stage: Stage,
    },
    /// The connection ended early.
    #[error("the server closed the connection at the stage \"{stage}\"")]
    Closed {
        /// Where.
        stage: Stage,
        /// The system's reason; `None` is an orderly close.
        source: Option<io::Error>,
    },
    /// The server refused the session or the sender, or ended the session with 421.
    #[error("the server refused at the stage \"{stage}\": {reply}")]
    Refused {
        /// Where.
        stage: Stage,
        /// Its words.
        reply: Reply,
    },
    /// The server's answer is not SMTP.
    #[error("the server's answer at the stage \"{stage}\" is not SMTP: {what}")]
    Protocol {
        /// Where.
        stage: Stage,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The handshake failed; most often the certificate is not trusted or not for this name.
    #[error("no TLS session with {server_name}: {source}")]
    Tls {
        /// The name the certificate had to have.
        server_name: String,
        /// The TLS library's reason.
        source: io::Error,
    },
    /// TLS is required and the server does not offer STARTTLS.
    #[error("TLS is required, but {server_name} does not offer STARTTLS")]
    TlsNotOffered {
        /// The server.
        server_name: String,
    },
    /// The TLS settings could not be made.
    #[error(transparent)]
    TlsSettings(#[from] TlsError),
    /// Whoever wanted it sent took that back before the end of the message was sent.
    #[error("the message was held back before its end was sent")]
    HeldBack,
    /// `server_name` is no name a certificate could have.
    #[error("\"{0}\" is not a name or address a certificate can have")]
    ServerName(String),
    /// The name for EHLO has characters that do not belong in a command.
    #[error("the EHLO name \"{0}\" is not a domain name or address literal")]
    HelloName(String),
    /// No recipients were given.
    #[error("the envelope has no recipients")]
    NoRecipients,
    /// The message has a CR or LF outside CRLF and was not sent.
    #[error("octet {0} of the message is a CR or LF that is not part of CRLF; the message was not sent")]
    BareLineBreak(usize),
    /// The message is larger than the server's SIZE (RFC 1870) and was not sent.
    #[error("the message has {octets} octets, the server takes {limit}; it was not sent")]
    TooLarge {
        /// The message.
        octets: usize,
        /// The server's limit.
        limit: usize,
    },
}

impl ClientError {
    /// Whether the server may have taken the message although no reply says so. Sending it again may deliver it
    /// twice; not sending it again may lose it (RFC 5321 §6.1 prefers twice).
    pub fn maybe_accepted(&self) -> bool {
        matches!(
            self,
            Self::Timeout { stage: Stage::FinalReply }
                | Self::Closed { stage: Stage::FinalReply, .. }
                | Self::Protocol { stage: Stage::FinalReply, .. }
        )
    }

    /// Whether there was no connection at all: another address of the same server may do.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { stage: Stage::Connect })
    }

    /// Whether another attempt with the same message may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Protocol { .. }
            | Self::Tls { .. }
            | Self::TlsNotOffered { .. }
            | Self::TlsSettings(_)
            | Self::HeldBack => true,
            Self::Refused { reply, .. } => !reply.is_permanent(),
            Self::ServerName(_)
            | Self::HelloName(_)
            | Self::NoRecipients
            | Self::BareLineBreak(_)
            | Self::TooLarge { .. } => false,
        }
    }
}
