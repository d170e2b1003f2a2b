//! The nodes that work on one database: who is there, and what their clocks say.

use crate::{
    Store, StoreError,
    database::{Row, sql},
    migrate::require_known,
};
use model::Timestamp;

/// A node, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name in leases.
    pub id: String,
    /// The version of its program.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of, by its own clock.
    pub seen_at: Timestamp,
    /// Whether it takes no more work, because it is about to stop.
    pub draining: bool,
}

/// For how long a node that is not heard of any more is listed, in milliseconds: a day.
const KEPT: i64 = 86_400_000;

fn node(row: &Row) -> Result<Node, StoreError> {
    Ok(Node {
        id: row.get("id")?,
        version: row.get("version")?,
        started_at: row.get("started_at")?,
        seen_at: row.get("seen_at")?,
        draining: row.get("draining")?,
    })
}

impl Store {
    /// Says that a node is there; the time by the clock of the database.
    ///
    /// # Errors
    /// `SchemaTooNew` where a later program has changed the schema so that this one cannot go on.
    pub async fn beat(&self, node: &Node) -> Result<Timestamp, StoreError> {
        let mut tx = self.pools.write().await?;
        require_known(&mut tx).await?;
        sql("INSERT INTO nodes (id, version, started_at, seen_at, draining) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET seen_at = $4, draining = $5")
        .bind(&node.id)
        .bind(&node.version)
        .bind(&node.started_at)
        .bind(&node.seen_at)
        .bind(&node.draining)
        .run(&mut tx)
        .await?;
        // SQLite is in this process and has its clock.
        let clock = sql("SELECT CAST($1 AS BIGINT) AS n")
            .on_postgres("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + 0 * $1 AS n")
            .bind(&node.seen_at)
            .number::<Timestamp>(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(clock)
    }

    /// The nodes that were heard of in the last day, by name; forgets the others.
    pub async fn nodes(&self, now: Timestamp) -> Result<Vec<Node>, StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM nodes WHERE seen_at < $1 - $2").bind(&now).bind(&KEPT).run(&mut tx).await?;
        let rows = sql("SELECT id, version, started_at, seen_at, draining FROM nodes ORDER BY id")
            .all(&mut tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(node).collect()
    }

    /// Takes a node that has stopped off the list.
    pub async fn remove_node(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("DELETE FROM nodes WHERE id = $1").text(id).run(&mut tx).await?;
        tx.commit().await
    }
}
