//! Keys that were replaced, kept until their private parts have been told for a while.

use crate::{
    Hidden, Store, StoreError,
    database::{Row, sql},
};
use model::{DomainName, KeyId, Timestamp};

pub(crate) const TOLD: &str =
    "SELECT id, owner, public_key, private_key, retired_at, told_at FROM retired_keys
     WHERE selector = $1 AND told_at IS NOT NULL ORDER BY told_at DESC LIMIT $2";

pub(crate) const WAITING: &str =
    "SELECT id, owner, public_key, private_key, retired_at, told_at FROM retired_keys
     WHERE look_at <= $1 AND retired_at <= $2 ORDER BY look_at LIMIT $3";

const OVER: &str = "DELETE FROM retired_keys WHERE id IN (
     SELECT id FROM retired_keys WHERE retired_at < $1 ORDER BY retired_at LIMIT $2)";

/// A key that nothing signs with any more, and no DNS server of ours has.
#[derive(Debug, Clone)]
pub struct RetiredKey {
    /// Its id, which its private part is sealed for.
    pub id: KeyId,
    /// Where verifiers asked for it.
    pub owner: DomainName,
    /// Base64 of the DER-encoded `SubjectPublicKeyInfo`, as its DNS record had it.
    pub public_key: String,
    /// Sealed PKCS #8.
    pub private_key: Hidden,
    /// When another key took its place in DNS.
    pub retired_at: Timestamp,
    /// Since when it is told, where it is.
    pub told_at: Option<Timestamp>,
}

fn retired_key(row: &Row) -> Result<RetiredKey, StoreError> {
    Ok(RetiredKey {
        id: row.get("id")?,
        owner: row.get("owner")?,
        public_key: row.get("public_key")?,
        private_key: row.get("private_key")?,
        retired_at: row.get("retired_at")?,
        told_at: row.opt("told_at")?,
    })
}

impl Store {
    /// The keys that were behind a selector of our zone and are told, the newest first.
    pub async fn told_keys(&self, selector: &str, limit: u32) -> Result<Vec<RetiredKey>, StoreError> {
        let rows = self.read_all(sql(TOLD).text(selector).bind(&limit)).await?;
        rows.iter().map(retired_key).collect()
    }

    /// Keys that were replaced before then, are not told yet, and are to be looked at by now.
    pub async fn retired_keys_waiting(
        &self,
        now: Timestamp,
        retired_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RetiredKey>, StoreError> {
        let rows = self.read_all(sql(WAITING).bind(&now).bind(&retired_before).bind(&limit)).await?;
        rows.iter().map(retired_key).collect()
    }

    /// Tells a key from now on.
    pub async fn tell_retired_key(&self, id: KeyId, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let told =
            sql("UPDATE retired_keys SET told_at = $2, look_at = NULL WHERE id = $1 AND told_at IS NULL");
        told.bind(&id).bind(&now).run(&mut tx).await?;
        tx.commit().await
    }

    /// Looks at a key that must not be told yet no sooner than then.
    pub async fn postpone_retired_key(&self, id: KeyId, to: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let later = sql("UPDATE retired_keys SET look_at = $2 WHERE id = $1 AND told_at IS NULL");
        later.bind(&id).bind(&to).run(&mut tx).await?;
        tx.commit().await
    }

    /// Lets go of keys that were replaced before then. How many went.
    pub async fn delete_retired_keys_before(&self, then: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.pools.write().await?;
        let gone = sql(OVER).bind(&then).bind(&limit).run(&mut tx).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
