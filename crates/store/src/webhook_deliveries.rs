//! What is to be delivered to webhooks: one delivery for each event that a webhook wants, claimed by lease, and every
//! attempt.
//!
//! Each claim has a number of its own, `epoch`: who claimed a delivery, lost it and claims it again is somebody else, and
//! what they began before counts no more.

use crate::{
    Event, NewEvent, NumberedEvent, Store, StoreError, Told, Topic, Webhook, WebhookStatus,
    audit::tell,
    database::{Row, Tx, sql},
    domains::earliest,
    events::{before, insert_events, numbered_event},
    value::words,
    webhooks::{enabled_webhooks, give_up_deliveries, wants},
};
use model::{EventId, OrgId, Timestamp, WebhookDeliveryId, WebhookId};
use std::collections::{HashMap, hash_map::Entry};

words! {
    /// Where a delivery stands.
    WebhookDeliveryState {
        /// To be tried, or tried and to be tried again.
        Waiting = "waiting",
        /// The webhook has it.
        Delivered = "delivered",
        /// Given up.
        Failed = "failed",
    }
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// Of which event.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: String,
    /// Where it stands.
    pub state: WebhookDeliveryState,
    /// How often it was tried in all.
    pub attempts: u32,
    /// When to try next.
    pub next_attempt_at: Option<Timestamp>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// The how-manieth, from 1.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: String,
}

/// A delivery that the claimer must try now.
#[derive(Debug, Clone)]
pub struct ClaimedWebhookDelivery {
    /// Its id.
    pub id: WebhookDeliveryId,
    /// The number of this claim.
    pub epoch: u64,
    /// How often it was tried before, since it began or was begun anew.
    pub tries: u32,
    /// When it began, or was begun anew.
    pub started_at: Timestamp,
    /// To whom.
    pub webhook: Webhook,
    /// What.
    pub event: NumberedEvent,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct WebhookResult {
    /// Of which delivery.
    pub id: WebhookDeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// Who claimed it.
    pub owner: String,
    /// The number of that claim.
    pub epoch: u64,
    /// Where it stands now.
    pub state: WebhookDeliveryState,
    /// When to try again.
    pub next_attempt_at: Option<Timestamp>,
    /// The attempt; its number is given by the store.
    pub attempt: WebhookAttempt,
    /// The webhook is to be disabled.
    pub disable: Option<Disable>,
}

/// Why a webhook is to be disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disable {
    /// For people.
    pub reason: String,
    /// Since when it fails, where that is why: not where it was reached since.
    pub failing_since: Option<Timestamp>,
}

fn delivery(row: &Row) -> Result<WebhookDelivery, StoreError> {
    Ok(WebhookDelivery {
        id: row.get("id")?,
        webhook_id: row.get("webhook_id")?,
        event_id: row.get("event_id")?,
        event_type: row.get("event_type")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        next_attempt_at: row.opt("next_attempt_at")?,
        last_status: row.opt("last_status")?,
        last_error: row.opt("last_error")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, webhook_id, event_id, event_type, state, attempts, next_attempt_at, last_status, last_error,
                 created_at, updated_at FROM webhook_deliveries ",
            $rest
        )
    };
}
pub(crate) const LIST: &str = columns!("WHERE webhook_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
pub(crate) const LIST_IN_STATE: &str =
    columns!("WHERE webhook_id = $1 AND id < $2 AND state = $4 ORDER BY id DESC LIMIT $3");

/// `$5` has the webhooks that are passed over, with commas around each.
pub(crate) const CLAIM: &str =
    "UPDATE webhook_deliveries SET lease_owner = $1, lease_until = $2, lease_epoch = lease_epoch + 1
     WHERE id IN (
         SELECT id FROM webhook_deliveries
         WHERE state = 'waiting' AND next_attempt_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
             AND $5 NOT LIKE '%,' || webhook_id || ',%'
         ORDER BY next_attempt_at LIMIT $4)
     RETURNING id, webhook_id, event_id, lease_epoch, tries, started_at";

pub(crate) const CLAIM_ON_POSTGRES: &str = "WITH due AS MATERIALIZED (
         SELECT id AS due_id FROM webhook_deliveries
         WHERE state = 'waiting' AND next_attempt_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
             AND $5 NOT LIKE '%,' || webhook_id || ',%'
         ORDER BY next_attempt_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE webhook_deliveries SET lease_owner = $1, lease_until = $2, lease_epoch = lease_epoch + 1 FROM due
     WHERE id = due_id
     RETURNING id, webhook_id, event_id, lease_epoch, tries, started_at";

pub(crate) const NEXT_FREE: &str = "SELECT next_attempt_at AS due FROM webhook_deliveries
     WHERE state = 'waiting' AND next_attempt_at IS NOT NULL AND lease_until IS NULL
     ORDER BY next_attempt_at LIMIT 1";

pub(crate) const NEXT_LEASED: &str = "SELECT MIN(lease_until) AS due FROM webhook_deliveries
     WHERE lease_until IS NOT NULL AND state = 'waiting'";

/// An event that was numbered just now.
pub(crate) struct Fresh {
    pub(crate) id: EventId,
    pub(crate) event_type: String,
    pub(crate) org_id: OrgId,
    pub(crate) tenant_id: Option<model::TenantId>,
}

/// Makes a delivery of each event for each webhook that wants it.
pub(crate) async fn insert_deliveries(
    events: &[Fresh],
    now: Timestamp,
    new_id: &mut (dyn FnMut() -> WebhookDeliveryId + Send),
    tx: &mut Tx,
) -> Result<(), StoreError> {
    let mut known: HashMap<OrgId, Vec<Webhook>> = HashMap::new();
    for event in events {
        let webhooks = match known.entry(event.org_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(enabled_webhooks(event.org_id, tx).await?),
        };
        for webhook in webhooks {
            let is_theirs = webhook.tenant_id.is_none() || webhook.tenant_id == event.tenant_id;
            if is_theirs && wants(&webhook.event_types, &event.event_type) {
                begin(webhook.id, (event.id, &event.event_type), new_id(), now, false, tx).await?;
                tx.wakes(Topic::Webhooks);
            }
        }
    }
    Ok(())
}

/// Begins a delivery; one that is there is begun anew where it is not delivered, or `delivered_too`. How many begin.
async fn begin(
    webhook_id: WebhookId,
    (event_id, event_type): (EventId, &str),
    id: WebhookDeliveryId,
    now: Timestamp,
    delivered_too: bool,
    tx: &mut Tx,
) -> Result<u64, StoreError> {
    sql("INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, state, started_at, next_attempt_at,
             created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'waiting', $5, $5, $5, $5)
         ON CONFLICT (webhook_id, event_id) DO UPDATE SET state = 'waiting', started_at = $5, next_attempt_at = $5,
             tries = 0, updated_at = $5
             WHERE webhook_deliveries.state = 'failed' OR (webhook_deliveries.state = 'delivered' AND $6 = 1)")
    .bind(&id)
    .bind(&webhook_id)
    .bind(&event_id)
    .text(event_type)
    .bind(&now)
    .bind(&delivered_too)
    .run(tx)
    .await
}

async fn claimed(
    row: &Row,
    webhook: Webhook,
    tx: &mut Tx,
) -> Result<Option<ClaimedWebhookDelivery>, StoreError> {
    let event: EventId = row.get("event_id")?;
    let query =
        sql("SELECT id, org_id, event_type, subject, data, created_at, trace_parent, seq, tenant_id, domain_id FROM events
         WHERE id = $1 AND seq IS NOT NULL");
    let Some(found) = query.bind(&event).first(tx).await? else { return Ok(None) };
    Ok(Some(ClaimedWebhookDelivery {
        id: row.get("id")?,
        epoch: row.get("lease_epoch")?,
        tries: row.get("tries")?,
        started_at: row.get("started_at")?,
        webhook,
        event: numbered_event(&found)?,
    }))
}

impl Store {
    /// Claims at most `limit` deliveries that are due, longest due first, none of the webhooks `busy`. Until
    /// `lease_until` nobody else gets them.
    pub async fn claim_webhook_deliveries(
        &self,
        now: Timestamp,
        owner: &str,
        lease_until: Timestamp,
        limit: u32,
        busy: &[WebhookId],
    ) -> Result<Vec<ClaimedWebhookDelivery>, StoreError> {
        let busy: Vec<_> = busy.iter().map(ToString::to_string).collect();
        let busy = format!(",{},", busy.join(","));
        let mut tx = self.pools.write().await?;
        let claim = sql(CLAIM).on_postgres(CLAIM_ON_POSTGRES);
        let claim = claim.text(owner).bind(&lease_until).bind(&now).bind(&limit).text(&busy);
        let rows = claim.all(&mut tx).await?;
        let mut out = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: WebhookDeliveryId = row.get("id")?;
            let webhook = crate::webhooks::one(row.get("webhook_id")?, &mut tx).await?;
            let found = match webhook.filter(|webhook| webhook.status == WebhookStatus::Enabled) {
                Some(webhook) => claimed(row, webhook, &mut tx).await?,
                None => None,
            };
            match found {
                Some(found) => out.push(found),
                // The event expired, or the webhook was disabled at the same moment.
                None => {
                    sql("UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, lease_owner = NULL,
                             lease_until = NULL, last_error = 'the event or its webhook is gone', updated_at = $2
                         WHERE id = $1")
                    .bind(&id)
                    .bind(&now)
                    .run(&mut tx)
                    .await?;
                }
            }
        }
        tx.commit().await?;
        Ok(out)
    }

    /// Stores how an attempt ended and gives the lease back. `disabled` is stored where this disables the webhook;
    /// says whether it did.
    ///
    /// # Errors
    /// `StaleVersion` when the claim is not in force any more.
    pub async fn finish_webhook_delivery(
        &self,
        result: &WebhookResult,
        disabled: &[NewEvent],
    ) -> Result<bool, StoreError> {
        let attempt = &result.attempt;
        let mut tx = self.pools.write().await?;
        // The webhook before its deliveries, as everywhere: two transactions never wait for each other.
        note_on_webhook(result, &mut tx).await?;
        let is_disabled = match &result.disable {
            Some(why) => disable(result.webhook_id, why, attempt.at, &mut tx).await?,
            None => false,
        };
        let updated = sql("UPDATE webhook_deliveries SET state = $4, attempts = attempts + 1, tries = tries + 1,
                 next_attempt_at = $5, lease_owner = NULL, lease_until = NULL, last_status = $6, last_error = $7,
                 updated_at = $8
             WHERE id = $1 AND lease_owner = $2 AND lease_epoch = $3 AND state = 'waiting' RETURNING attempts")
        .bind(&result.id)
        .bind(&result.owner)
        .bind(&result.epoch)
        .bind(&result.state)
        .bind_opt(result.next_attempt_at.as_ref())
        .bind_opt(attempt.status.as_ref())
        .bind_opt(attempt.error.as_ref())
        .bind(&attempt.at)
        .first(&mut tx)
        .await?;
        let number: u32 = updated.ok_or(StoreError::StaleVersion)?.get("attempts")?;
        sql("INSERT INTO webhook_attempts (delivery_id, attempt, at, status, millis, error, answer)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(&result.id)
        .bind(&number)
        .bind(&attempt.at)
        .bind_opt(attempt.status.as_ref())
        .bind(&attempt.millis)
        .bind_opt(attempt.error.as_ref())
        .bind(&attempt.answer)
        .run(&mut tx)
        .await?;
        if is_disabled {
            give_up_deliveries(result.webhook_id, "the webhook was disabled", attempt.at, &mut tx).await?;
            insert_events(disabled, &mut tx).await?;
        }
        tx.commit().await?;
        Ok(is_disabled)
    }

    /// The deliveries to a webhook, newest first, from behind `after`; of one state, or all.
    pub async fn list_webhook_deliveries(
        &self,
        webhook_id: WebhookId,
        state: Option<WebhookDeliveryState>,
        after: Option<WebhookDeliveryId>,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let page = sql(if state.is_some() { LIST_IN_STATE } else { LIST });
        let mut page = page.bind(&webhook_id).text(&before(after, WebhookDeliveryId::PREFIX)).bind(&limit);
        if let Some(state) = &state {
            page = page.bind(state);
        }
        self.read_all(page).await?.iter().map(delivery).collect()
    }

    /// A delivery with its attempts, oldest first.
    pub async fn get_webhook_delivery(
        &self,
        id: WebhookDeliveryId,
    ) -> Result<(WebhookDelivery, Vec<WebhookAttempt>), StoreError> {
        let mut tx = self.pools.snapshot().await?;
        let row = sql(columns!("WHERE id = $1")).bind(&id).first(&mut tx).await?;
        let found = delivery(&row.ok_or(StoreError::NotFound("webhook delivery"))?)?;
        let rows = sql("SELECT attempt, at, status, millis, error, answer FROM webhook_attempts
             WHERE delivery_id = $1 ORDER BY attempt")
        .bind(&id)
        .all(&mut tx)
        .await?;
        let attempt = |row: &Row| {
            Ok(WebhookAttempt {
                attempt: row.get("attempt")?,
                at: row.get("at")?,
                status: row.opt("status")?,
                millis: row.get("millis")?,
                error: row.opt("error")?,
                answer: row.get("answer")?,
            })
        };
        Ok((found, rows.iter().map(attempt).collect::<Result<_, StoreError>>()?))
    }

    /// Begins a delivery anew, whatever came of it; nothing changes while it waits.
    pub async fn replay_webhook_delivery(
        &self,
        id: WebhookDeliveryId,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let row =
            sql("SELECT webhook_id, event_id, event_type FROM webhook_deliveries WHERE id = $1").bind(&id);
        let row = row.first(&mut tx).await?.ok_or(StoreError::NotFound("webhook delivery"))?;
        let (webhook, event): (WebhookId, EventId) = (row.get("webhook_id")?, row.get("event_id")?);
        let event_type: String = row.get("event_type")?;
        begin(webhook, (event, &event_type), id, now, true, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.wakes(Topic::Webhooks);
        tx.commit().await
    }

    /// Begins the delivery of at most `limit` events with a number above `after` that happened at `since` or later,
    /// that the webhook wants, and that were not delivered to it (or `delivered_too`). How many were begun, and behind
    /// which number to go on; nothing where there are no more.
    pub async fn replay_webhook(
        &self,
        webhook: &Webhook,
        replay: Replay,
        new_id: &mut (dyn FnMut() -> WebhookDeliveryId + Send),
        told: impl Into<Told<'_>>,
    ) -> Result<(u64, Option<u64>), StoreError> {
        let mut tx = self.pools.write().await?;
        let page = sql(
            "SELECT id, org_id, event_type, subject, data, created_at, trace_parent, seq, tenant_id, domain_id FROM events
             WHERE org_id = $1 AND seq > $2 AND created_at >= $3 ORDER BY seq LIMIT $4",
        );
        let rows = page.bind(&webhook.org_id).bind(&replay.after).bind(&replay.since).bind(&replay.limit);
        let rows = rows.all(&mut tx).await?;
        let (mut begun, mut last) = (0, None);
        for row in &rows {
            let NumberedEvent { seq, event, tenant_id, .. } = numbered_event(row)?;
            let Event { id, event_type, .. } = event;
            last = Some(seq);
            if (webhook.tenant_id.is_none() || webhook.tenant_id == tenant_id) && webhook.wants(&event_type) {
                let (event, id) = ((id, event_type.as_str()), new_id());
                begun += begin(webhook.id, event, id, replay.now, replay.delivered_too, &mut tx).await?;
            }
        }
        tell(told.into(), &mut tx).await?;
        tx.wakes(Topic::Webhooks);
        tx.commit().await?;
        let is_full = rows.len() as u64 >= u64::from(replay.limit);
        Ok((begun, last.filter(|_| is_full)))
    }

    /// When the next delivery to a webhook can be claimed; `None` when none waits.
    pub async fn next_webhook_delivery_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut tx = self.pools.snapshot().await?;
        earliest([NEXT_FREE, NEXT_LEASED], &mut tx).await
    }
}

/// What [`Store::replay_webhook`] goes over.
#[derive(Debug, Clone, Copy)]
pub struct Replay {
    /// Events that happened then or later.
    pub since: Timestamp,
    /// With a number above this one.
    pub after: u64,
    /// At most so many.
    pub limit: u32,
    /// Those that were delivered too.
    pub delivered_too: bool,
    /// The time.
    pub now: Timestamp,
}

/// Since when a webhook fails, and when it was last reached. Written only where it changes, or at most once a minute.
async fn note_on_webhook(result: &WebhookResult, tx: &mut Tx) -> Result<(), StoreError> {
    let note = if result.attempt.error.is_none() {
        sql("UPDATE webhooks SET failing_since = NULL, delivered_at = $2 WHERE id = $1
             AND (failing_since IS NOT NULL OR delivered_at IS NULL OR delivered_at <= $2 - 60000)")
    } else {
        sql("UPDATE webhooks SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL")
    };
    note.bind(&result.webhook_id).bind(&result.attempt.at).run(tx).await.map(drop)
}

/// Disables a webhook that is enabled; whether it was.
async fn disable(id: WebhookId, why: &Disable, now: Timestamp, tx: &mut Tx) -> Result<bool, StoreError> {
    let disabled = match &why.failing_since {
        None => sql("UPDATE webhooks SET status = 'disabled', disabled_reason = $2, updated_at = $3
             WHERE id = $1 AND status = 'enabled' AND deleted_at IS NULL"),
        Some(_) => sql("UPDATE webhooks SET status = 'disabled', disabled_reason = $2, updated_at = $3
             WHERE id = $1 AND status = 'enabled' AND deleted_at IS NULL AND failing_since = $4"),
    };
    let mut disabled = disabled.bind(&id).text(&why.reason).bind(&now);
    if let Some(since) = &why.failing_since {
        disabled = disabled.bind(since);
    }
    Ok(disabled.run(tx).await? > 0)
}
