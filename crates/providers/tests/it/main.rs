//! Adapters against real and strict hosts. Everything stays on 127.0.0.0/8.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail where it is")]

mod cloudflare;
mod desec;
mod digitalocean;
mod faked;
mod gandi;
mod hetzner;
mod powerdns;
mod rfc2136;
mod route53;
mod servers;
mod suite;
