//! People: what they are in which organisation, how they get in, and what they may do there.
//!
//! A user logs in with a password or a link that goes to the address, and with a second factor where one is set
//! ([`login`]); a session stands for that ([`sessions`]). A role is a fixed set of scopes ([`scopes_of`]), so what a page
//! may do is decided where it is decided for a key. New people come by an invitation ([`members`]), the first one by a
//! link that is shown where the platform runs.

pub mod account;
pub mod login;
pub mod members;
mod password;
pub mod sessions;
mod totp;

pub use login::Login;

use crate::{
    App,
    access::{Scope, ScopeSet},
    error::{Error, Result},
    ports::Random,
};
use aws_lc_rs::digest::{SHA256, digest};
use model::EmailAddress;
use std::{fmt::Write, net::IpAddr, sync::Arc};
use store::Role;
use tokio::sync::Semaphore;

use crate::rate::RateLimiter;

/// What a role may do, the same in every organisation. What distinguishes an owner from an admin is in [`members`].
pub fn scopes_of(role: Role) -> ScopeSet {
    let viewer = [Scope::ReadDomains, Scope::ReadEmails, Scope::ReadEvents];
    match role {
        Role::Viewer => viewer.into_iter().collect(),
        Role::Member => viewer.into_iter().chain([Scope::WriteDomains, Scope::SendEmails]).collect(),
        Role::Admin | Role::Owner => ScopeSet::all(),
    }
}

/// Whether a role is another one, or more.
pub fn is_at_least(role: Role, wanted: Role) -> bool {
    role as u8 >= wanted as u8
}

/// How many passwords are checked at the same time: each takes 19 MiB and a core.
const PASSWORDS_AT_ONCE: usize = 2;

/// How often one client may try to log in in a minute, and how often an account may be tried.
const TRIES_OF_CLIENT: u32 = 20;
const TRIES_OF_ACCOUNT: u32 = 5;

/// How many links an address is sent in a minute.
const LINKS_OF_ADDRESS: u32 = 2;

/// Counts and places of those who want in.
pub(crate) struct Door {
    clients: RateLimiter<(IpAddr, u8)>,
    accounts: RateLimiter<String>,
    links: RateLimiter<String>,
    passwords: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            clients: RateLimiter::new(TRIES_OF_CLIENT),
            accounts: RateLimiter::new(TRIES_OF_ACCOUNT),
            links: RateLimiter::new(LINKS_OF_ADDRESS),
            passwords: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
        }
    }
}

impl App {
    /// Counts a try to log in, or says why there can be none now.
    fn count_try(&self, address: IpAddr, account: &str) -> Result<()> {
        let now = self.clock.now();
        let limited =
            |allowed, retry_after| Error::RateLimited { what: "tries to log in", allowed, retry_after };
        let networks = crate::check_gate::networks(address.to_canonical());
        self.door.clients.admit(&networks, now).map_err(|after| limited(TRIES_OF_CLIENT, after))?;
        let account = (account.to_owned(), 1);
        self.door.accounts.admit(&[account], now).map_err(|after| limited(TRIES_OF_ACCOUNT, after))
    }
}

/// The secret of a session or a link: 260 bits.
fn new_secret(random: &Random) -> String {
    random.token(52)
}

/// What is stored of a secret. One of that much randomness needs no slow hash.
fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

/// Octets as hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// The address of a user: there is one user for it, however it is written.
fn address(text: &str) -> Result<EmailAddress> {
    EmailAddress::parse(&text.trim().to_lowercase()).map_err(|error| Error::field("email", error.to_string()))
}

/// The name of a user.
fn name(text: &str) -> Result<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::field("name", "give a name of 1 to 100 characters"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_the_scopes_of_the_one_below() {
        for (index, role) in Role::ALL.iter().enumerate() {
            for below in &Role::ALL[..index] {
                assert_eq!(scopes_of(*role).lacks(scopes_of(*below)), None);
                assert!(is_at_least(*role, *below) && !is_at_least(*below, *role));
            }
        }
        assert!(!scopes_of(Role::Viewer).allows(Scope::WriteDomains));
        assert!(!scopes_of(Role::Member).allows(Scope::Admin));
        assert!(!scopes_of(Role::Member).allows(Scope::WriteKeys));
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        assert_eq!(address(" Ann@Example.NET ").unwrap().to_string(), "ann@example.net");
        assert!(address("ann").is_err());
        assert_eq!(name("  Ann\t Example ").unwrap(), "Ann Example");
        assert!(name("").is_err() && name(&"a".repeat(101)).is_err());
    }
}
