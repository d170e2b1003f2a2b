//! Whether the store can do its work.

use crate::{
    Store, StoreError,
    database::{Kind, sql},
};
use model::Timestamp;

impl Store {
    /// Proves that a durable write works: writes the time to disk through the same way as all data.
    pub async fn ping_write(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE write_probe SET at = $1 WHERE id = 1").bind(&now).run_on("write probe", &mut tx).await?;
        tx.commit().await
    }

    /// Proves that reading works.
    pub async fn ping_read(&self) -> Result<(), StoreError> {
        self.read_first(sql("SELECT at FROM write_probe WHERE id = 1")).await.map(drop)
    }

    /// The time by the database's clock; `None` where the database is a file of this machine.
    pub async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        if matches!(self.pools.kind, Kind::Sqlite { .. }) {
            return Ok(None);
        }
        let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now";
        let row = self.read_first(sql(now)).await?.ok_or(StoreError::NotFound("row"))?;
        row.get("now").map(Some)
    }

    /// When the oldest event was stored that has no number yet; `None` where all have one.
    pub async fn oldest_unnumbered_event(&self) -> Result<Option<Timestamp>, StoreError> {
        let oldest = sql("SELECT MIN(created_at) AS oldest FROM events WHERE seq IS NULL");
        let row = self.read_first(oldest).await?.ok_or(StoreError::NotFound("row"))?;
        row.opt("oldest")
    }

    /// Takes every lease back. Only for a process that knows to be alone, at its start: whoever held them is dead.
    pub async fn release_all_leases(&self) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        for statement in [
            "UPDATE domains SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL",
            "UPDATE deliveries SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL",
            "UPDATE webhook_deliveries SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL",
        ] {
            sql(statement).run(&mut tx).await?;
        }
        tx.commit().await
    }
}
