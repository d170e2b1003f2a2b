//! Whether the store can do its work.

use crate::{Store, StoreError, database::sql};
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

    /// Takes every lease back. Only for a process that knows to be alone, at its start: whoever held them is dead.
    pub async fn release_all_leases(&self) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        for statement in [
            "UPDATE domains SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL",
            "UPDATE deliveries SET lease_owner = NULL, lease_until = NULL WHERE lease_owner IS NOT NULL",
        ] {
            sql(statement).run(&mut tx).await?;
        }
        tx.commit().await
    }
}
