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
mod password_rules;
pub mod reset;
pub mod sessions;
mod totp;

pub use login::Login;

use crate::{
    App,
    access::{Actor, Caller, Origin, Scope, ScopeSet},
    error::{Error, Result},
    ports::Random,
};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use model::{EmailAddress, OrgId, UserId};
use serde_json::json;
use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use store::{AuditEntry, Role, User};
use tokio::sync::Semaphore;

use crate::rate::RateLimiter;

/// What a role may do, the same in every organisation. What distinguishes an owner from an admin is in [`members`].
pub fn scopes_of(role: Role) -> ScopeSet {
    let viewer = [Scope::ReadDomains, Scope::ReadEmails, Scope::ReadEvents];
    match role {
        Role::Viewer => viewer.into_iter().collect(),
        Role::Member => {
            viewer.into_iter().chain([Scope::WriteDomains, Scope::WriteDns, Scope::SendEmails]).collect()
        }
        Role::Admin | Role::Owner => ScopeSet::all(),
    }
}

/// Whether a role is another one, or more.
pub fn is_at_least(role: Role, wanted: Role) -> bool {
    role as u8 >= wanted as u8
}

/// How many passwords are checked at the same time: each takes 19 MiB and a core.
const PASSWORDS_AT_ONCE: usize = 2;

/// How often one client may try to log in in a minute; how often it may try one account; how often all of them may, which
/// is more, so that a stranger does not keep the owner of an account out.
const TRIES_OF_CLIENT: u32 = 20;
const TRIES_OF_ACCOUNT: u32 = 5;
const TRIES_OF_ACCOUNT_BY_ALL: u32 = 60;

/// How many links an address is sent in a minute.
const LINKS_OF_ADDRESS: u32 = 2;

/// How many links to log in an address is sent in a day.
const LINKS_OF_DAY: u32 = 10;

/// How many lines of the audit log tell of refused logins of one user in a day, at each node: strangers fill no disk.
const REFUSALS_TOLD: u32 = 20;

/// How many tell of logins at the provider that were refused for the same reason.
const PROVIDER_REFUSALS_TOLD: u32 = 50;

const DAY: i64 = 24 * 3600;

/// A network, as clients are counted by it.
type Network = (IpAddr, u8);

/// The tries to log in of a minute.
struct Tries {
    clients: RateLimiter<Network>,
    accounts: RateLimiter<(String, Network)>,
    by_all: RateLimiter<String>,
}

impl Tries {
    fn new() -> Self {
        Self {
            clients: RateLimiter::new(TRIES_OF_CLIENT),
            accounts: RateLimiter::new(TRIES_OF_ACCOUNT),
            by_all: RateLimiter::new(TRIES_OF_ACCOUNT_BY_ALL),
        }
    }
}

/// Counts and places of those who want in.
pub(crate) struct Door {
    tries: Tries,
    /// Apart from IPv4, where nobody has more addresses than we can count.
    tries_v6: Tries,
    links: RateLimiter<String>,
    /// Counts users only: who asks for links of addresses that are nobody's uses up no room.
    links_of_day: RateLimiter<String>,
    /// Counts users only, too.
    refusals_told: RateLimiter<UserId>,
    /// Counts why logins at the provider were refused.
    provider_refusals: RateLimiter<&'static str>,
    passwords: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            tries: Tries::new(),
            tries_v6: Tries::new(),
            links_of_day: RateLimiter::in_window(LINKS_OF_DAY, DAY),
            refusals_told: RateLimiter::in_window(REFUSALS_TOLD, DAY),
            provider_refusals: RateLimiter::in_window(PROVIDER_REFUSALS_TOLD, DAY),
            links: RateLimiter::new(LINKS_OF_ADDRESS),
            passwords: Arc::new(Semaphore::new(PASSWORDS_AT_ONCE)),
        }
    }
}

impl Door {
    /// Counts a try to log in, or says why there can be none now.
    fn count_try(&self, address: IpAddr, account: &str, now: Timestamp) -> Result<()> {
        let limited = |what, allowed| move |retry_after| Error::RateLimited { what, allowed, retry_after };
        let address = address.to_canonical();
        let tries = if address.is_ipv4() { &self.tries } else { &self.tries_v6 };
        let networks = crate::check_gate::networks(address);
        let of_client = limited("tries to log in", TRIES_OF_CLIENT);
        tries.clients.admit(&networks, now).map_err(of_client)?;
        let of_account: Vec<_> =
            networks.iter().map(|(network, times)| ((account.to_owned(), *network), *times)).collect();
        let of_client = limited("tries to log in", TRIES_OF_ACCOUNT);
        tries.accounts.admit(&of_account, now).map_err(of_client)?;
        let by_all = [(account.to_owned(), 1)];
        let of_all = limited("tries to log in to this account", TRIES_OF_ACCOUNT_BY_ALL);
        tries.by_all.admit(&by_all, now).map_err(of_all)
    }
}

impl App {
    /// Counts a try to log in, or says why there can be none now.
    fn count_try(&self, origin: Origin, account: &str) -> Result<()> {
        let address = origin.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.door.count_try(address, account, self.clock.now())
    }

    /// Counts a client who goes to the provider of the login, or comes back from there.
    pub(crate) fn count_client(&self, origin: Origin) -> Result<()> {
        let address = origin.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        let tries = if address.is_ipv4() { &self.door.tries } else { &self.door.tries_v6 };
        let networks = crate::check_gate::networks(address);
        tries.clients.admit(&networks, self.clock.now()).map_err(|retry_after| Error::RateLimited {
            what: "tries to log in",
            allowed: TRIES_OF_CLIENT,
            retry_after,
        })
    }

    /// Tells of a login at the provider that was refused, in the organisation that it would have led to.
    pub(crate) fn tell_refused_provider(
        self: &Arc<Self>,
        reason: &'static str,
        org_id: Option<OrgId>,
        origin: Origin,
    ) {
        let now = self.clock.now();
        if self.door.provider_refusals.admit(&[(reason, 1)], now).is_err() {
            return;
        }
        let app = Arc::clone(self);
        self.running.spawn(async move {
            let told = async {
                let first = app.store.first_organisation().await?.map(|first| first.id);
                let Some(org_id) = org_id.or(first) else { return Ok(()) };
                let caller = Caller { actor: Actor::Visitor, origin, ..Caller::owner(org_id) };
                let data = json!({"by": "provider", "reason": reason});
                let entry = app.audit_entry(&caller, "user.login_refused", &"provider", &data, now);
                Result::Ok(app.store.add_audit(&entry).await?)
            };
            if let Err(error) = told.await {
                tracing::error!(%error, "a refused login could not be told");
            }
        });
    }

    /// The line about a user that whoever is not logged in has caused. It is in the log of the organisation that a login
    /// leads to; none where there is none.
    pub(crate) async fn visitor_s_entry(
        &self,
        user: &User,
        origin: Origin,
        action: &str,
        by: &str,
    ) -> Result<Option<AuditEntry>> {
        let memberships = self.store.memberships(user.id).await?;
        let Some(first) = memberships.first() else { return Ok(None) };
        let caller = Caller { actor: Actor::Visitor, origin, ..Caller::owner(first.org_id) };
        let now = self.clock.now();
        Ok(Some(self.audit_entry(&caller, action, &user.id, &json!({ "by": by }), now)))
    }

    /// Tells of a login that was refused, afterwards: the time that the answer takes does not say whether there is such a
    /// user.
    fn tell_refused(self: &Arc<Self>, user: &User, origin: Origin, by: &'static str) {
        if self.door.refusals_told.admit(&[(user.id, 1)], self.clock.now()).is_err() {
            return;
        }
        let (app, user) = (Arc::clone(self), user.clone());
        self.running.spawn(async move {
            let told = async {
                if let Some(entry) = app.visitor_s_entry(&user, origin, "user.login_refused", by).await? {
                    app.store.add_audit(&entry).await?;
                }
                Result::Ok(())
            };
            if let Err(error) = told.await {
                tracing::error!(%error, "a refused login could not be told");
            }
        });
    }
}

/// The secret of a session or a link: 260 bits.
pub(crate) fn new_secret(random: &Random) -> String {
    random.token(52)
}

/// What is stored of a secret. One of that much randomness needs no slow hash.
pub(crate) fn hash(secret: &str) -> Vec<u8> {
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
pub(crate) fn address(text: &str) -> Result<EmailAddress> {
    EmailAddress::parse(&text.trim().to_lowercase()).map_err(|error| Error::field("email", error.to_string()))
}

/// The name of a user.
pub(crate) fn name(text: &str) -> Result<String> {
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
    fn tries_are_counted_by_network_and_account_and_by_all() {
        let (door, now) = (Door::new(), Timestamp::UNIX_EPOCH);
        let count =
            |address: &str, account: &str| door.count_try(address.parse().unwrap(), account, now).is_ok();
        // One who tries wears out nobody else's tries; of IPv6 a whole /64 is one, however it is mapped.
        for _ in 0..TRIES_OF_ACCOUNT {
            assert!(count("192.0.2.1", "ann") && count("2001:db8::1", "ann"));
        }
        assert!(!count("::ffff:192.0.2.1", "ann") && !count("2001:db8::ffff:1", "ann"));
        assert!(count("192.0.2.2", "ann") && count("2001:db8:0:1::1", "ann") && count("192.0.2.1", "ben"));
        // Many addresses of IPv6 use up what is counted apart there, not here.
        for number in 0..20_000_u32 {
            count(&format!("2001:{:x}:{:x}::1", number >> 8, number & 0xff), "cora");
        }
        assert!(count("192.0.2.3", "dora"));
        // And there is a bound for all together.
        let tried = (0..200).filter(|number| count(&format!("198.51.100.{number}"), "eve")).count();
        assert_eq!(tried, TRIES_OF_ACCOUNT_BY_ALL as usize);
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        assert_eq!(address(" Ann@Example.NET ").unwrap().to_string(), "ann@example.net");
        assert!(address("ann").is_err());
        assert_eq!(name("  Ann\t Example ").unwrap(), "Ann Example");
        assert!(name("").is_err() && name(&"a".repeat(101)).is_err());
    }
}
