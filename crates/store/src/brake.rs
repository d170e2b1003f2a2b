//! What all nodes together saw of late, and whether demotions are held.

use crate::{NewEvent, Store, StoreError, database::sql, events::insert_events};
use model::Timestamp;

/// What was seen of verified domains, of which all was right before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// How many were looked at.
    pub looked: u64,
    /// Of how many something is certainly not right now.
    pub turned: u64,
}

/// The brake as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Since when.
    pub since: Timestamp,
    /// Why, in the words of the caller.
    pub reason: String,
    /// When a node last saw a reason.
    pub renewed_at: Timestamp,
}

impl Store {
    /// Puts down what a node saw in some minutes (since 1970), in place of what it put down for them before, and
    /// forgets what is older than `since`.
    pub async fn put_outcomes(
        &self,
        node: &str,
        minutes: &[(i64, Outcomes)],
        since: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        for (minute, outcomes) in minutes {
            sql(
                "INSERT INTO check_outcomes (minute, node, looked, turned) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (minute, node) DO UPDATE SET looked = excluded.looked, turned = excluded.turned",
            )
            .bind(minute)
            .text(node)
            .bind(&outcomes.looked)
            .bind(&outcomes.turned)
            .run(&mut tx)
            .await?;
        }
        sql("DELETE FROM check_outcomes WHERE minute < $1").bind(&since).run(&mut tx).await?;
        tx.commit().await
    }

    /// What all nodes saw since a minute.
    pub async fn outcomes_since(&self, minute: i64) -> Result<Outcomes, StoreError> {
        let query = sql("SELECT CAST(COALESCE(SUM(looked), 0) AS BIGINT) AS looked,
                 CAST(COALESCE(SUM(turned), 0) AS BIGINT) AS turned FROM check_outcomes WHERE minute >= $1")
        .bind(&minute);
        let row = self.read_first(query).await?.ok_or(StoreError::NotFound("row"))?;
        Ok(Outcomes { looked: row.get("looked")?, turned: row.get("turned")? })
    }

    /// Whether demotions are held, for all nodes.
    pub async fn demotions_held(&self) -> Result<Option<Held>, StoreError> {
        let row = self
            .read_first(sql("SELECT held_since, reason, renewed_at FROM demotion_brake WHERE id = 1"))
            .await?;
        let row = row.ok_or(StoreError::NotFound("brake"))?;
        let since: Option<Timestamp> = row.opt("held_since")?;
        let reason: Option<String> = row.opt("reason")?;
        let renewed_at: Option<Timestamp> = row.opt("renewed_at")?;
        Ok(since.map(|since| Held {
            since,
            reason: reason.unwrap_or_default(),
            renewed_at: renewed_at.unwrap_or(since),
        }))
    }

    /// Holds demotions, or goes on holding them: a node sees a reason at `renewed_at`. Of several nodes that begin at once,
    /// one does it and tells of it; whether it was this one.
    pub async fn hold_demotions(&self, held: &Held, events: &[NewEvent]) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let began = sql("UPDATE demotion_brake SET held_since = $1, reason = $2, renewed_at = $3
             WHERE id = 1 AND held_since IS NULL")
        .bind(&held.since)
        .text(&held.reason)
        .bind(&held.renewed_at)
        .run(&mut tx)
        .await?
            > 0;
        if began {
            insert_events(events, &mut tx).await?;
        } else {
            sql("UPDATE demotion_brake SET renewed_at = $1
                 WHERE id = 1 AND (renewed_at IS NULL OR renewed_at < $1)")
            .bind(&held.renewed_at)
            .run(&mut tx)
            .await?;
        }
        tx.commit().await?;
        Ok(began)
    }

    /// Lets demotions go, unless a node has seen a reason since `quiet_since`. Of several nodes that do the same at once,
    /// one does it and tells of it; whether it was this one.
    pub async fn release_demotions(
        &self,
        quiet_since: Timestamp,
        events: &[NewEvent],
    ) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let released = sql("UPDATE demotion_brake SET held_since = NULL, reason = NULL, renewed_at = NULL
             WHERE id = 1 AND held_since IS NOT NULL AND COALESCE(renewed_at, held_since) <= $1")
        .bind(&quiet_since)
        .run(&mut tx)
        .await?;
        if released == 0 {
            return Ok(false);
        }
        insert_events(events, &mut tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}
