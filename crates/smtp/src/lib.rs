//! SMTP (RFC 5321) on both sides: the listener that takes bounces, reports and submissions, and the client
//! that hands signed mail to a relay or to a recipient's mail exchanger.
//!
//! The way of the data:
//!
//! - in: socket → [`server`] session (commands, envelope, DATA with its dots undone) → [`server::Inbox`], which
//!   the application implements. The final `250` is written only after the inbox has returned, so nothing is
//!   acknowledged that is not stored.
//! - out: envelope and finished message bytes → [`client::deliver`] → one reply per recipient and one for the
//!   message, or a [`client::ClientError`] that says whether the message may have been taken anyway.
//!
//! What this crate does not do: it resolves no names (the caller passes a socket address), composes or signs no
//! mail, adds no `Received` field, knows no queue and no policy. It never installs a process-wide TLS provider.

pub mod client;
pub mod server;
pub mod tls;
