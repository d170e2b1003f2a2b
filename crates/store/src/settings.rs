//! Settings of the installation: keys and texts. Values may be secrets and never show up in errors.

use crate::{Store, StoreError, database::sql};

impl Store {
    /// The value, if it was set.
    pub async fn get_setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        let row = self.read_first(sql("SELECT value FROM settings WHERE key = $1").text(key)).await?;
        row.map(|row| row.get("value")).transpose()
    }

    /// Sets the value, whatever it was before.
    pub async fn set_setting(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("INSERT INTO settings (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        .text(key)
        .text(value)
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Sets the value unless there is one; the value in force. Of several nodes that do this at once, all get the
    /// same value.
    pub async fn set_setting_if_absent(&self, key: &str, value: &str) -> Result<String, StoreError> {
        let mut tx = self.pools.write().await?;
        sql("INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .text(key)
            .text(value)
            .run(&mut tx)
            .await?;
        let row = sql("SELECT value FROM settings WHERE key = $1").text(key).first(&mut tx).await?;
        let in_force = row.ok_or(StoreError::NotFound("setting"))?.get("value")?;
        tx.commit().await?;
        Ok(in_force)
    }
}
