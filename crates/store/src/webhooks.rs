//! Webhooks: who is told of which events, and where. What is to be delivered to them is in `webhook_deliveries.rs`.

use crate::{
    Hidden, Store, StoreError, Told, Visible,
    audit::tell,
    database::{Row, Tx, sql},
    events::before,
    value::{to_json, words},
    visible::Texts,
};
use model::{OrgId, TenantId, Timestamp, WebhookId};

words! {
    /// Whether a webhook is told of events.
    WebhookStatus {
        /// It is.
        Enabled = "enabled",
        /// It is not: nothing is kept for it either.
        Disabled = "disabled",
    }
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose webhook.
    pub org_id: OrgId,
    /// The tenant whose events alone it is told of.
    pub tenant_id: Option<TenantId>,
    /// Where events are sent.
    pub url: String,
    /// What it is for, for people.
    pub description: String,
    /// Types of events, or `noun.*`; all without any.
    pub event_types: Vec<String>,
    /// Whether it is told of events.
    pub status: WebhookStatus,
    /// Why it is disabled, where the platform did it.
    pub disabled_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when nothing could be delivered.
    pub failing_since: Option<Timestamp>,
    /// When something was last delivered.
    pub delivered_at: Option<Timestamp>,
    /// Until when the old secret signs too.
    pub old_secret_until: Option<Timestamp>,
    /// The secret, encrypted.
    pub secret: Hidden,
    /// The secret before it, encrypted.
    pub old_secret: Option<Hidden>,
}

impl Webhook {
    /// Whether it is told of events of this type.
    pub fn wants(&self, event_type: &str) -> bool {
        wants(&self.event_types, event_type)
    }
}

pub(crate) fn wants(types: &[String], event_type: &str) -> bool {
    types.is_empty()
        || types.iter().any(|word| match word.strip_suffix(".*") {
            Some(noun) => event_type.split_once('.').is_some_and(|(start, _)| start == noun),
            None => word == event_type,
        })
}

pub(crate) fn webhook(row: &Row) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        url: row.get("url")?,
        description: row.get("description")?,
        event_types: row.json("event_types")?,
        status: row.get("status")?,
        disabled_reason: row.opt("disabled_reason")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        failing_since: row.opt("failing_since")?,
        delivered_at: row.opt("delivered_at")?,
        old_secret_until: row.opt("old_secret_until")?,
        secret: row.get("secret")?,
        old_secret: row.opt("old_secret")?,
    })
}

macro_rules! columns {
    ($($rest:literal)*) => {
        concat!(
            "SELECT id, org_id, tenant_id, url, description, event_types, status, disabled_reason, created_at,
                 updated_at, failing_since, delivered_at, old_secret_until, secret, old_secret FROM webhooks ",
            $($rest),*
        )
    };
}

/// A webhook is told of all domains: who is limited to some sees none.
macro_rules! texts {
    ($condition:literal, $tenant:literal, $key:literal, $end:literal) => {
        Texts {
            whole: columns!("WHERE org_id = $1 AND deleted_at IS NULL AND " $condition $end),
            tenant: columns!(
                "WHERE org_id = $1 AND deleted_at IS NULL AND " $condition " AND tenant_id = " $tenant $end
            ),
            listed: columns!("WHERE org_id = $1 AND " $condition " AND id = '' AND id = " $tenant $end),
            both: columns!(
                "WHERE org_id = $1 AND " $condition " AND id = '' AND tenant_id = " $tenant " AND id = " $key $end
            ),
        }
    };
}
pub(crate) const LIST: Texts = texts!("id < $2", "$4", "$5", " ORDER BY id DESC LIMIT $3");
const ONE: Texts = texts!("id = $2", "$3", "$4", "");

/// The enabled webhooks of an organisation.
pub(crate) async fn enabled_webhooks(org_id: OrgId, tx: &mut Tx) -> Result<Vec<Webhook>, StoreError> {
    let query = sql(columns!("WHERE org_id = $1 AND deleted_at IS NULL AND status = 'enabled'"));
    query.bind(&org_id).all(tx).await?.iter().map(webhook).collect()
}

/// A webhook that was not deleted.
pub(crate) async fn one(id: WebhookId, tx: &mut Tx) -> Result<Option<Webhook>, StoreError> {
    let query = sql(columns!("WHERE id = $1 AND deleted_at IS NULL"));
    query.bind(&id).first(tx).await?.as_ref().map(webhook).transpose()
}

/// What is still to be delivered to a webhook that is told of nothing any more is given up.
pub(crate) async fn give_up_deliveries(
    id: WebhookId,
    why: &str,
    now: Timestamp,
    tx: &mut Tx,
) -> Result<(), StoreError> {
    sql("UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, lease_owner = NULL,
             lease_until = NULL, last_error = $2, updated_at = $3
         WHERE webhook_id = $1 AND state = 'waiting'")
    .bind(&id)
    .text(why)
    .bind(&now)
    .run(tx)
    .await
    .map(drop)
}

impl Store {
    /// Adds a webhook, unless the organisation has `limit` of them.
    pub async fn insert_webhook(
        &self,
        new: &Webhook,
        limit: u64,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        // Whoever adds one at the same time counts behind this.
        sql("SELECT id FROM organisations WHERE id = $1")
            .on_postgres("SELECT id FROM organisations WHERE id = $1 FOR NO KEY UPDATE")
            .bind(&new.org_id)
            .first(&mut tx)
            .await?;
        let there = sql("SELECT COUNT(*) AS n FROM webhooks WHERE org_id = $1 AND deleted_at IS NULL");
        if there.bind(&new.org_id).number::<u64>(&mut tx).await? >= limit {
            return Err(StoreError::LimitReached { what: "webhooks", limit });
        }
        sql("INSERT INTO webhooks (id, org_id, tenant_id, url, description, event_types, status, created_at,
                 updated_at, secret)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)")
        .bind(&new.id)
        .bind(&new.org_id)
        .bind_opt(new.tenant_id.as_ref())
        .bind(&new.url)
        .bind(&new.description)
        .bind(&to_json(&new.event_types)?)
        .bind(&new.status)
        .bind(&new.created_at)
        .bind(&new.secret)
        .run(&mut tx)
        .await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// One webhook that is visible.
    pub async fn get_webhook(&self, visible: &Visible, id: WebhookId) -> Result<Webhook, StoreError> {
        let query = visible.sql(&ONE).bind(&visible.org_id).bind(&id);
        let row = self.read_first(visible.bind(query)).await?;
        webhook(&row.ok_or(StoreError::NotFound("webhook"))?)
    }

    /// The webhooks that are visible, newest first, from behind `after`.
    pub async fn list_webhooks(
        &self,
        visible: &Visible,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Vec<Webhook>, StoreError> {
        let page =
            visible.sql(&LIST).bind(&visible.org_id).text(&before(after, WebhookId::PREFIX)).bind(&limit);
        self.read_all(visible.bind(page)).await?.iter().map(webhook).collect()
    }

    /// Stores what its owner can change: address, description, types, and whether it is enabled. One that is enabled
    /// again begins anew; what waits for one that is disabled is given up.
    ///
    /// # Errors
    /// `NotFound`; `StaleVersion` when it was changed since it was read.
    pub async fn update_webhook(
        &self,
        changed: &Webhook,
        read_at: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let updated = sql("UPDATE webhooks SET url = $2, description = $3, event_types = $4, status = $5,
                 disabled_reason = NULL, updated_at = $6,
                 failing_since = CASE WHEN status = $5 AND url = $2 THEN failing_since ELSE NULL END
             WHERE id = $1 AND deleted_at IS NULL AND updated_at = $7")
        .bind(&changed.id)
        .bind(&changed.url)
        .bind(&changed.description)
        .bind(&to_json(&changed.event_types)?)
        .bind(&changed.status)
        .bind(&changed.updated_at)
        .bind(&read_at)
        .run(&mut tx)
        .await?;
        if updated == 0 {
            return Err(StoreError::StaleVersion);
        }
        if changed.status == WebhookStatus::Disabled {
            give_up_deliveries(changed.id, "the webhook was disabled", changed.updated_at, &mut tx).await?;
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Stores the secrets of a webhook that were changed, as they were read at `read_at`.
    ///
    /// # Errors
    /// `StaleVersion` when it was changed since.
    pub async fn rotate_webhook_secret(
        &self,
        rotated: &Webhook,
        read_at: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        let updated =
            sql("UPDATE webhooks SET old_secret = $2, secret = $3, old_secret_until = $4, updated_at = $5
             WHERE id = $1 AND deleted_at IS NULL AND updated_at = $6")
            .bind(&rotated.id)
            .bind_opt(rotated.old_secret.as_ref())
            .bind(&rotated.secret)
            .bind_opt(rotated.old_secret_until.as_ref())
            .bind(&rotated.updated_at)
            .bind(&read_at)
            .run(&mut tx)
            .await?;
        if updated == 0 {
            return Err(StoreError::StaleVersion);
        }
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }

    /// Deletes a webhook; what waits for it is given up.
    pub async fn delete_webhook(
        &self,
        id: WebhookId,
        now: Timestamp,
        told: impl Into<Told<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        sql("UPDATE webhooks SET status = 'disabled', deleted_at = $2, updated_at = $2
             WHERE id = $1 AND deleted_at IS NULL")
        .bind(&id)
        .bind(&now)
        .run_on("webhook", &mut tx)
        .await?;
        give_up_deliveries(id, "the webhook was deleted", now, &mut tx).await?;
        tell(told.into(), &mut tx).await?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::wants;

    #[test]
    fn types_are_wanted_whole_or_by_their_noun() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for (types, event, expected) in [
            (&[][..], "domain.verified", true),
            (&["domain.verified"], "domain.verified", true),
            (&["domain.*"], "domain.verified", true),
            (&["dom.*", "email.bounced"], "domain.verified", false),
            (&["domain"], "domain.verified", false),
            (&["email.*", "domain.failed"], "domain.failed", true),
        ] {
            assert_eq!(wants(&words(types), event), expected, "{types:?} {event}");
        }
    }
}
