//! The end of a check: what was observed, what it means for the domain, and the events, in one transaction.

use crate::{
    Delegation, Domain, Health, NewEvent, Store, StoreError, Watch,
    claims::HOLDER,
    contacts::insert_alert,
    database::{Row, Tx, sql},
    domains::{columns, domain},
    events::insert_events,
    key_feed::serve_keys_anew,
    packed::Packed,
};
use model::{CheckStatus, DomainId, DomainStatus, Timestamp};

/// How much is kept of a domain: what the last check found, and what was there before it changed.
const KEPT: u32 = 4;

/// The outcome of a check.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "what is to be done with it, each by itself")]
pub struct CheckRecord {
    /// The domain.
    pub domain_id: DomainId,
    /// The version that the check was made for.
    pub version: i64,
    /// When the check was claimed: a poke from then on makes the domain due again.
    pub claimed_at: Timestamp,
    /// When the check ended.
    pub checked_at: Timestamp,
    /// The report, JSON.
    pub report: String,
    /// What was observed, JSON.
    pub observation: String,
    /// Stands for what was found: a check that found the same as the one before takes its place in the history.
    pub digest: i64,
    /// Where the domain stands now.
    pub status: DomainStatus,
    /// SPF of the return path.
    pub spf_status: CheckStatus,
    /// DKIM keys.
    pub dkim_status: CheckStatus,
    /// DMARC policy.
    pub dmarc_status: CheckStatus,
    /// The return path.
    pub return_path_status: CheckStatus,
    /// Problems of a verified domain.
    pub health: Health,
    /// When it was verified.
    pub verified_at: Option<Timestamp>,
    /// When its warm-up begins, if it has not begun yet.
    pub warmup_started_at: Option<Timestamp>,
    /// When it fails unless it passes before.
    pub fails_at: Option<Timestamp>,
    /// When to check again.
    pub next_check_at: Option<Timestamp>,
    /// How many checks in a row did not pass.
    pub consecutive_failures: u32,
    /// What is remembered of its breaks.
    pub watch: Watch,
    /// How often it is looked at, in seconds, where it is left alone; nothing where it is in a hurry.
    pub watch_seconds: Option<u32>,
    /// Whether the name is to be held from now on.
    pub takes_hold: bool,
    /// Whether it is a zone of its own, and what is served in it may be something else after this: its keys come again in the
    /// feed.
    pub serves_anew: bool,
    /// Whether the records are right and another organisation holds the name. While a claim is open it stays said.
    pub held_elsewhere: bool,
    /// Whom the zone is delegated to, as far as that is remembered.
    pub delegation: Delegation,
    /// The event that tells of another delegation; contacts are told of it too.
    pub delegation_changed: Option<NewEvent>,
    /// What happened.
    pub events: Vec<NewEvent>,
    /// Whether the contacts are to be told of it.
    pub alert: bool,
}

/// A check as it was stored: the last one of those in a row that found the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheck {
    /// The domain.
    pub domain_id: DomainId,
    /// The version of the domain that the check led to.
    pub version: i64,
    /// When this was found first.
    pub since: Timestamp,
    /// When the check ended.
    pub checked_at: Timestamp,
    /// What was observed, JSON.
    pub observation: String,
}

fn stored_check(row: &Row) -> Result<StoredCheck, StoreError> {
    let checked_at = row.get("checked_at")?;
    let observation = match row.opt::<Packed>("packed")? {
        Some(packed) => packed.0,
        None => row.get("observation")?,
    };
    Ok(StoredCheck {
        domain_id: row.get("domain_id")?,
        version: row.get("version")?,
        since: row.opt("since")?.unwrap_or(checked_at),
        checked_at,
        observation,
    })
}

/// Applies the outcome if the domain still has the version that was checked.
async fn update_domain(check: &CheckRecord, tx: &mut Tx) -> Result<Domain, StoreError> {
    let updated = sql(concat!(
        "UPDATE domains SET status = $3, spf_status = $4, dkim_status = $5, dmarc_status = $6,
             return_path_status = $7, health = $8, verified_at = $9, fails_at = $10, last_checked_at = $11,
             next_check_at = CASE WHEN poke_pending = 1 AND poked_at >= $12 THEN $11 ELSE $13 END,
             consecutive_failures = $14, report = NULL, packed_report = $15,
             warmup_started_at = COALESCE(warmup_started_at, $16), suspected_since = $17, last_failure_at = $18,
             reminders = $19, breaks = $20, last_break_at = $21, deferred = 0,
             watch_seconds = CASE WHEN poke_pending = 1 AND poked_at >= $12 THEN NULL ELSE $22 END, lease_owner = NULL, lease_until = NULL,
             holder = CASE WHEN $23 = 1 THEN 1 ELSE holder END,
             held_elsewhere = CASE WHEN $23 = 1 THEN 0 WHEN $24 = 1 THEN 1
                 WHEN EXISTS (SELECT 1 FROM domain_claims WHERE domain_id = $1 AND outcome IS NULL) THEN held_elsewhere
                 ELSE 0 END,
             delegation = $25, delegation_seen = $26, delegation_seen_at = $27,
             version = version + 1
         WHERE id = $1 AND version = $2 AND deleted_at IS NULL RETURNING ",
        columns!()
    ))
    .bind(&check.domain_id)
    .bind(&check.version)
    .bind(&check.status)
    .bind(&check.spf_status)
    .bind(&check.dkim_status)
    .bind(&check.dmarc_status)
    .bind(&check.return_path_status)
    .bind(&check.health)
    .bind_opt(check.verified_at.as_ref())
    .bind_opt(check.fails_at.as_ref())
    .bind(&check.checked_at)
    .bind(&check.claimed_at)
    .bind_opt(check.next_check_at.as_ref())
    .bind(&check.consecutive_failures)
    .bind(&Packed(check.report.clone()))
    .bind_opt(check.warmup_started_at.as_ref())
    .bind_opt(check.watch.suspected_since.as_ref())
    .bind_opt(check.watch.last_failure_at.as_ref())
    .bind(&check.watch.reminders)
    .bind(&check.watch.breaks)
    .bind_opt(check.watch.last_break_at.as_ref())
    .bind_opt(check.watch_seconds.as_ref())
    .bind(&check.takes_hold)
    .bind(&check.held_elsewhere)
    .bind_opt(check.delegation.confirmed.as_ref())
    .bind_opt(check.delegation.seen.as_ref())
    .bind_opt(check.delegation.seen_at.as_ref())
    .first(tx)
    .await
    .map_err(|error| error.or_conflict(HOLDER, StoreError::HeldElsewhere))?;
    if let Some(row) = updated {
        return domain(&row);
    }
    let living = sql("SELECT id FROM domains WHERE id = $1 AND deleted_at IS NULL").bind(&check.domain_id);
    match living.first(tx).await? {
        Some(_) => Err(StoreError::StaleVersion),
        None => Err(StoreError::NotFound("domain")),
    }
}

/// Keeps what was observed, in place of what the check before observed where both found the same.
async fn keep_observation(check: &CheckRecord, version: i64, tx: &mut Tx) -> Result<(), StoreError> {
    let packed = Packed(check.observation.clone());
    let same = sql("UPDATE observations SET version = $2, checked_at = $3, packed = $4
         WHERE domain_id = $1 AND digest = $5
             AND version = (SELECT MAX(version) FROM observations WHERE domain_id = $1)")
    .bind(&check.domain_id)
    .bind(&version)
    .bind(&check.checked_at)
    .bind(&packed)
    .bind(&check.digest)
    .run(tx)
    .await?;
    if same > 0 {
        return Ok(());
    }
    sql("INSERT INTO observations (domain_id, version, checked_at, digest, since, packed, observation, report)
         VALUES ($1, $2, $3, $4, $3, $5, '', '')")
    .bind(&check.domain_id)
    .bind(&version)
    .bind(&check.checked_at)
    .bind(&check.digest)
    .bind(&packed)
    .run(tx)
    .await?;
    sql("DELETE FROM observations WHERE domain_id = $1 AND (digest IS NULL OR version NOT IN (
             SELECT version FROM observations WHERE domain_id = $1 ORDER BY version DESC LIMIT $2))")
    .bind(&check.domain_id)
    .bind(&KEPT)
    .run(tx)
    .await?;
    Ok(())
}

impl Store {
    /// Stores the outcome of a check and gives the lease back.
    ///
    /// # Errors
    /// `StaleVersion` when the domain changed since it was claimed: then nothing is stored, and the domain comes
    /// due again with its lease. `HeldElsewhere` when it takes the hold of a name that another organisation has: then
    /// nothing is stored either. `NotFound` when it was deleted.
    pub async fn record_check(&self, check: &CheckRecord) -> Result<Domain, StoreError> {
        let mut tx = self.pools.write().await?;
        let domain = update_domain(check, &mut tx).await?;
        keep_observation(check, domain.version, &mut tx).await?;
        if check.serves_anew {
            serve_keys_anew(check.domain_id, &mut tx).await?;
        }
        insert_events(&check.events, &mut tx).await?;
        for event in check.events.iter().filter(|_| check.alert) {
            insert_alert(event, check.domain_id, &mut tx).await?;
        }
        if let Some(event) = &check.delegation_changed {
            insert_events(std::slice::from_ref(event), &mut tx).await?;
            insert_alert(event, check.domain_id, &mut tx).await?;
        }
        tx.commit().await?;
        Ok(domain)
    }

    /// Gives a claimed domain back unchecked; it can be claimed again at once. Nothing happens when the lease was
    /// lost already.
    pub async fn release_domain_lease(&self, domain_id: DomainId, owner: &str) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE domains SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2")
            .bind(&domain_id)
            .text(owner)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// The last check, if there was one.
    pub async fn latest_observation(&self, domain_id: DomainId) -> Result<Option<StoredCheck>, StoreError> {
        Ok(self.check_history(domain_id, 1).await?.pop())
    }

    /// What the last checks found, newest first: one for each time that it changed.
    pub async fn check_history(
        &self,
        domain_id: DomainId,
        limit: u32,
    ) -> Result<Vec<StoredCheck>, StoreError> {
        let query = sql("SELECT domain_id, version, since, checked_at, observation, packed FROM observations
             WHERE domain_id = $1 ORDER BY version DESC LIMIT $2");
        self.read_all(query.bind(&domain_id).bind(&limit)).await?.iter().map(stored_check).collect()
    }
}
