//! The queue: one delivery for each recipient of a message, claimed by lease, and every attempt.

use crate::{
    Hidden, Store, StoreError, Told, Topic,
    audit::tell,
    database::{Row, Tx, sql},
    domains::earliest,
    reputation::{Became, count},
    value::words,
};
use model::{DomainId, EmailAddress, MessageId, OrgId, Timestamp};
use std::collections::{HashMap, hash_map::Entry};

words! {
    /// Where a delivery stands.
    DeliveryState {
        /// Not tried yet.
        Queued = "queued",
        /// The recipient's server has it.
        Delivered = "delivered",
        /// Tried, and to be tried again.
        Deferred = "deferred",
        /// Given up.
        Failed = "failed",
    }
}

/// A recipient of a message to accept.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// To whom.
    pub recipient: EmailAddress,
    /// The envelope sender, which is different for every recipient (RFC 5321 §4.4).
    pub return_path: String,
    /// When to try first.
    pub next_attempt_at: Timestamp,
}

/// A stored delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of which message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: EmailAddress,
    /// The envelope sender.
    pub return_path: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When to try next; `None` when it is over.
    pub next_attempt_at: Option<Timestamp>,
    /// The last reply code (RFC 5321 §4.2).
    pub last_code: Option<u16>,
    /// The last reply, or what went wrong.
    pub last_reply: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// To whom.
    pub recipient: EmailAddress,
    /// The how-manieth, from 1.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The reply code; `None` when there was no reply.
    pub code: Option<u16>,
    /// The reply, or what went wrong.
    pub reply: String,
    /// The server that replied.
    pub remote: Option<String>,
}

/// A delivery that the claimer must try now.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Of which message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: EmailAddress,
    /// The envelope sender.
    pub return_path: String,
    /// How often it was tried before.
    pub attempts: u32,
    /// The number of this claim.
    pub epoch: u64,
    /// When the message was accepted.
    pub created_at: Timestamp,
    /// Whose message.
    pub org_id: OrgId,
    /// The domain it is sent from.
    pub domain_id: DomainId,
    /// The author's address.
    pub from_address: EmailAddress,
    /// The message; shared by the deliveries of one claim.
    pub raw: Hidden,
    /// The span that the message came from.
    pub trace_parent: Option<String>,
}

/// A claim of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryClaim<'a> {
    /// Of which message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: &'a EmailAddress,
    /// Who claimed it.
    pub owner: &'a str,
    /// The number of the claim.
    pub epoch: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct DeliveryResult {
    /// Of which message.
    pub message_id: MessageId,
    /// To whom.
    pub recipient: EmailAddress,
    /// Who claimed it.
    pub owner: String,
    /// The number of that claim.
    pub epoch: u64,
    /// Where it stands now.
    pub state: DeliveryState,
    /// The reply code; `None` when there was no reply.
    pub code: Option<u16>,
    /// The reply, or what went wrong.
    pub reply: String,
    /// The server that replied.
    pub remote: Option<String>,
    /// When to try again; `None` when it is over.
    pub next_attempt_at: Option<Timestamp>,
    /// When the attempt ended.
    pub at: Timestamp,
    /// What is counted of it.
    pub became: Option<Became>,
}

fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        message_id: row.get("message_id")?,
        recipient: row.get("recipient")?,
        return_path: row.get("return_path")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        next_attempt_at: row.opt("next_attempt_at")?,
        last_code: row.opt("last_code")?,
        last_reply: row.opt("last_reply")?,
        delivered_at: row.opt("delivered_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn attempt(row: &Row) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        recipient: row.get("recipient")?,
        attempt: row.get("attempt")?,
        at: row.get("at")?,
        code: row.opt("code")?,
        reply: row.get("reply")?,
        remote: row.opt("remote")?,
    })
}

pub(crate) async fn insert_deliveries(
    message_id: MessageId,
    deliveries: &[NewDelivery],
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    for new in deliveries {
        sql("INSERT INTO deliveries (message_id, recipient, return_path, state, next_attempt_at, created_at,
                 updated_at)
             VALUES ($1, $2, $3, 'queued', $4, $5, $5) ON CONFLICT (message_id, recipient) DO NOTHING")
        .bind(&message_id)
        .bind(&new.recipient)
        .bind(&new.return_path)
        .bind(&new.next_attempt_at)
        .bind(&now)
        .run(tx)
        .await?;
    }
    Ok(())
}

pub(crate) async fn deliveries_of(id: MessageId, tx: &mut Tx) -> Result<Vec<Delivery>, StoreError> {
    let query = sql(
        "SELECT message_id, recipient, return_path, state, attempts, next_attempt_at, last_code, last_reply,
             delivered_at, updated_at
         FROM deliveries WHERE message_id = $1 ORDER BY recipient",
    )
    .bind(&id);
    query.all(tx).await?.iter().map(delivery).collect()
}

pub(crate) async fn attempts_of(id: MessageId, tx: &mut Tx) -> Result<Vec<Attempt>, StoreError> {
    let query = sql("SELECT recipient, attempt, at, code, reply, remote FROM delivery_attempts
         WHERE message_id = $1 ORDER BY at, recipient, attempt");
    query.bind(&id).all(tx).await?.iter().map(attempt).collect()
}

/// One statement, so that no two claimers get the same row.
pub(crate) const CLAIM: &str =
    "UPDATE deliveries SET lease_owner = $1, lease_until = $2, lease_epoch = lease_epoch + 1
     WHERE (message_id, recipient) IN (
         SELECT message_id, recipient FROM deliveries
         WHERE state IN ('queued', 'deferred') AND next_attempt_at <= $3
             AND (lease_until IS NULL OR lease_until <= $3)
         ORDER BY next_attempt_at LIMIT $4)
     RETURNING message_id, recipient, return_path, attempts, next_attempt_at, lease_epoch";

/// The rows that are locked first, each claimer going around those of the others, are the ones that are claimed.
pub(crate) const CLAIM_ON_POSTGRES: &str = "WITH due AS MATERIALIZED (
         SELECT message_id AS due_id, recipient AS due_to FROM deliveries
         WHERE state IN ('queued', 'deferred') AND next_attempt_at <= $3
             AND (lease_until IS NULL OR lease_until <= $3)
         ORDER BY next_attempt_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE deliveries SET lease_owner = $1, lease_until = $2, lease_epoch = lease_epoch + 1 FROM due
     WHERE message_id = due_id AND recipient = due_to
     RETURNING message_id, recipient, return_path, attempts, next_attempt_at, lease_epoch";

pub(crate) const NEXT_FREE: &str = "SELECT next_attempt_at AS due FROM deliveries
     WHERE state IN ('queued', 'deferred') AND next_attempt_at IS NOT NULL AND lease_until IS NULL
     ORDER BY next_attempt_at LIMIT 1";

pub(crate) const NEXT_LEASED: &str =
    "SELECT MIN(CASE WHEN lease_until > next_attempt_at THEN lease_until ELSE next_attempt_at END) AS due
     FROM deliveries WHERE lease_until IS NOT NULL AND state IN ('queued', 'deferred')";

/// What waits of a domain. It is few beside all messages of it, so these are found by what is due later.
pub(crate) const WAKE: &str = "UPDATE deliveries SET next_attempt_at = $2
     WHERE state IN ('queued', 'deferred') AND next_attempt_at > $2
         AND (SELECT domain_id FROM messages WHERE messages.id = deliveries.message_id) = $1";

/// Makes what waits of a domain due now. Whoever calls this has changed the domain before, in the same transaction.
pub(crate) async fn wake_those_of(id: DomainId, now: Timestamp, tx: &mut Tx) -> Result<(), StoreError> {
    sql(WAKE).bind(&id).bind(&now).run(tx).await?;
    tx.wakes(Topic::Deliver);
    Ok(())
}

const IS_HELD: &str = "SELECT id FROM domains
     WHERE id = $1 AND deleted_at IS NULL AND (paused_at IS NOT NULL OR status = 'disabled')";
/// Waits for who lets the domain go on, and the other way round: what is held meanwhile is woken, or not held.
const IS_HELD_ON_POSTGRES: &str = "SELECT id FROM domains
     WHERE id = $1 AND deleted_at IS NULL AND (paused_at IS NOT NULL OR status = 'disabled') FOR SHARE";

pub(crate) const DEPTH: &str = "SELECT COUNT(*) AS n, MIN(created_at) AS oldest FROM deliveries
     WHERE state IN ('queued', 'deferred')";

/// What the deliveries of one message share.
struct Shared {
    org_id: OrgId,
    domain_id: DomainId,
    from_address: EmailAddress,
    created_at: Timestamp,
    raw: Hidden,
    trace_parent: Option<String>,
}

async fn shared(id: MessageId, tx: &mut Tx) -> Result<Shared, StoreError> {
    let query = sql(
        "SELECT org_id, domain_id, from_address, created_at, raw, trace_parent FROM messages WHERE id = $1",
    );
    let row = query.bind(&id).first(tx).await?.ok_or(StoreError::NotFound("message"))?;
    Ok(Shared {
        org_id: row.get("org_id")?,
        domain_id: row.get("domain_id")?,
        from_address: row.get("from_address")?,
        created_at: row.get("created_at")?,
        raw: row.get("raw")?,
        trace_parent: row.opt("trace_parent")?,
    })
}

impl Store {
    /// Claims at most `limit` deliveries that are due, longest due first. Until `lease_until` nobody else gets them.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        owner: &str,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let mut tx = self.pools.write().await?;
        let claim = sql(CLAIM).on_postgres(CLAIM_ON_POSTGRES);
        let claim = claim.text(owner).bind(&lease_until).bind(&now).bind(&limit);
        let mut messages: HashMap<MessageId, Shared> = HashMap::new();
        let mut claimed = Vec::new();
        for row in claim.all(&mut tx).await? {
            let message_id = row.get("message_id")?;
            let message = match messages.entry(message_id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(shared(message_id, &mut tx).await?),
            };
            let due: Timestamp = row.get("next_attempt_at")?;
            claimed.push((
                due,
                ClaimedDelivery {
                    message_id,
                    recipient: row.get("recipient")?,
                    return_path: row.get("return_path")?,
                    attempts: row.get("attempts")?,
                    epoch: row.get("lease_epoch")?,
                    created_at: message.created_at,
                    org_id: message.org_id,
                    domain_id: message.domain_id,
                    from_address: message.from_address.clone(),
                    raw: message.raw.clone(),
                    trace_parent: message.trace_parent.clone(),
                },
            ));
        }
        tx.commit().await?;
        claimed.sort_by_key(|(due, delivery)| (*due, delivery.message_id));
        Ok(claimed.into_iter().map(|(_, delivery)| delivery).collect())
    }

    /// Stores how an attempt ended and gives the lease back.
    ///
    /// # Errors
    /// `StaleVersion` when `owner` has lost the lease: another claimer has the delivery now.
    pub async fn finish_delivery(
        &self,
        result: &DeliveryResult,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let delivered_at = (result.state == DeliveryState::Delivered).then_some(result.at);
        let mut tx = self.pools.write().await?;
        let updated = sql("UPDATE deliveries SET state = $4, attempts = attempts + 1, next_attempt_at = $5,
                 lease_owner = NULL, lease_until = NULL, last_code = $6, last_reply = $7, delivered_at = $8,
                 updated_at = $9
             WHERE message_id = $1 AND recipient = $2 AND lease_owner = $3 AND lease_epoch = $10
             RETURNING attempts")
        .bind(&result.message_id)
        .bind(&result.recipient)
        .bind(&result.owner)
        .bind(&result.state)
        .bind_opt(result.next_attempt_at.as_ref())
        .bind_opt(result.code.as_ref())
        .bind(&result.reply)
        .bind_opt(delivered_at.as_ref())
        .bind(&result.at)
        .bind(&result.epoch)
        .first(&mut tx)
        .await?;
        let attempts: u32 = updated.ok_or(StoreError::StaleVersion)?.get("attempts")?;
        sql("INSERT INTO delivery_attempts (message_id, recipient, attempt, at, code, reply, remote)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(&result.message_id)
        .bind(&result.recipient)
        .bind(&attempts)
        .bind(&result.at)
        .bind_opt(result.code.as_ref())
        .bind(&result.reply)
        .bind_opt(result.remote.as_ref())
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        // Last: others who count the same wait for the end of this.
        if let Some(became) = result.became {
            count(result.message_id, &result.recipient, became, result.at, &mut tx).await?;
        }
        tx.commit().await
    }

    /// Makes a claim hold until then; whether it was still in force.
    pub async fn renew_delivery(
        &self,
        claim: DeliveryClaim<'_>,
        lease_until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.set_lease(claim, Some(lease_until)).await
    }

    /// Gives a claimed delivery back untried: it can be claimed at once. Whether the claim was still in force.
    pub async fn release_delivery(&self, claim: DeliveryClaim<'_>) -> Result<bool, StoreError> {
        self.set_lease(claim, None).await
    }

    /// Gives a claimed delivery back untried until then, with why, since nothing is sent from its domain for now. Where
    /// that is so no more, it can be claimed at once. Whether the claim was still in force.
    pub async fn hold_delivery(
        &self,
        claim: DeliveryClaim<'_>,
        domain_id: DomainId,
        why: &str,
        next_look: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let held = sql(IS_HELD).on_postgres(IS_HELD_ON_POSTGRES).bind(&domain_id).first(&mut tx).await?;
        if held.is_none() {
            tx.commit().await?;
            return self.release_delivery(claim).await;
        }
        let changed =
            sql("UPDATE deliveries SET lease_owner = NULL, lease_until = NULL, next_attempt_at = $5,
                 last_code = NULL, last_reply = $6
             WHERE message_id = $1 AND recipient = $2 AND lease_owner = $3 AND lease_epoch = $4")
            .bind(&claim.message_id)
            .bind(claim.recipient)
            .text(claim.owner)
            .bind(&claim.epoch)
            .bind(&next_look)
            .text(why)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    async fn set_lease(
        &self,
        claim: DeliveryClaim<'_>,
        lease_until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pools.write().await?;
        let changed = sql("UPDATE deliveries SET lease_until = $5,
                 lease_owner = CASE WHEN $5 IS NULL THEN NULL ELSE lease_owner END
             WHERE message_id = $1 AND recipient = $2 AND lease_owner = $3 AND lease_epoch = $4")
        .bind(&claim.message_id)
        .bind(claim.recipient)
        .text(claim.owner)
        .bind(&claim.epoch)
        .bind_opt(lease_until.as_ref())
        .run(&mut tx)
        .await?;
        if lease_until.is_none() {
            tx.wakes(Topic::Deliver);
        }
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// How many deliveries wait, and since when the oldest does.
    pub async fn queue_depth(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let row = self.read_first(sql(DEPTH)).await?.ok_or(StoreError::NotFound("row"))?;
        Ok((row.get("n")?, row.opt("oldest")?))
    }

    /// When the next delivery can be claimed; in the past when one can be now, `None` when none waits.
    pub async fn next_delivery_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut tx = self.pools.snapshot().await?;
        earliest([NEXT_FREE, NEXT_LEASED], &mut tx).await
    }
}
