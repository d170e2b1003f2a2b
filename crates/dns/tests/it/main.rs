//! The name server and the client, together and each against a hostile peer. Everything stays on 127.0.0.0/8.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail where it is")]

mod client;
mod codec;
mod corpus;
mod hostile;
mod interop;
mod model;
mod observe;
mod resolve;
mod respond;
mod server;
mod shared_sockets;
mod sub_zones;
mod support;
mod transfer;
mod wire;
