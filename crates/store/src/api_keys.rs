//! API keys. Of the secret only a hash is stored.

use crate::{
    Hidden, NewEvent, Store, StoreError,
    database::{Row, sql},
    events::insert_events,
    value::{from_json, to_json},
};
use model::{ApiKeyId, DomainId, OrgId, TenantId, Timestamp};

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose key.
    pub org_id: OrgId,
    /// Its name, for people.
    pub name: String,
    /// The SHA-256 of the secret, 32 bytes.
    pub secret_hash: Hidden,
    /// The first characters of the secret, to tell keys apart.
    pub display_prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The domains that it may use; `None` is all.
    pub allowed_domain_ids: Option<Vec<DomainId>>,
    /// The tenant that it is bound to.
    pub tenant_id: Option<TenantId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose key.
    pub org_id: OrgId,
    /// Its name, for people.
    pub name: String,
    /// The first characters of the secret, to tell keys apart.
    pub display_prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The domains that it may use; `None` is all.
    pub allowed_domain_ids: Option<Vec<DomainId>>,
    /// The tenant that it is bound to.
    pub tenant_id: Option<TenantId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

macro_rules! columns {
    () => {
        "id, org_id, name, display_prefix, scopes, allowed_domain_ids, tenant_id, created_at, \
         last_used_at, revoked_at"
    };
}

fn api_key(row: &Row) -> Result<ApiKey, StoreError> {
    let allowed: Option<String> = row.opt("allowed_domain_ids")?;
    Ok(ApiKey {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        name: row.get("name")?,
        display_prefix: row.get("display_prefix")?,
        scopes: row.json("scopes")?,
        allowed_domain_ids: allowed.map(|text| from_json("allowed_domain_ids", &text)).transpose()?,
        tenant_id: row.opt("tenant_id")?,
        created_at: row.get("created_at")?,
        last_used_at: row.opt("last_used_at")?,
        revoked_at: row.opt("revoked_at")?,
    })
}

impl Store {
    /// Adds a key.
    pub async fn insert_api_key(&self, key: &NewApiKey, events: &[NewEvent]) -> Result<(), StoreError> {
        let allowed = key.allowed_domain_ids.as_ref().map(to_json).transpose()?;
        let mut tx = self.pools.write().await?;
        sql(
            "INSERT INTO api_keys (id, org_id, name, secret_hash, display_prefix, scopes, allowed_domain_ids,
                 tenant_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&key.id)
        .bind(&key.org_id)
        .bind(&key.name)
        .bind(&key.secret_hash)
        .bind(&key.display_prefix)
        .bind(&to_json(&key.scopes)?)
        .bind_opt(allowed.as_ref())
        .bind_opt(key.tenant_id.as_ref())
        .bind(&key.created_at)
        .run(&mut tx)
        .await?;
        insert_events(events, &mut tx).await?;
        tx.commit().await
    }

    /// The key whose secret has this hash, unless it was revoked.
    pub async fn find_api_key_by_hash(&self, secret_hash: &[u8]) -> Result<Option<ApiKey>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            columns!(),
            " FROM api_keys WHERE secret_hash = $1 AND revoked_at IS NULL"
        ));
        self.read_first(query.blob(secret_hash)).await?.as_ref().map(api_key).transpose()
    }

    /// All keys of the organisation, newest first, revoked ones too.
    pub async fn list_api_keys(&self, org_id: OrgId) -> Result<Vec<ApiKey>, StoreError> {
        let query = sql(concat!("SELECT ", columns!(), " FROM api_keys WHERE org_id = $1 ORDER BY id DESC"))
            .bind(&org_id);
        self.read_all(query).await?.iter().map(api_key).collect()
    }

    /// Notes that the key was used. Writes at most once a minute, so that a busy key costs nothing.
    pub async fn touch_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
        let stale = sql("SELECT id FROM api_keys
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $2 - 60000)");
        if self.read_first(stale.bind(&id).bind(&now)).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.pools.write().await?;
        sql("UPDATE api_keys SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $2 - 60000)")
        .bind(&id)
        .bind(&now)
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Revokes a key; a second time changes nothing.
    pub async fn revoke_api_key(
        &self,
        org_id: OrgId,
        id: ApiKeyId,
        now: Timestamp,
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let found = sql("SELECT revoked_at FROM api_keys WHERE org_id = $1 AND id = $2")
            .on_postgres("SELECT revoked_at FROM api_keys WHERE org_id = $1 AND id = $2 FOR UPDATE")
            .bind(&org_id)
            .bind(&id)
            .first(&mut tx)
            .await?
            .ok_or(StoreError::NotFound("API key"))?;
        if found.opt::<Timestamp>("revoked_at")?.is_some() {
            return Ok(());
        }
        sql("UPDATE api_keys SET revoked_at = $2 WHERE id = $1").bind(&id).bind(&now).run(&mut tx).await?;
        insert_events(events, &mut tx).await?;
        tx.commit().await
    }
}
