//! API keys: what they look like, and what their holder may do.
//!
//! A key is `cs_`, 32 characters of randomness (160 bits) and a checksum of 6, so that secret scanners can tell a
//! key from chance. Only its SHA-256 is stored; a key of that much randomness needs no slow hash.

use crate::{
    App,
    error::{Error, Result},
};
use aws_lc_rs::digest::{SHA256, digest};
use model::{ApiKeyId, DomainId, DomainName, OrgId, TenantId};

/// What a key may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// See domains, records and reports.
    ReadDomains,
    /// Add, verify and delete domains.
    WriteDomains,
    /// Send mail.
    SendEmails,
    /// See messages and what became of them.
    ReadEmails,
    /// Everything that concerns the instance itself, such as the playground and the sandbox inbox.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] =
        [Self::ReadDomains, Self::WriteDomains, Self::SendEmails, Self::ReadEmails, Self::Admin];

    /// The word in keys and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadDomains => "read:domains",
            Self::WriteDomains => "write:domains",
            Self::SendEmails => "send:emails",
            Self::ReadEmails => "read:emails",
            Self::Admin => "admin",
        }
    }
}

/// Who calls, and what they may do. Every use case that belongs to an organisation takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organisation.
    pub org_id: OrgId,
    /// The key, where a key was used.
    pub key_id: Option<ApiKeyId>,
    /// The tenant that the key is bound to.
    pub tenant_id: Option<TenantId>,
    /// The scopes; `admin` stands for all of them.
    pub scopes: Vec<String>,
    /// `None`: all domains. Empty: none.
    pub allowed_domain_ids: Option<Vec<DomainId>>,
}

impl Caller {
    /// Someone who may do everything in the organisation.
    pub fn owner(org_id: OrgId) -> Self {
        let scopes = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect();
        Self { org_id, key_id: None, tenant_id: None, scopes, allowed_domain_ids: None }
    }

    /// Refuses a caller without the scope.
    pub fn require(&self, scope: Scope) -> Result<()> {
        let holds = |wanted: Scope| self.scopes.iter().any(|held| held == wanted.as_str());
        if holds(scope) || holds(Scope::Admin) { Ok(()) } else { Err(Error::ScopeMissing(scope.as_str())) }
    }

    /// Refuses a caller whose key is limited to other domains or another tenant.
    pub fn require_domain(&self, domain: &store::Domain) -> Result<()> {
        if self.tenant_id.is_some() && self.tenant_id != domain.tenant_id {
            return Err(Error::DomainTenantMismatch(domain.name.clone()));
        }
        self.require_listed(domain.id, &domain.name)
    }

    fn require_listed(&self, id: DomainId, name: &DomainName) -> Result<()> {
        match &self.allowed_domain_ids {
            Some(allowed) if !allowed.contains(&id) => Err(Error::DomainNotAllowedForKey(name.clone())),
            _ => Ok(()),
        }
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

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

impl App {
    /// Makes a key that may do what `rights` may, and returns its secret, which is never shown again.
    pub async fn create_api_key(&self, name: &str, rights: &Caller) -> Result<String> {
        let now = self.clock.now();
        let start = format!("{PREFIX}{}", self.random.token(RANDOM_LENGTH));
        let secret = format!("{start}{}", checksum(&start));
        self.store
            .insert_api_key(
                &store::NewApiKey {
                    id: self.random.api_key_id(now),
                    org_id: rights.org_id,
                    name: name.to_owned(),
                    secret_hash: hash(&secret).into(),
                    display_prefix: secret[..PREFIX.len() + 6].to_owned(),
                    scopes: rights.scopes.clone(),
                    allowed_domain_ids: rights.allowed_domain_ids.clone(),
                    tenant_id: rights.tenant_id,
                    created_at: now,
                },
                &[],
            )
            .await?;
        Ok(secret)
    }

    /// Who holds this key.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller> {
        if !is_well_formed(secret) {
            return Err(Error::Unauthenticated(
                "this is not an API key of this platform: one starts with cs_ and has 41 characters",
            ));
        }
        let found = self.store.find_api_key_by_hash(&hash(secret)).await?;
        let Some(key) = found else {
            return Err(Error::Unauthenticated("this API key is unknown or revoked"));
        };
        // Only a note for people: a database that cannot be written to is no reason to refuse a read.
        if let Err(error) = self.store.touch_api_key(key.id, self.clock.now()).await {
            tracing::warn!(%error, "the last use of an API key could not be noted");
        }
        Ok(Caller {
            org_id: key.org_id,
            key_id: Some(key.id),
            tenant_id: key.tenant_id,
            scopes: key.scopes,
            allowed_domain_ids: key.allowed_domain_ids,
        })
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
        caller.scopes = vec!["read:domains".into()];
        assert!(caller.require(Scope::ReadDomains).is_ok());
        assert!(matches!(caller.require(Scope::SendEmails), Err(Error::ScopeMissing("send:emails"))));
        caller.scopes = vec!["admin".into()];
        assert!(caller.require(Scope::SendEmails).is_ok());
    }
}
