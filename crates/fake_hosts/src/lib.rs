//! For tests and benches only: DNS hosts that cannot be had, as strict as the real ones are.
//!
//! A fake that takes everything proves nothing. These keep a host's rules (conflicts, quotas, ranges, pages, rights), say
//! no in its words and its codes, and can be told to fail in all the ways a network does. They do not claim to be
//! complete: what is refused here and taken there is a test too many, what is taken here and refused there would be a
//! fault that nobody sees, so a doubt is decided for the refusal.

pub mod account;
pub mod cloudflare;
pub mod desec;
pub mod digitalocean;
pub mod domain_connect;
pub mod gandi;
pub mod hetzner;
mod name_server;
mod plain;
mod presentation;
pub mod route53;
mod serve;

pub use account::{Fake, Held, Token, Zone};
pub use cloudflare::Cloudflare;
pub use desec::Desec;
pub use digitalocean::DigitalOcean;
pub use domain_connect::DomainConnect;
pub use gandi::Gandi;
pub use hetzner::Hetzner;
pub use name_server::NameServer;
pub use plain::{Cut, Plain};
pub use route53::Route53;
pub use serve::{Fault, Seen};
