//! API keys. Of the secret only a hash is stored.

use crate::{
    Hidden, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
    value::{from_json, to_json},
    visible::Texts,
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
    /// The key that made it, when one did.
    pub created_by: Option<ApiKeyId>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Whether it is good in every organisation.
    pub is_root: bool,
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
    /// The key that made it, when one did.
    pub created_by: Option<ApiKeyId>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// The key that was made to take its place.
    pub replaced_by: Option<ApiKeyId>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether it is good in every organisation.
    pub is_root: bool,
}

/// How one key takes the place of another.
#[derive(Debug)]
pub struct Successor<'a> {
    /// The new key.
    pub key: &'a NewApiKey,
    /// The key whose place it takes.
    pub old: ApiKeyId,
    /// From when on the old one is refused, unless it ends earlier.
    pub old_ends_at: Timestamp,
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
        created_by: row.opt("created_by")?,
        last_used_at: row.opt("last_used_at")?,
        expires_at: row.opt("expires_at")?,
        replaced_by: row.opt("replaced_by")?,
        revoked_at: row.opt("revoked_at")?,
        is_root: row.get("is_root")?,
    })
}

async fn insert(key: &NewApiKey, tx: &mut Tx) -> Result<(), StoreError> {
    let allowed = key.allowed_domain_ids.as_ref().map(to_json).transpose()?;
    sql("INSERT INTO api_keys (id, org_id, name, secret_hash, display_prefix, scopes, allowed_domain_ids,
             tenant_id, created_at, created_by, expires_at, is_root)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
    .bind(&key.id)
    .bind(&key.org_id)
    .bind(&key.name)
    .bind(&key.secret_hash)
    .bind(&key.display_prefix)
    .bind(&to_json(&key.scopes)?)
    .bind_opt(allowed.as_ref())
    .bind_opt(key.tenant_id.as_ref())
    .bind(&key.created_at)
    .bind_opt(key.created_by.as_ref())
    .bind_opt(key.expires_at.as_ref())
    .bind(&key.is_root)
    .run(tx)
    .await?;
    for domain in key.allowed_domain_ids.iter().flatten() {
        sql("INSERT INTO api_key_domains (key_id, domain_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&key.id)
            .bind(domain)
            .run(tx)
            .await?;
    }
    Ok(())
}

/// Refuses more living keys than there may be.
async fn check_limit(org_id: OrgId, now: Timestamp, limit: u64, tx: &mut Tx) -> Result<(), StoreError> {
    // Whoever adds a key at the same time counts behind this one; on SQLite there is only one who writes.
    sql("SELECT id FROM organisations WHERE id = $1")
        .on_postgres("SELECT id FROM organisations WHERE id = $1 FOR NO KEY UPDATE")
        .bind(&org_id)
        .first(tx)
        .await?;
    let living = sql("SELECT COUNT(*) AS n FROM api_keys
         WHERE org_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)");
    if living.bind(&org_id).bind(&now).number::<u64>(tx).await? >= limit {
        return Err(StoreError::LimitReached { what: "API keys", limit });
    }
    Ok(())
}

macro_rules! columns {
    ($($rest:literal)*) => {
        concat!(
            "SELECT id, org_id, name, display_prefix, scopes, allowed_domain_ids, tenant_id, created_at, created_by,
                 last_used_at, expires_at, replaced_by, revoked_at, is_root FROM api_keys ",
            $($rest),*
        )
    };
}

/// A key that is limited to domains sees the keys that are limited to some of them.
macro_rules! texts {
    ($condition:literal, $first:literal, $second:literal, $end:literal) => {
        Texts {
            whole: columns!("WHERE org_id = $1 AND " $condition $end),
            tenant: columns!("WHERE org_id = $1 AND " $condition " AND tenant_id = " $first $end),
            listed: columns!(
                "WHERE org_id = $1 AND " $condition " AND allowed_domain_ids IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM api_key_domains AS theirs WHERE theirs.key_id = api_keys.id AND theirs.domain_id
                         NOT IN (SELECT domain_id FROM api_key_domains WHERE key_id = " $first "))" $end
            ),
            both: columns!(
                "WHERE org_id = $1 AND " $condition " AND tenant_id = " $first
                " AND allowed_domain_ids IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM api_key_domains AS theirs WHERE theirs.key_id = api_keys.id AND theirs.domain_id
                         NOT IN (SELECT domain_id FROM api_key_domains WHERE key_id = " $second "))" $end
            ),
        }
    };
}
pub(crate) const LIST: Texts = texts!("id < $2", "$4", "$5", " ORDER BY id DESC LIMIT $3");
pub(crate) const BY_HASH: &str =
    "SELECT id, org_id, name, display_prefix, scopes, allowed_domain_ids, tenant_id, created_at, created_by, last_used_at,
         expires_at, replaced_by, revoked_at, is_root,
         (SELECT disabled_at FROM organisations WHERE organisations.id = api_keys.org_id) AS disabled_at
     FROM api_keys WHERE secret_hash = $1 AND revoked_at IS NULL";
const ONE: Texts = texts!("id = $2", "$3", "$4", "");

impl Store {
    /// Adds a key, unless the organisation has `limit` of them that are neither revoked nor over.
    pub async fn insert_api_key(
        &self,
        key: &NewApiKey,
        limit: u64,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        check_limit(key.org_id, key.created_at, limit, &mut tx).await?;
        insert(key, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Adds a key in the place of another one, which ends then; all or nothing.
    ///
    /// # Errors
    /// `StaleVersion` when the old one was revoked or replaced meanwhile.
    pub async fn replace_api_key(
        &self,
        successor: Successor<'_>,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let Successor { key, old, old_ends_at } = successor;
        let mut tx = self.pools.write().await?;
        insert(key, &mut tx).await?;
        let ended = sql("UPDATE api_keys SET replaced_by = $3,
                 expires_at = CASE WHEN expires_at < $4 THEN expires_at ELSE $4 END
             WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL AND replaced_by IS NULL")
        .bind(&key.org_id)
        .bind(&old)
        .bind(&key.id)
        .bind(&old_ends_at)
        .run(&mut tx)
        .await?;
        if ended == 0 {
            return Err(StoreError::StaleVersion);
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// The key whose secret has this hash, unless it was revoked; and whether its organisation is switched off. It may be
    /// over.
    pub async fn find_api_key_by_hash(
        &self,
        secret_hash: &[u8],
    ) -> Result<Option<(ApiKey, bool)>, StoreError> {
        let query = sql(BY_HASH);
        let row = self.read_first(query.blob(secret_hash)).await?;
        let read = |row: &Row| Ok((api_key(row)?, row.opt::<Timestamp>("disabled_at")?.is_some()));
        row.as_ref().map(read).transpose()
    }

    /// One key that is visible, a revoked one too.
    pub async fn get_api_key(&self, visible: &Visible, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = self.read_first(visible.bind(query)).await?;
        api_key(&row.ok_or(StoreError::NotFound("API key"))?)
    }

    /// The keys that are visible, newest first, from behind `after`, revoked ones too.
    pub async fn list_api_keys(
        &self,
        visible: &Visible,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let page =
            visible.sql(&LIST).bind(&visible.org_id).text(&before(after, ApiKeyId::PREFIX)).bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(api_key).collect()
    }

    /// Gives a key another secret: the old one is refused from then on.
    pub async fn renew_api_key(
        &self,
        id: ApiKeyId,
        secret_hash: &Hidden,
        display_prefix: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE api_keys SET secret_hash = $2, display_prefix = $3 WHERE id = $1 AND revoked_at IS NULL")
            .bind(&id)
            .bind(secret_hash)
            .text(display_prefix)
            .run_on("API key", &mut tx)
            .await?;
        tx.commit().await
    }

    /// The keys that are good in every organisation, newest first, revoked ones too.
    pub async fn list_root_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let all = sql(columns!("WHERE is_root = 1 ORDER BY id DESC"));
        self.read_all(all).await?.iter().map(api_key).collect()
    }

    /// Revokes a key; a second time changes nothing.
    pub async fn revoke_api_key(
        &self,
        org_id: OrgId,
        id: ApiKeyId,
        now: Timestamp,
        told: impl Into<Told<'_>>,
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
        // Those that it took the place of, and that have ended, invite nobody without it.
        sql("DELETE FROM login_tokens WHERE kind = 'invitation' AND invited_by IN (
                 WITH RECURSIVE gone(id) AS (
                     SELECT id FROM api_keys WHERE org_id = $1 AND id = $2
                     UNION SELECT earlier.id FROM api_keys AS earlier JOIN gone ON earlier.replaced_by = gone.id
                         WHERE earlier.org_id = $1 AND earlier.expires_at <= $3)
                 SELECT id FROM gone)")
        .bind(&org_id)
        .bind(&id)
        .bind(&now)
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}
