//! The key that signs links to DNS hosts. There is one, whichever node made it.

use crate::{
    NewPoolKey, Store, StoreError,
    database::{Row, sql},
};

/// The place of the key that is in use.
const CURRENT: i64 = 1;

const KEY: &str = "SELECT id, public_key, private_key, created_at FROM domain_connect_keys WHERE slot = $1";

fn key(row: &Row) -> Result<NewPoolKey, StoreError> {
    Ok(NewPoolKey {
        id: row.get("id")?,
        public_key: row.get("public_key")?,
        private_key: row.get("private_key")?,
        created_at: row.get("created_at")?,
    })
}

impl Store {
    /// The key, where there is one.
    pub async fn domain_connect_key(&self) -> Result<Option<NewPoolKey>, StoreError> {
        self.read_first(sql(KEY).bind(&CURRENT)).await?.as_ref().map(key).transpose()
    }

    /// Adds a key unless there is one; the one that is there then. Of several nodes that do this at once, all get the same.
    pub async fn add_domain_connect_key(&self, new: &NewPoolKey) -> Result<NewPoolKey, StoreError> {
        let mut tx = self.pools.write().await?;
        sql("INSERT INTO domain_connect_keys (slot, id, public_key, private_key, created_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (slot) DO NOTHING")
        .bind(&CURRENT)
        .bind(&new.id)
        .bind(&new.public_key)
        .bind(&new.private_key)
        .bind(&new.created_at)
        .run(&mut tx)
        .await?;
        let there = sql(KEY).bind(&CURRENT).first(&mut tx).await?;
        let there = there.as_ref().map(key).transpose()?.ok_or(StoreError::NotFound("key"))?;
        tx.commit().await?;
        Ok(there)
    }
}
