//! Who calls, and what they may do: API keys as they are read, and the [`Caller`] that every use case takes.
//!
//! A key is `cs_`, 32 characters of randomness (160 bits) and a checksum of 6, so that secret scanners can tell a
//! key from chance. Only its SHA-256 is stored; a key of that much randomness needs no slow hash. Making, rotating and
//! revoking keys is in [`crate::keys`].

pub use crate::scope::{Scope, ScopeSet};
use crate::{
    App,
    error::{Error, Result},
    idempotency::Reserved,
    keys::rights_of,
};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use model::{ApiKeyId, DomainId, OrgId, RequestId, TenantId, UserId};
use std::{net::IpAddr, sync::Arc};
use store::Visible;

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// An API key.
    Key(ApiKeyId),
    /// A user, at a page.
    User(UserId),
    /// The platform itself, or whoever stands at its machine.
    System,
    /// Somebody who is not logged in.
    Visitor,
}

/// Where a request came from: for the audit log, never for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The request's id, as problem documents and the log have it.
    pub request_id: Option<RequestId>,
}

/// The address of the client of a request, put into its extensions by whoever knows better than the connection: where
/// a trusted proxy stands in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Who calls, and what they may do. Every use case that belongs to an organisation takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organisation.
    pub org_id: OrgId,
    /// Who it is.
    pub actor: Actor,
    /// Where the request came from.
    pub origin: Origin,
    /// The id that what the request makes will have, where it came with an idempotency key.
    pub reserved: Option<Reserved>,
    /// The tenant whose things alone are seen and used: the key is bound to it, or the request named it.
    pub tenant_id: Option<TenantId>,
    /// The reference by which the request named a tenant that is not there yet: nothing is seen, `tenant_id` is the
    /// id that the tenant gets when something is added for it.
    pub new_tenant: Option<Arc<str>>,
    /// Whether the key is of whoever runs the platform.
    pub is_root: bool,
    /// The scopes; `admin` stands for all of them.
    pub scopes: ScopeSet,
    /// `None`: all domains. Empty: none.
    pub allowed_domain_ids: Option<Arc<[DomainId]>>,
    /// When the key ends; what it makes ends no later.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// Someone who may do everything in the organisation.
    pub fn owner(org_id: OrgId) -> Self {
        Self {
            org_id,
            actor: Actor::System,
            origin: Origin::default(),
            reserved: None,
            tenant_id: None,
            new_tenant: None,
            is_root: false,
            scopes: ScopeSet::all(),
            allowed_domain_ids: None,
            expires_at: None,
        }
    }

    /// The key, where a key was used.
    pub const fn key_id(&self) -> Option<ApiKeyId> {
        match self.actor {
            Actor::Key(id) => Some(id),
            Actor::User(_) | Actor::System | Actor::Visitor => None,
        }
    }

    /// Refuses a caller without the scope.
    pub fn require(&self, scope: Scope) -> Result<()> {
        if self.scopes.allows(scope) { Ok(()) } else { Err(Error::ScopeMissing(scope.as_str())) }
    }

    /// Refuses a caller who is limited to a tenant or to domains: this concerns more than that.
    pub(crate) fn require_whole_organisation(&self) -> Result<()> {
        match (self.tenant_id, &self.allowed_domain_ids) {
            (None, None) => Ok(()),
            _ => Err(Error::KeyIsLimited),
        }
    }

    /// Refuses a caller whose key is limited to other domains or another tenant. `named` is what the caller called the
    /// domain: no refusal says more of it.
    pub(crate) fn require_domain(&self, domain: &store::Domain, named: &dyn ToString) -> Result<()> {
        if self.tenant_id.is_some() && self.tenant_id != domain.tenant_id {
            return Err(Error::DomainTenantMismatch(named.to_string()));
        }
        match &self.allowed_domain_ids {
            Some(allowed) if !allowed.contains(&domain.id) => {
                Err(Error::DomainNotAllowedForKey(named.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// What is listed and found for this caller.
    pub fn visible(&self) -> Visible {
        let of_key = self.allowed_domain_ids.as_ref().map(|_| {
            // The store has the list of a key. Limited without a key, nothing is listed.
            self.key_id().unwrap_or(ApiKeyId::from_parts(0, 0))
        });
        Visible { org_id: self.org_id, tenant_id: self.tenant_id, of_key }
    }
}

const PREFIX: &str = "cs_";
const RANDOM_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;

/// The checksum at a key's end: the first characters of the SHA-256 of what is before it, in base 32.
fn checksum(text: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().take(CHECKSUM_LENGTH).map(|byte| ALPHABET[usize::from(byte & 31)] as char).collect()
}

/// Whether a text has a key's shape and checksum.
fn is_well_formed(secret: &str) -> bool {
    secret.len() == PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH
        && secret.is_ascii()
        && secret.starts_with(PREFIX)
        && checksum(&secret[..PREFIX.len() + RANDOM_LENGTH]) == secret[PREFIX.len() + RANDOM_LENGTH..]
}

fn hash(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

/// A new secret, with what is stored of it.
pub(crate) struct NewSecret {
    pub(crate) secret: String,
    pub(crate) hash: store::Hidden,
    pub(crate) display_prefix: String,
}

impl NewSecret {
    pub(crate) fn make(random: &crate::ports::Random) -> Self {
        let start = format!("{PREFIX}{}", random.token(RANDOM_LENGTH));
        let secret = format!("{start}{}", checksum(&start));
        let display_prefix = secret[..PREFIX.len() + 6].to_owned();
        Self { hash: store::Hidden::from(&hash(&secret)[..]), display_prefix, secret }
    }
}

impl App {
    /// Who holds this key.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller> {
        self.authenticate_at(secret, self.store.mark()).await
    }

    /// The same, where it was looked at what the database is like ([`App::store_mark`]) just before.
    pub async fn authenticate_at(&self, secret: &str, mark: Option<store::Mark>) -> Result<Caller> {
        if !is_well_formed(secret) {
            return Err(Error::Unauthenticated(
                "this is not an API key of this platform: one starts with cs_ and has 41 characters, and the last ones prove the others: look for one that was mistyped",
            ));
        }
        let hash = hash(secret);
        // Looked at before the key is: what is read now is at least as new.
        let caller = if let Some(caller) = self.known_keys.caller(&hash, mark) {
            caller
        } else {
            let found = Box::pin(self.store.find_api_key_by_hash(&hash)).await?;
            let (key, is_disabled) =
                found.ok_or(Error::Unauthenticated("this API key is unknown or revoked"))?;
            if is_disabled {
                return Err(Error::OrganisationDisabled);
            }
            let caller = rights_of(&key);
            self.known_keys.keep(hash, mark, &caller);
            caller
        };
        let now = self.clock.now();
        if caller.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Unauthenticated("this API key has expired or was rotated; use its successor"));
        }
        if let Some(id) = caller.key_id() {
            self.known_keys.used(id, now);
        }
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::OrgId;

    #[test]
    fn keys_carry_a_checksum() {
        let start = format!("cs_{}", "a".repeat(32));
        let secret = format!("{start}{}", checksum(&start));
        assert!(is_well_formed(&secret));
        assert!(!is_well_formed(&format!("cs_{}", "a".repeat(38))));
        assert!(!is_well_formed("cs_ä"));
        assert!(!is_well_formed(""));
    }

    #[test]
    fn scopes_are_needed_and_admin_stands_for_all() {
        let mut caller = Caller::owner(OrgId::from_parts(0, 0));
        caller.scopes = [Scope::ReadDomains].into_iter().collect();
        assert!(caller.require(Scope::ReadDomains).is_ok());
        assert!(matches!(caller.require(Scope::SendEmails), Err(Error::ScopeMissing("send:emails"))));
        caller.scopes = [Scope::Admin].into_iter().collect();
        assert!(caller.require(Scope::SendEmails).is_ok());
    }

    #[test]
    fn who_is_limited_without_a_key_sees_nothing() {
        let limited =
            Caller { allowed_domain_ids: Some(Arc::new([])), ..Caller::owner(OrgId::from_parts(0, 0)) };
        assert_eq!(limited.visible().of_key, Some(ApiKeyId::from_parts(0, 0)));
        assert!(limited.require_whole_organisation().is_err());
    }
}
