//! What became of mail, counted by domain and day, and the pause of a domain that too much of it came back from.
//!
//! Counts are kept in the transaction that ends a delivery. Each belongs to the tenant that the message was of, so those of a
//! tenant stay together when a domain is deleted and added again.

use crate::{
    Domain, Store, StoreError, Told,
    audit::tell,
    database::{Row, Tx, sql},
    deliveries::wake_those_of,
    domains::{columns, domain},
    suppressions::{Suppression, insert_suppression},
    value::words,
};
use model::{DomainId, DomainName, EmailAddress, MessageId, OrgId, TenantId, Timestamp};

/// What became of a message at one recipient, as far as it says something of whoever sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// The recipient's server has it.
    Delivered,
    /// There is no such recipient.
    Bounced,
    /// It was not taken for another reason.
    Refused,
    /// The recipient calls it spam.
    Complained,
}

words! {
    /// Whose mail it is that a domain is paused for.
    PauseCause {
        /// Its own.
        Domain = "domain",
        /// That of all domains of its tenant.
        Tenant = "tenant",
    }
}

/// Why and since when nothing is sent from a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub at: Timestamp,
    /// What came back, for people.
    pub reason: String,
    /// Whose mail it is for.
    pub cause: PauseCause,
}

pub(crate) fn pause(row: &Row) -> Result<Option<Pause>, StoreError> {
    let Some(at) = row.opt("paused_at")? else { return Ok(None) };
    let reason = row.opt("pause_reason")?.unwrap_or_default();
    let cause = row.opt("pause_cause")?.unwrap_or(PauseCause::Domain);
    Ok(Some(Pause { at, reason, cause }))
}

/// How much became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendingCounts {
    /// Taken by the recipients' servers.
    pub delivered: u64,
    /// For recipients that do not exist.
    pub bounced: u64,
    /// Not taken for other reasons.
    pub refused: u64,
    /// Called spam.
    pub complained: u64,
}

/// What became of mail on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendingDay {
    /// The day, in days since 1970-01-01 (UTC).
    pub day: i64,
    /// How much became what.
    pub counts: SendingCounts,
}

/// Over how many rows a day's counts are spread.
const SHARDS: u32 = 4;

const DAY_MILLIS: i64 = 86_400_000;

/// Counts what became of a message.
pub(crate) async fn count(
    message_id: MessageId,
    recipient: &EmailAddress,
    became: Became,
    at: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    let text = format!("{message_id}{recipient}");
    let shard = text.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % SHARDS;
    let one = |counted| u32::from(became == counted);
    sql("INSERT INTO sending_days (domain_id, day, epoch, shard, org_id, tenant_id, delivered, bounced, refused,
             complained)
         SELECT domains.id, CAST($2 AS BIGINT), domains.sending_epoch, CAST($3 AS BIGINT), domains.org_id,
             COALESCE(messages.tenant_id, ''), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT),
             CAST($7 AS BIGINT)
         FROM messages JOIN domains ON domains.id = messages.domain_id WHERE messages.id = $1
         ON CONFLICT (domain_id, day, epoch, tenant_id, shard) DO UPDATE SET
             delivered = sending_days.delivered + excluded.delivered,
             bounced = sending_days.bounced + excluded.bounced,
             refused = sending_days.refused + excluded.refused,
             complained = sending_days.complained + excluded.complained")
    .bind(&message_id)
    .bind(&at.as_millisecond().div_euclid(DAY_MILLIS))
    .bind(&shard)
    .bind(&one(Became::Delivered))
    .bind(&one(Became::Bounced))
    .bind(&one(Became::Refused))
    .bind(&one(Became::Complained))
    .run(tx)
    .await
    .map(drop)
}

macro_rules! sums {
    ($($rest:literal),*) => {
        concat!(
            "SELECT CAST(COALESCE(SUM(delivered), 0) AS BIGINT) AS delivered,
                 CAST(COALESCE(SUM(bounced), 0) AS BIGINT) AS bounced,
                 CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused,
                 CAST(COALESCE(SUM(complained), 0) AS BIGINT) AS complained",
            $($rest),*
        )
    };
}

pub(crate) const JUDGED_DOMAIN: &str = sums!(
    " FROM sending_days WHERE domain_id = $1 AND day >= $2
          AND epoch = (SELECT sending_epoch FROM domains WHERE domains.id = $1)"
);
pub(crate) const JUDGED_TENANT: &str = sums!(
    " FROM sending_days JOIN domains ON domains.id = sending_days.domain_id
          AND domains.sending_epoch = sending_days.epoch
      WHERE sending_days.org_id = $1 AND sending_days.tenant_id = $2 AND day >= $3"
);
const DAYS_OF_DOMAIN: &str =
    sums!(", day FROM sending_days WHERE domain_id = $1 AND day >= $2 GROUP BY day ORDER BY day DESC");
const DAYS_OF_TENANT: &str = sums!(
    ", day FROM sending_days WHERE org_id = $1 AND tenant_id = $2 AND day >= $3 GROUP BY day ORDER BY day DESC"
);

/// Behind `$4`, where a tenant's mail was counted since `$3`.
const SENDING: &str = "SELECT id, name FROM domains
     WHERE deleted_at IS NULL AND org_id = $1 AND paused_at IS NULL AND id > $4 AND id IN (
         SELECT domain_id FROM sending_days WHERE org_id = $1 AND tenant_id = $2 AND day >= $3)
     ORDER BY id LIMIT $5";
/// That of a domain that was paused long ago is not in the window.
const PAUSED: &str = "SELECT id, name FROM domains
     WHERE deleted_at IS NULL AND org_id = $1 AND paused_at IS NOT NULL AND id > $4 AND (tenant_id = $2 OR id IN (
         SELECT domain_id FROM sending_days WHERE org_id = $1 AND tenant_id = $2 AND day >= $3))
     ORDER BY id LIMIT $5";

const ANEW: &str = "UPDATE domains SET sending_epoch = sending_epoch + 1 WHERE org_id = $1 AND id IN (
         SELECT domain_id FROM sending_days WHERE org_id = $1 AND tenant_id = $2 AND day >= $3)";
/// In one order, so that two of these do not wait for each other.
const ANEW_ON_POSTGRES: &str = "UPDATE domains SET sending_epoch = sending_epoch + 1 WHERE id IN (
         SELECT id FROM domains WHERE org_id = $1 AND id IN (
             SELECT domain_id FROM sending_days WHERE org_id = $1 AND tenant_id = $2 AND day >= $3)
         ORDER BY id FOR UPDATE)";

const STANDS: &str = "SELECT paused_at FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL";
const STANDS_ON_POSTGRES: &str =
    "SELECT paused_at FROM domains WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL FOR UPDATE";

fn counts(row: &Row) -> Result<SendingCounts, StoreError> {
    Ok(SendingCounts {
        delivered: row.get("delivered")?,
        bounced: row.get("bounced")?,
        refused: row.get("refused")?,
        complained: row.get("complained")?,
    })
}

fn day(row: &Row) -> Result<SendingDay, StoreError> {
    Ok(SendingDay { day: row.get("day")?, counts: counts(row)? })
}

impl Store {
    /// What a domain is judged by: what became of its mail since that day, as far as it was not resumed since.
    pub async fn judged_of_domain(&self, id: DomainId, since: i64) -> Result<SendingCounts, StoreError> {
        let row = self.read_first(sql(JUDGED_DOMAIN).bind(&id).bind(&since)).await?;
        counts(&row.ok_or(StoreError::NotFound("row"))?)
    }

    /// What a tenant is judged by: that of all its domains, those that are deleted too.
    pub async fn judged_of_tenant(
        &self,
        org_id: OrgId,
        tenant: TenantId,
        since: i64,
    ) -> Result<SendingCounts, StoreError> {
        let query = sql(JUDGED_TENANT).bind(&org_id).bind(&tenant).bind(&since);
        counts(&self.read_first(query).await?.ok_or(StoreError::NotFound("row"))?)
    }

    /// What became of a domain's mail on each day since that one, newest first; days without any are left out.
    pub async fn sending_of_domain(&self, id: DomainId, since: i64) -> Result<Vec<SendingDay>, StoreError> {
        self.read_all(sql(DAYS_OF_DOMAIN).bind(&id).bind(&since)).await?.iter().map(day).collect()
    }

    /// The same of a tenant's mail.
    pub async fn sending_of_tenant(
        &self,
        org_id: OrgId,
        tenant: TenantId,
        since: i64,
    ) -> Result<Vec<SendingDay>, StoreError> {
        let query = sql(DAYS_OF_TENANT).bind(&org_id).bind(&tenant).bind(&since);
        self.read_all(query).await?.iter().map(day).collect()
    }

    /// The next of a tenant's living domains whose mail was counted since that day and that are not paused, behind `after`
    /// and at most `limit`.
    pub async fn sending_domains_of_tenant(
        &self,
        org_id: OrgId,
        tenant: TenantId,
        since: i64,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<(DomainId, DomainName)>, StoreError> {
        self.domains_behind(SENDING, (org_id, tenant, since), after, limit).await
    }

    /// The next of a tenant's domains that are paused, and of others that are and whose mail of the tenant was counted since
    /// that day.
    pub async fn paused_domains_of_tenant(
        &self,
        org_id: OrgId,
        tenant: TenantId,
        since: i64,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<(DomainId, DomainName)>, StoreError> {
        self.domains_behind(PAUSED, (org_id, tenant, since), after, limit).await
    }

    async fn domains_behind(
        &self,
        text: &'static str,
        (org_id, tenant, since): (OrgId, TenantId, i64),
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<(DomainId, DomainName)>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let query = sql(text).bind(&org_id).bind(&tenant).bind(&since).text(&after).bind(&limit);
        self.read_all(query).await?.iter().map(|row| Ok((row.get("id")?, row.get("name")?))).collect()
    }

    /// Has all domains of a tenant whose mail was counted since that day judged by what comes from now on, those that are
    /// deleted too.
    pub async fn judge_tenant_anew(
        &self,
        org_id: OrgId,
        tenant: TenantId,
        since: i64,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let anew = sql(ANEW).on_postgres(ANEW_ON_POSTGRES);
        anew.bind(&org_id).bind(&tenant).bind(&since).run(&mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// How many of a tenant's domains are paused.
    pub async fn paused_domains(&self, org_id: OrgId, tenant: TenantId) -> Result<u64, StoreError> {
        let query = sql("SELECT COUNT(*) AS n FROM domains
             WHERE org_id = $1 AND tenant_id = $2 AND paused_at IS NOT NULL AND deleted_at IS NULL");
        query.bind(&org_id).bind(&tenant).number(&mut self.pools.read().await?).await
    }

    /// Pauses the sending of a domain, unless it is paused already; whether it was done now.
    pub async fn pause_sending(
        &self,
        id: DomainId,
        pause: &Pause,
        told: impl Into<Told<'_>>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let paused = sql("UPDATE domains SET paused_at = $2, pause_reason = $3, pause_cause = $4,
                 version = version + 1
             WHERE id = $1 AND deleted_at IS NULL AND paused_at IS NULL")
        .bind(&id)
        .bind(&pause.at)
        .text(&pause.reason)
        .bind(&pause.cause)
        .run(&mut tx)
        .await?;
        if paused > 0 {
            tell(told.into(), &mut tx).await?;
        }
        tx.commit().await?;
        Ok(paused > 0)
    }

    /// Lets a domain send again, what waits in the queue too, and judges it by what comes from now on. The events are told
    /// where it was paused.
    pub async fn resume_sending(
        &self,
        org_id: OrgId,
        id: DomainId,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<Domain, StoreError> {
        let told = told.into();
        let mut tx = self.pools.write().await?;
        let before =
            sql(STANDS).on_postgres(STANDS_ON_POSTGRES).bind(&id).bind(&org_id).first(&mut tx).await?;
        let before = before.ok_or(StoreError::NotFound("domain"))?;
        let was_paused = before.opt::<Timestamp>("paused_at")?.is_some();
        let row = sql(concat!(
            "UPDATE domains SET paused_at = NULL, pause_reason = NULL, pause_cause = NULL,
                 sending_epoch = sending_epoch + 1, version = version + 1
             WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL RETURNING ",
            columns!()
        ))
        .bind(&id)
        .bind(&org_id)
        .first(&mut tx)
        .await?;
        let resumed = domain(&row.ok_or(StoreError::NotFound("domain"))?)?;
        if was_paused {
            wake_those_of(id, now, &mut tx).await?;
        }
        let events = if was_paused { told.events } else { &[] };
        tell(Told { events, ..told }, &mut tx).await?;
        tx.commit().await?;
        Ok(resumed)
    }

    /// Notes that a recipient calls a message spam, once: it is counted, and the recipient suppressed. When that was noted.
    ///
    /// # Errors
    /// `NotFound` where the message was not delivered to this recipient.
    pub async fn complain(
        &self,
        message_id: MessageId,
        recipient: &EmailAddress,
        suppression: &Suppression,
        told: impl Into<Told<'_>>,
    ) -> Result<(Timestamp, bool), StoreError> {
        let mut tx = self.pools.write().await?;
        let now = suppression.created_at;
        let noted = sql("UPDATE deliveries SET complained_at = $3
             WHERE message_id = $1 AND recipient = $2 AND state = 'delivered' AND complained_at IS NULL")
        .bind(&message_id)
        .bind(recipient)
        .bind(&now)
        .run(&mut tx)
        .await?;
        if noted > 0 {
            insert_suppression(suppression, &mut tx).await?;
            tell(told.into(), &mut tx).await?;
            count(message_id, recipient, Became::Complained, now, &mut tx).await?;
        }
        let row = sql("SELECT complained_at FROM deliveries WHERE message_id = $1 AND recipient = $2")
            .bind(&message_id)
            .bind(recipient)
            .first(&mut tx)
            .await?;
        let at = row.ok_or(StoreError::NotFound("delivery"))?.opt::<Timestamp>("complained_at")?;
        tx.commit().await?;
        Ok((at.ok_or(StoreError::NotFound("delivery"))?, noted > 0))
    }

    /// Deletes at most `limit` rows of counts from before that day; how many.
    pub async fn delete_sending_days_before(&self, day: i64, limit: u32) -> Result<u64, StoreError> {
        let due = sql("SELECT day FROM sending_days WHERE day < $1 LIMIT 1").bind(&day);
        if self.read_first(due).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.pools.write().await?;
        let deleted = sql(
            "DELETE FROM sending_days WHERE (domain_id, day, epoch, tenant_id, shard) IN (
                 SELECT domain_id, day, epoch, tenant_id, shard FROM sending_days WHERE day < $1 ORDER BY day LIMIT $2)",
        )
        .bind(&day)
        .bind(&limit)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(deleted)
    }
}
