//! Writing records at DNS hosts: one adapter for each kind of host, all of them [`publish::ZoneProvider`].
//!
//! An adapter turns the steps of a batch into what its host takes, and what its host says into a [`publish::HostError`].
//! It decides nothing: what is to be written was planned before. Hosts that speak HTTP are reached through
//! [`publish::http::Exchange`], so that the rules of where requests may go are kept in one place, by whoever makes the
//! connection. One suite (`tests/it/suite`) holds them all to the same behaviour.

mod call;
pub mod cloudflare;
pub mod desec;
pub mod digitalocean;
pub mod gandi;
pub mod hetzner;
mod json;
mod outcome;
mod powerdns;
pub mod rfc2136;
pub mod route53;
mod secret;
mod sigv4;
mod text;
mod xml;

pub use cloudflare::Cloudflare;
pub use desec::Desec;
pub use digitalocean::DigitalOcean;
pub use gandi::Gandi;
pub use hetzner::Hetzner;
pub use powerdns::PowerDns;
pub use rfc2136::Rfc2136;
pub use route53::Route53;
pub use secret::Secret;

/// The time, in seconds since 1970.
pub type Now = std::sync::Arc<dyn Fn() -> u64 + Send + Sync>;
