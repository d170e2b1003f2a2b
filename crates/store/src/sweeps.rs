//! What is kept for a time and then goes, a few rows at once and one node at a time.

use crate::{
    Store, StoreError,
    database::{Sql, Turn, sql},
};
use model::{ApiKeyId, Timestamp};

impl Store {
    /// Deletes at most `limit` events from before `created_before`; how many. The feed knows up to which number there may
    /// be none any more ([`crate::EventPage::gone`]).
    pub async fn delete_events_before(
        &self,
        created_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let due = sql("SELECT id FROM events WHERE created_at < $1 LIMIT 1").bind(&created_before);
        if self.read_first(due).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.pools.write().await?;
        if !tx.try_turn(Turn::Sweep).await? {
            return Ok(0);
        }
        let rows = sql("DELETE FROM events WHERE id IN (
                 SELECT id FROM events WHERE created_at < $1 ORDER BY created_at LIMIT $2) RETURNING seq")
        .bind(&created_before)
        .bind(&limit)
        .all(&mut tx)
        .await?;
        let mut gone = 0;
        for row in &rows {
            gone = gone.max(row.opt::<u64>("seq")?.unwrap_or(0));
        }
        sql("UPDATE generations SET value = $1 WHERE name = 'events_gone' AND value < $1")
            .bind(&gone)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Deletes at most `limit` deliveries to webhooks, with their attempts, that came to an end before `ended_before`; how
    /// many.
    pub async fn delete_webhook_deliveries_before(
        &self,
        ended_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        const OVER: &str = "SELECT id FROM webhook_deliveries WHERE state <> 'waiting' AND updated_at < $1
             ORDER BY updated_at, id LIMIT $2";
        // One that is begun anew meanwhile waits for this, and is a new one then.
        const OVER_ON_POSTGRES: &str =
            "SELECT id FROM webhook_deliveries WHERE state <> 'waiting' AND updated_at < $1
             ORDER BY updated_at, id LIMIT $2 FOR UPDATE";
        if self.read_first(sql(OVER).bind(&ended_before).bind(&1_u32)).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.pools.write().await?;
        if !tx.try_turn(Turn::Sweep).await? {
            return Ok(0);
        }
        let over = sql(OVER).on_postgres(OVER_ON_POSTGRES).bind(&ended_before).bind(&limit);
        over.all(&mut tx).await?;
        let with_it = [
            "DELETE FROM webhook_attempts WHERE delivery_id IN (
                 SELECT id FROM webhook_deliveries WHERE state <> 'waiting' AND updated_at < $1
                 ORDER BY updated_at, id LIMIT $2)",
            "DELETE FROM webhook_deliveries WHERE id IN (
                 SELECT id FROM webhook_deliveries WHERE state <> 'waiting' AND updated_at < $1
                 ORDER BY updated_at, id LIMIT $2)",
        ];
        let mut deleted = 0;
        for statement in with_it {
            deleted = sql(statement).bind(&ended_before).bind(&limit).run(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(deleted)
    }

    /// Deletes at most `limit` lines of the audit log from before `before`; how many.
    pub async fn delete_audit_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let due = sql("SELECT id FROM audit_log WHERE at < $1 LIMIT 1").bind(&before);
        let delete = sql("DELETE FROM audit_log WHERE id IN (
                 SELECT id FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)");
        self.delete_due(due, delete.bind(&before).bind(&limit)).await
    }

    /// Deletes at most `limit` setup links that were over before `before`; how many.
    pub async fn delete_setup_links_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let due = sql("SELECT id FROM setup_links WHERE expires_at < $1 LIMIT 1").bind(&before);
        let delete = sql("DELETE FROM setup_links WHERE id IN (
                 SELECT id FROM setup_links WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)");
        self.delete_due(due, delete.bind(&before).bind(&limit)).await
    }

    /// Deletes where something is due, unless another node does; how many rows.
    async fn delete_due(&self, due: Sql, delete: Sql) -> Result<u64, StoreError> {
        if self.read_first(due).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.pools.write().await?;
        if !tx.try_turn(Turn::Sweep).await? {
            return Ok(0);
        }
        let deleted = delete.run(&mut tx).await?;
        tx.commit().await?;
        Ok(deleted)
    }

    /// Notes when keys were last used, in one statement for all of them.
    pub async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<(), StoreError> {
        let pairs: Vec<_> =
            uses.iter().map(|(id, at)| format!("[\"{id}\",{}]", at.as_millisecond())).collect();
        let mut tx = self.pools.write().await?;
        sql("UPDATE api_keys SET last_used_at = used.at
             FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS at
                   FROM json_each($1)) AS used
             WHERE api_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)")
        .on_postgres(
            "UPDATE api_keys SET last_used_at = used.at
             FROM (SELECT value ->> 0 AS id, CAST(value ->> 1 AS BIGINT) AS at
                   FROM jsonb_array_elements(CAST($1 AS JSONB)) AS value) AS used
             WHERE api_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)",
        )
        .text(&format!("[{}]", pairs.join(",")))
        .run(&mut tx)
        .await?;
        tx.commit().await
    }
}
