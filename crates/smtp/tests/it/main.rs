//! Listener and client over real loopback sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod client;
mod limits;
mod session;
mod smuggling;
mod support;
mod tls;
