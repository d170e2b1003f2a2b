//! API keys: making, looking at, rotating and revoking them.
//!
//! One rule stands above all: a key gives no right that whoever makes it does not have. It is asked of scopes, tenant,
//! domains and the time at which it ends, and of every key that is rotated, since rotating shows a new secret with the
//! rights of the old one. Revoking is at once: a request asks the database for its key.

use crate::{
    App,
    access::{Actor, Caller, NewSecret, Origin, Scope, ScopeSet},
    error::{Error, FieldError, Result},
};
use jiff::{SignedDuration, Timestamp};
use model::{ApiKeyId, DomainId, TenantId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{ApiKey, NewApiKey, StoreError, Successor};

/// How many keys one organisation may have that are neither revoked nor over.
const MOST_KEYS: u64 = 1_000;

/// How many domains one key may list.
pub const MOST_DOMAINS: usize = 1_000;

/// How long a name may be, in characters.
const MOST_NAME: usize = 100;

/// How long the old secret of a rotated key works on, unless the request says otherwise, in seconds: a day.
pub const DEFAULT_OVERLAP: u32 = 86_400;

/// The longest overlap, in seconds: 30 days.
pub const MOST_OVERLAP: u32 = 30 * 86_400;

/// A key to make.
#[derive(Debug, Clone, Default)]
pub struct CreateKey {
    /// Its name, for people.
    pub name: String,
    /// The words of its scopes.
    pub scopes: Vec<String>,
    /// The only domains that it may use; nothing for all.
    pub allowed_domain_ids: Option<Vec<DomainId>>,
    /// The tenant that it is bound to.
    pub tenant_id: Option<TenantId>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A key with its secret, which is shown this once.
#[derive(Debug)]
pub struct KeyWithSecret {
    /// The key.
    pub key: ApiKey,
    /// What goes into requests.
    pub secret: Secret,
}

/// A secret that `Debug` does not show.
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl App {
    /// Makes a key that may do what `rights` may, and returns its secret, which is never shown again. For the first
    /// key, before anybody has one; who has one uses [`Self::make_key`].
    pub async fn create_api_key(&self, name: &str, rights: &Caller) -> Result<String> {
        let made = self.store_key(name, rights, &Caller::owner(rights.org_id)).await?;
        Ok(made.secret.0)
    }

    /// Makes a key for a caller, with no more rights than the caller has.
    pub async fn make_key(&self, caller: &Caller, request: &CreateKey) -> Result<KeyWithSecret> {
        caller.require(Scope::WriteKeys)?;
        if let Some(made) = self.key_made_before(caller).await? {
            return Ok(made);
        }
        let name = checked_name(&request.name)?;
        let scopes = checked_scopes(&request.scopes)?;
        let now = self.clock.now();
        if request.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::field("expires_at", "is in the past"));
        }
        if let Some(scope) = caller.scopes.lacks(scopes) {
            return Err(exceeds(format!("the scope {}", scope.as_str())));
        }
        // What is not said is as with the key that makes it.
        let expires_at = request.expires_at.or(caller.expires_at);
        if ends_later(expires_at, caller.expires_at) {
            return Err(exceeds("an end after its own".to_owned()));
        }
        let domains = self.checked_domains(caller, request).await?;
        let tenant_id = self.tenant_for_new(caller, request.tenant_id).await?;
        let rights = Caller {
            org_id: caller.org_id,
            actor: Actor::System,
            origin: Origin::default(),
            reserved: None,
            tenant_id,
            new_tenant: None,
            is_root: false,
            scopes,
            allowed_domain_ids: domains.map(Into::into),
            expires_at,
        };
        self.store_key(name, &rights, caller).await
    }

    /// The domains that the key may use: each there, and each one that the caller may use.
    async fn checked_domains(&self, caller: &Caller, request: &CreateKey) -> Result<Option<Vec<DomainId>>> {
        let Some(given) = &request.allowed_domain_ids else {
            return match &caller.allowed_domain_ids {
                None => Ok(None),
                Some(_) => {
                    Err(exceeds("all domains; give allowed_domain_ids with some of its own".to_owned()))
                }
            };
        };
        if given.len() > MOST_DOMAINS {
            let message = format!("has {} domains; {MOST_DOMAINS} are allowed", given.len());
            return Err(Error::field("allowed_domain_ids", message));
        }
        let mut errors = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, &id) in given.iter().enumerate() {
            if !seen.insert(id) {
                continue;
            }
            match self.stored_domain(caller, id).await {
                // A tenant's key can list no domain of another tenant: it could never use it.
                Ok(domain) if request.tenant_id.is_none() || domain.tenant_id == request.tenant_id => {}
                Ok(_)
                | Err(
                    Error::NotFound { .. }
                    | Error::DomainTenantMismatch(_)
                    | Error::DomainNotAllowedForKey(_),
                ) => errors.push(FieldError {
                    field: format!("allowed_domain_ids[{index}]"),
                    message: format!("there is no domain {id} that this key could be given"),
                }),
                Err(error) => return Err(error),
            }
        }
        if errors.is_empty() { Ok(Some(seen.into_iter().collect())) } else { Err(Error::Invalid(errors)) }
    }

    async fn store_key(&self, name: &str, rights: &Caller, maker: &Caller) -> Result<KeyWithSecret> {
        let (new, secret) = self.new_key(name, rights, maker);
        let audit = self.audit_entry(maker, "key.created", &new.id, &told_of(&new), new.created_at);
        self.store.insert_api_key(&new, MOST_KEYS, &audit).await?;
        tracing::info!(key = %new.id, org = %new.org_id, "an API key was made");
        Ok(KeyWithSecret { key: as_stored(new), secret })
    }

    fn new_key(&self, name: &str, rights: &Caller, maker: &Caller) -> (NewApiKey, Secret) {
        let now = self.clock.now();
        let made = NewSecret::make(&self.random);
        let new = NewApiKey {
            id: maker.id_or(ApiKeyId::from_parts, self.random.api_key_id(now)),
            org_id: rights.org_id,
            name: name.to_owned(),
            secret_hash: made.hash,
            display_prefix: made.display_prefix,
            scopes: rights.scopes.words(),
            allowed_domain_ids: rights.allowed_domain_ids.as_ref().map(|ids| ids.to_vec()),
            tenant_id: rights.tenant_id,
            created_at: now,
            created_by: maker.key_id(),
            expires_at: rights.expires_at,
            is_root: rights.is_root,
        };
        (new, Secret(made.secret))
    }

    /// The key that the same request made before, where its answer was lost: with a new secret, since nobody has the old
    /// one.
    async fn key_made_before(&self, caller: &Caller) -> Result<Option<KeyWithSecret>> {
        let Some(id) = caller.made_before(ApiKeyId::from_parts) else { return Ok(None) };
        let Ok(key) = self.store.get_api_key(&caller.visible(), id).await else { return Ok(None) };
        let made = NewSecret::make(&self.random);
        self.store.renew_api_key(id, &made.hash, &made.display_prefix).await?;
        let key = ApiKey { display_prefix: made.display_prefix, ..key };
        Ok(Some(KeyWithSecret { key, secret: Secret(made.secret) }))
    }

    /// A key that the caller sees.
    pub async fn key(&self, caller: &Caller, id: ApiKeyId) -> Result<ApiKey> {
        caller.require(Scope::WriteKeys)?;
        match self.store.get_api_key(&caller.visible(), id).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "API key", id: id.to_string() }),
            other => Ok(self.with_last_use(other?)),
        }
    }

    /// The keys that the caller sees, newest first, those that are revoked or over too.
    pub async fn keys(&self, caller: &Caller, after: Option<ApiKeyId>, limit: u32) -> Result<Vec<ApiKey>> {
        caller.require(Scope::WriteKeys)?;
        let keys = self.store.list_api_keys(&caller.visible(), after, limit).await?;
        Ok(keys.into_iter().map(|key| self.with_last_use(key)).collect())
    }

    /// With the last use at this node, where that is not written down yet.
    fn with_last_use(&self, key: ApiKey) -> ApiKey {
        let last_used_at = key.last_used_at.max(self.known_keys.last_use(key.id));
        ApiKey { last_used_at, ..key }
    }

    /// Makes a key with the rights of this one, which works on for `overlap_seconds`.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        id: ApiKeyId,
        overlap_seconds: u32,
    ) -> Result<KeyWithSecret> {
        let old = self.key(caller, id).await?;
        if let Some(made) = self.key_made_before(caller).await? {
            return Ok(made);
        }
        if overlap_seconds > MOST_OVERLAP {
            let message = format!("is more than {MOST_OVERLAP} seconds (30 days)");
            return Err(Error::field("overlap_seconds", message));
        }
        let now = self.clock.now();
        if old.revoked_at.is_some()
            || old.replaced_by.is_some()
            || old.expires_at.is_some_and(|end| end <= now)
        {
            return Err(Error::KeyNotActive(id));
        }
        let rights = rights_of(&old);
        require_no_wider(caller, &rights)?;
        let (new, secret) = self.new_key(&old.name, &rights, caller);
        let overlap = SignedDuration::from_secs(i64::from(overlap_seconds));
        let old_ends_at = now.checked_add(overlap).unwrap_or(Timestamp::MAX);
        let successor = Successor { key: &new, old: id, old_ends_at };
        let mut data = told_of(&new);
        data["old_ends_at"] = json!(old_ends_at);
        data["successor"] = json!(new.id);
        let audit = self.audit_entry(caller, "key.rotated", &id, &data, now);
        match self.store.replace_api_key(successor, &audit).await {
            Err(StoreError::StaleVersion) => return Err(Error::KeyNotActive(id)),
            other => other?,
        }
        tracing::info!(key = %id, successor = %new.id, overlap_seconds, "an API key was rotated");
        Ok(KeyWithSecret { key: as_stored(new), secret })
    }

    /// Revokes a key: the next request with it is refused, on every node.
    pub async fn revoke_key(&self, caller: &Caller, id: ApiKeyId) -> Result<()> {
        let key = self.key(caller, id).await?;
        require_no_wider(caller, &rights_of(&key))?;
        let now = self.clock.now();
        let audit = self.audit_entry(caller, "key.revoked", &id, &json!({"name": key.name}), now);
        self.store.revoke_api_key(caller.org_id, id, now, &audit).await?;
        tracing::info!(key = %id, "an API key was revoked");
        Ok(())
    }
}

/// What the audit log says of a new key: all but the secret, and what is made of it.
fn told_of(new: &NewApiKey) -> Value {
    json!({
        "name": new.name,
        "scopes": new.scopes,
        "allowed_domain_ids": new.allowed_domain_ids,
        "tenant_id": new.tenant_id,
        "expires_at": new.expires_at,
    })
}

/// What a stored key may do.
pub(crate) fn rights_of(key: &ApiKey) -> Caller {
    Caller {
        org_id: key.org_id,
        actor: Actor::Key(key.id),
        origin: Origin::default(),
        reserved: None,
        tenant_id: key.tenant_id,
        new_tenant: None,
        is_root: key.is_root,
        scopes: ScopeSet::from_words(&key.scopes),
        allowed_domain_ids: key.allowed_domain_ids.clone().map(Into::into),
        expires_at: key.expires_at,
    }
}

/// Whoever ends, revokes or rotates a key could do all that the key can. The own key is never wider, but where the
/// request was narrowed to a tenant.
fn require_no_wider(caller: &Caller, key: &Caller) -> Result<()> {
    if let Some(scope) = caller.scopes.lacks(key.scopes) {
        return Err(exceeds(format!("the scope {}", scope.as_str())));
    }
    if caller.tenant_id.is_some() && caller.tenant_id != key.tenant_id {
        return Err(exceeds("all tenants".to_owned()));
    }
    let has_more_domains = match (&caller.allowed_domain_ids, &key.allowed_domain_ids) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(own), Some(theirs)) => theirs.iter().any(|id| !own.contains(id)),
    };
    if has_more_domains {
        return Err(exceeds("other domains".to_owned()));
    }
    if ends_later(key.expires_at, caller.expires_at) {
        return Err(exceeds("an end after its own".to_owned()));
    }
    Ok(())
}

fn ends_later(end: Option<Timestamp>, than: Option<Timestamp>) -> bool {
    match (end, than) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(end), Some(than)) => end > than,
    }
}

fn exceeds(what: String) -> Error {
    Error::KeyRightsExceeded(what)
}

pub(crate) fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MOST_NAME || name.chars().any(char::is_control) {
        let message =
            format!("give a name of 1 to {MOST_NAME} characters by which people know what the key is for");
        return Err(Error::field("name", message));
    }
    Ok(name)
}

fn checked_scopes(words: &[String]) -> Result<ScopeSet> {
    let known = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    if words.is_empty() {
        return Err(Error::field("scopes", format!("give at least one of {}", known())));
    }
    let mut errors = Vec::new();
    for (index, word) in
        words.iter().enumerate().filter(|(_, word)| Scope::from_word(word).is_none()).take(20)
    {
        let shown: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
        let message = format!("there is no scope \"{shown}\"; known are {}", known());
        errors.push(FieldError { field: format!("scopes[{index}]"), message });
    }
    if errors.is_empty() { Ok(ScopeSet::from_words(words)) } else { Err(Error::Invalid(errors)) }
}

/// The key as it reads back: times are stored in milliseconds.
fn as_stored(new: NewApiKey) -> ApiKey {
    let millis = |at: Timestamp| Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
    ApiKey {
        id: new.id,
        org_id: new.org_id,
        name: new.name,
        display_prefix: new.display_prefix,
        scopes: new.scopes,
        allowed_domain_ids: new.allowed_domain_ids,
        tenant_id: new.tenant_id,
        created_at: millis(new.created_at),
        created_by: new.created_by,
        last_used_at: None,
        expires_at: new.expires_at.map(millis),
        replaced_by: None,
        revoked_at: None,
        is_root: new.is_root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::OrgId;
    use std::sync::Arc;

    fn owner() -> Caller {
        Caller {
            scopes: [Scope::ReadDomains].into_iter().collect(),
            ..Caller::owner(OrgId::from_parts(0, 0))
        }
    }

    #[test]
    fn a_key_is_wider_by_scope_tenant_domains_or_end() {
        let (one, two) = (DomainId::from_parts(1, 1), DomainId::from_parts(2, 2));
        let tenant = |number| Caller { tenant_id: Some(TenantId::from_parts(number, 0)), ..owner() };
        let domains = |ids: &[DomainId]| Caller { allowed_domain_ids: Some(Arc::from(ids)), ..owner() };
        let end = |second| Caller { expires_at: Timestamp::from_second(second).ok(), ..owner() };
        let admin = Caller::owner(OrgId::from_parts(0, 0));
        for (caller, key, is_allowed) in [
            (owner(), owner(), true),
            (owner(), admin.clone(), false),
            (admin, owner(), true),
            (owner(), tenant(1), true),
            (tenant(1), owner(), false),
            (tenant(1), tenant(2), false),
            (tenant(1), tenant(1), true),
            (domains(&[one, two]), domains(&[two]), true),
            (domains(&[one]), domains(&[one, two]), false),
            (domains(&[]), domains(&[]), true),
            (domains(&[one]), owner(), false),
            (owner(), end(9), true),
            (end(9), end(9), true),
            (end(9), end(10), false),
            (end(9), Caller { actor: Actor::Key(ApiKeyId::from_parts(1, 1)), ..owner() }, false),
        ] {
            assert_eq!(require_no_wider(&caller, &key).is_ok(), is_allowed, "{caller:?} {key:?}");
        }
    }
}
