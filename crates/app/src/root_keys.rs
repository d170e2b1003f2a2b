//! Root keys: those of whoever runs the platform.
//!
//! One is made and revoked at the platform's machine, past the API, by whoever can read its database anyway. It is good in
//! every organisation but the platform's own, and each request names the one that it acts in. No list of keys shows it.

use crate::{
    App,
    access::{Caller, NewSecret, ScopeSet},
    error::{Error, Result},
    notices,
    ports::Random,
};
use jiff::Timestamp;
use model::{ApiKeyId, OrgId};
use serde_json::json;
use store::{ApiKey, AuditEntry, NewApiKey, Organisation, Store};

/// The header by which a request with a root key names the organisation that it acts in.
pub const HEADER: &str = "X-Countersign-Organisation";

/// How many root keys there may be that are neither revoked nor over.
const MOST: u64 = 100;

/// Root keys, for whoever stands at the machine.
pub struct RootKeys<'a> {
    /// The database.
    pub store: &'a Store,
    /// Randomness.
    pub random: &'a Random,
    /// Now.
    pub now: Timestamp,
}

impl RootKeys<'_> {
    /// The organisation that they stand in: the platform's own.
    async fn organisation(&self) -> Result<OrgId> {
        let new = Organisation {
            id: self.random.org_id(self.now),
            name: "The platform itself".to_owned(),
            created_at: self.now,
        };
        Ok(self.store.organisation_of_setting_or(notices::ORGANISATION, &new).await?.0.id)
    }

    fn line(&self, org_id: OrgId, action: &str, id: ApiKeyId, name: &str) -> AuditEntry {
        AuditEntry {
            id: self.random.audit_id(self.now),
            org_id,
            tenant_id: None,
            at: self.now,
            actor_kind: "system".to_owned(),
            actor_id: None,
            address: None,
            request_id: None,
            action: action.to_owned(),
            subject: id.to_string(),
            data: json!({ "name": name }).to_string(),
        }
    }

    /// Makes one; its secret is returned this once.
    pub async fn make(&self, name: &str) -> Result<(ApiKeyId, String)> {
        let name = crate::keys::checked_name(name)?;
        let org_id = self.organisation().await?;
        let made = NewSecret::make(self.random);
        let id = self.random.api_key_id(self.now);
        let new = NewApiKey {
            id,
            org_id,
            name: name.to_owned(),
            secret_hash: made.hash,
            display_prefix: made.display_prefix,
            scopes: ScopeSet::all().words(),
            allowed_domain_ids: None,
            tenant_id: None,
            created_at: self.now,
            created_by: None,
            expires_at: None,
            is_root: true,
        };
        let audit = self.line(org_id, "root_key.created", id, name);
        self.store.insert_api_key(&new, MOST, &audit).await?;
        Ok((id, made.secret))
    }

    /// All of them, newest first.
    pub async fn list(&self) -> Result<Vec<ApiKey>> {
        Ok(self.store.list_root_keys().await?)
    }

    /// Revokes one: the next request with it is refused.
    pub async fn revoke(&self, id: ApiKeyId) -> Result<ApiKey> {
        let found = self.list().await?.into_iter().find(|key| key.id == id);
        let key = found.ok_or_else(|| Error::NotFound { noun: "root key", id: id.to_string() })?;
        let audit = self.line(key.org_id, "root_key.revoked", id, &key.name);
        self.store.revoke_api_key(key.org_id, id, self.now, &audit).await?;
        Ok(key)
    }
}

impl App {
    /// The same caller in the organisation that the request names. Who is of an organisation is in no other one.
    pub async fn in_organisation(&self, caller: Caller, named: Option<&str>) -> Result<Caller> {
        let Some(named) = named else {
            if caller.is_root {
                let message =
                    "is missing: a root key is of no organisation; give the id of the one to act in";
                return Err(Error::field(HEADER, message));
            }
            return Ok(caller);
        };
        let unknown = || {
            let shown = named.chars().filter(|c| !c.is_control()).take(60).collect();
            Error::NotFound { noun: "organisation", id: shown }
        };
        let org_id: OrgId = named.parse().map_err(|_| unknown())?;
        if !caller.is_root {
            return if org_id == caller.org_id { Ok(caller) } else { Err(unknown()) };
        }
        // What is in the platform's own organisation, such as mail with links to log in, is nobody's to read.
        if org_id == caller.org_id {
            return Err(unknown());
        }
        match self.store.get_organisation(org_id).await {
            Ok(organisation) => Ok(Caller { org_id: organisation.id, ..caller }),
            Err(store::StoreError::NotFound(_)) => Err(unknown()),
            Err(error) => Err(error.into()),
        }
    }
}
