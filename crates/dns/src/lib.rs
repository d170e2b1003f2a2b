//! Asking the DNS, and answering it.
//!
//! Asking: [`wire`] turns a question into a packet and a packet into a reply; [`Client`] puts one question to one
//! server over UDP and TCP; [`observe()`] puts all the questions of a plan, round by round, and keeps every raw
//! answer as an observation; [`bulk()`] does that for many plans. Answering: [`authority`] holds the platform's own zones and serves them.
//!
//! Nothing here judges an answer: what a record means is for `diagnosis` and `mail`. There is no cache, no
//! recursion and no DNSSEC validation; recursive resolvers are asked for those.

pub mod authority;
mod bulk;
pub mod client;
mod name;
mod observe;
mod public;
mod resolve;
mod shared;
pub mod tsig;
pub mod wire;

pub use bulk::{BulkOptions, Observed, bulk};
pub use client::{Client, ClientOptions, Rate};
pub use observe::{observe, observe_on};
pub use public::is_public_name;
