//! Webhooks: an organisation's own addresses that are told what happens. Delivering is in `webhook_deliver.rs`.
//!
//! A webhook is told what `GET /events` tells: of the whole organisation, or of one tenant. Whoever is bound to a tenant
//! has the tenant's webhooks only; whoever is limited to some domains has none.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
    events::checked_types,
    keys::Secret,
    outbound::Target,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use model::{TenantId, WebhookDeliveryId, WebhookId};
use serde_json::json;
use store::{
    Replay, StoreError, Told, Webhook, WebhookAttempt, WebhookDelivery, WebhookDeliveryState, WebhookStatus,
};

/// How many webhooks one organisation may have.
const MOST_WEBHOOKS: u64 = 100;
/// How long a description may be, in characters.
const MOST_DESCRIPTION: usize = 200;
/// How long the old secret signs too, unless the request says otherwise, in seconds: a day.
pub const DEFAULT_OVERLAP: u32 = 86_400;
/// With how many secrets of before requests are signed at the most.
const MOST_OLD_SECRETS: usize = 3;
/// The longest overlap, in seconds: 30 days.
pub const MOST_OVERLAP: u32 = 30 * 86_400;
/// How many events one replay goes over.
pub const MOST_REPLAYED: u32 = 10_000;
/// How many of them in one transaction.
const REPLAY_BATCH: u32 = 500;

/// A webhook to make.
#[derive(Debug, Clone, Default)]
pub struct CreateWebhook {
    /// Where events are sent.
    pub url: String,
    /// Of which types, `noun.*` among them; all without any.
    pub event_types: Vec<String>,
    /// For people.
    pub description: String,
    /// The tenant whose events alone it is told of.
    pub tenant_id: Option<TenantId>,
}

/// What is to be changed of a webhook.
#[derive(Debug, Clone, Default)]
pub struct ChangeWebhook {
    /// Where events are sent.
    pub url: Option<String>,
    /// Of which types.
    pub event_types: Option<Vec<String>>,
    /// For people.
    pub description: Option<String>,
    /// Whether it is told of events.
    pub enabled: Option<bool>,
}

/// A webhook with its secret, which is shown this once.
#[derive(Debug)]
pub struct WebhookWithSecret {
    /// The webhook.
    pub webhook: Webhook,
    /// What its requests are signed with.
    pub secret: Secret,
}

/// Which events are delivered again.
#[derive(Debug, Clone, Copy)]
pub struct ReplaySince {
    /// Those that happened then or later.
    pub since: Timestamp,
    /// Behind this number of the feed: where the replay before ended.
    pub after: Option<u64>,
    /// Those that were delivered too.
    pub delivered_too: bool,
    /// How many events are gone over at the most.
    pub most: u32,
}

/// What a replay began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// How many events are to be delivered.
    pub count: u64,
    /// From when on: later than was asked for, where it is not known any more what was delivered before.
    pub since: Timestamp,
    /// Behind which number of the feed there is more.
    pub next: Option<u64>,
}

impl App {
    /// Webhooks are told of all domains, so nobody who is limited to some may have one.
    fn require_webhooks(caller: &Caller) -> Result<()> {
        caller.require(Scope::WriteWebhooks)?;
        match caller.allowed_domain_ids {
            Some(_) => Err(Error::KeyIsLimited),
            None => Ok(()),
        }
    }

    /// Makes a webhook. Its secret is never shown again.
    pub async fn add_webhook(&self, caller: &Caller, request: &CreateWebhook) -> Result<WebhookWithSecret> {
        Self::require_webhooks(caller)?;
        if let Some(id) = caller.made_before(WebhookId::from_parts)
            && self.webhook(caller, id).await.is_ok()
        {
            // The same request made it, and its answer was lost: nobody has the secret that was in it.
            return self.rotate_webhook(caller, id, 0).await;
        }
        let url = self.checked_url(&request.url)?;
        checked_types("event_types", &request.event_types)?;
        let description = checked_description(&request.description)?;
        let tenant_id = self.tenant_for_new(caller, request.tenant_id).await?;
        let now = millis(self.clock.now());
        let id = caller.id_or(WebhookId::from_parts, self.random.webhook_id(now));
        let (secret, sealed) = self.new_webhook_secret(id)?;
        let webhook = Webhook {
            id,
            org_id: caller.org_id,
            tenant_id,
            url,
            description,
            event_types: request.event_types.clone(),
            status: WebhookStatus::Enabled,
            disabled_reason: None,
            created_at: now,
            updated_at: now,
            failing_since: None,
            delivered_at: None,
            old_secret_until: None,
            secret: sealed,
            old_secret: None,
        };
        let data = json!({
            "url": webhook.url, "event_types": webhook.event_types, "description": webhook.description,
            "tenant_id": webhook.tenant_id,
        });
        let audit = self.audit_entry(caller, "webhook.created", &id, &data, now);
        self.store.insert_webhook(&webhook, MOST_WEBHOOKS, &audit).await?;
        tracing::info!(webhook = %id, org = %caller.org_id, "a webhook was made");
        Ok(WebhookWithSecret { webhook, secret })
    }

    fn checked_url(&self, url: &str) -> Result<String> {
        Target::parse(url, self.webhooks.outbound.reach())
            .map(|_| url.to_owned())
            .map_err(Error::WebhookTargetRefused)
    }

    /// A new secret as Standard Webhooks write it, and what is stored of it.
    fn new_webhook_secret(&self, id: WebhookId) -> Result<(Secret, store::Hidden)> {
        let secret = format!("whsec_{}", STANDARD.encode(self.random.bytes::<32>()));
        let sealed = self.sealed_for(id, &secret)?;
        Ok((Secret(secret), sealed))
    }

    /// A webhook that the caller sees.
    pub async fn webhook(&self, caller: &Caller, id: WebhookId) -> Result<Webhook> {
        Self::require_webhooks(caller)?;
        match self.store.get_webhook(&caller.visible(), id).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "webhook", id: id.to_string() }),
            other => Ok(other?),
        }
    }

    /// The webhooks that the caller sees, newest first.
    pub async fn webhooks(
        &self,
        caller: &Caller,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Vec<Webhook>> {
        Self::require_webhooks(caller)?;
        Ok(self.store.list_webhooks(&caller.visible(), after, limit).await?)
    }

    /// Changes a webhook. What waits for one that is disabled is given up; enabled again it begins anew.
    pub async fn change_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        change: &ChangeWebhook,
    ) -> Result<Webhook> {
        let webhook = self.webhook(caller, id).await?;
        let read_at = webhook.updated_at;
        let mut changed = webhook;
        if let Some(url) = &change.url {
            changed.url = self.checked_url(url)?;
        }
        if let Some(types) = &change.event_types {
            checked_types("event_types", types)?;
            changed.event_types.clone_from(types);
        }
        if let Some(description) = &change.description {
            changed.description = checked_description(description)?;
        }
        match change.enabled {
            Some(true) => changed.status = WebhookStatus::Enabled,
            Some(false) => changed.status = WebhookStatus::Disabled,
            None => {}
        }
        changed.updated_at = behind(read_at, self.clock.now());
        let data = json!({
            "url": change.url, "event_types": change.event_types, "description": change.description,
            "enabled": change.enabled,
        });
        let audit = self.audit_entry(caller, "webhook.changed", &id, &data, self.clock.now());
        match self.store.update_webhook(&changed, read_at, &audit).await {
            Err(StoreError::StaleVersion) => Err(changed_meanwhile()),
            other => {
                other?;
                self.webhook(caller, id).await
            }
        }
    }

    /// Deletes a webhook; what waits for it is given up.
    pub async fn delete_webhook(&self, caller: &Caller, id: WebhookId) -> Result<()> {
        let webhook = self.webhook(caller, id).await?;
        let now = self.clock.now();
        let audit = self.audit_entry(caller, "webhook.deleted", &id, &json!({"url": webhook.url}), now);
        match self.store.delete_webhook(id, now, &audit).await {
            // Somebody else deleted it at the same time.
            Err(StoreError::NotFound(_)) => {
                return Err(Error::NotFound { noun: "webhook", id: id.to_string() });
            }
            other => other?,
        }
        tracing::info!(webhook = %id, "a webhook was deleted");
        Ok(())
    }

    /// Gives a webhook a new secret. Until the overlap is over, requests are signed with those before it too: with all
    /// that were in force, since nobody knows which of them its receiver has.
    pub async fn rotate_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        overlap_seconds: u32,
    ) -> Result<WebhookWithSecret> {
        let webhook = self.webhook(caller, id).await?;
        if overlap_seconds > MOST_OVERLAP {
            let message = format!("is more than {MOST_OVERLAP} seconds (30 days)");
            return Err(Error::field("overlap_seconds", message));
        }
        let (secret, sealed) = self.new_webhook_secret(id)?;
        let now = self.clock.now();
        let overlap = SignedDuration::from_secs(i64::from(overlap_seconds));
        let until = now.checked_add(overlap).unwrap_or(Timestamp::MAX);
        let mut old = self.webhook_secrets(&webhook, now)?;
        old.truncate(MOST_OLD_SECRETS);
        let (read_at, mut rotated) = (webhook.updated_at, webhook);
        rotated.secret = sealed;
        rotated.old_secret = Some(self.sealed_for(id, &old.join(" "))?);
        rotated.old_secret_until = Some(until);
        rotated.updated_at = behind(read_at, now);
        let data = json!({"old_secret_until": until});
        let audit = self.audit_entry(caller, "webhook.rotated", &id, &data, now);
        match self.store.rotate_webhook_secret(&rotated, read_at, &audit).await {
            Err(StoreError::StaleVersion) => return Err(changed_meanwhile()),
            other => other?,
        }
        tracing::info!(webhook = %id, overlap_seconds, "the secret of a webhook was rotated");
        Ok(WebhookWithSecret { webhook: self.webhook(caller, id).await?, secret })
    }

    /// The secrets that a webhook's requests are signed with at this time, newest first.
    pub(crate) fn webhook_secrets(&self, webhook: &Webhook, now: Timestamp) -> Result<Vec<String>> {
        let old = webhook.old_secret.iter().filter(|_| webhook.old_secret_until.is_some_and(|end| end > now));
        let mut secrets = Vec::new();
        for sealed in std::iter::once(&webhook.secret).chain(old) {
            let opened = self.vault.open(&webhook.id.to_string(), sealed);
            let opened = opened.map_err(|error| Error::Internal(error.to_string()))?;
            let text = std::str::from_utf8(&opened).map_err(|error| Error::Internal(error.to_string()))?;
            secrets.extend(text.split(' ').map(str::to_owned));
        }
        Ok(secrets)
    }

    fn sealed_for(&self, id: WebhookId, secrets: &str) -> Result<store::Hidden> {
        let sealed = self.vault.seal(&id.to_string(), secrets.as_bytes(), &self.random);
        Ok(sealed.map_err(|error| Error::Internal(error.to_string()))?.into())
    }

    /// The deliveries to a webhook, newest first; of one state, or all.
    pub async fn webhook_deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        state: Option<WebhookDeliveryState>,
        after: Option<WebhookDeliveryId>,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>> {
        self.webhook(caller, id).await?;
        Ok(self.store.list_webhook_deliveries(id, state, after, limit).await?)
    }

    /// A delivery with its attempts.
    pub async fn webhook_delivery(
        &self,
        caller: &Caller,
        id: WebhookDeliveryId,
    ) -> Result<(WebhookDelivery, Vec<WebhookAttempt>)> {
        Self::require_webhooks(caller)?;
        let unknown = || Error::NotFound { noun: "webhook delivery", id: id.to_string() };
        let found = match self.store.get_webhook_delivery(id).await {
            Err(StoreError::NotFound(_)) => return Err(unknown()),
            other => other?,
        };
        match self.webhook(caller, found.0.webhook_id).await {
            Err(Error::NotFound { .. }) => Err(unknown()),
            Err(error) => Err(error),
            Ok(_) => Ok(found),
        }
    }

    /// Delivers one event again, whatever came of it before.
    pub async fn replay_webhook_delivery(
        &self,
        caller: &Caller,
        id: WebhookDeliveryId,
    ) -> Result<WebhookDelivery> {
        let (delivery, _) = self.webhook_delivery(caller, id).await?;
        self.enabled_webhook(caller, delivery.webhook_id).await?;
        let now = self.clock.now();
        let data = json!({"webhook_id": delivery.webhook_id, "event_id": delivery.event_id});
        let audit = self.audit_entry(caller, "webhook_delivery.replayed", &id, &data, now);
        self.store.replay_webhook_delivery(id, now, &audit).await?;
        Ok(self.store.get_webhook_delivery(id).await?.0)
    }

    /// For how long it is known what was delivered to webhooks; `None` for ever.
    pub fn deliveries_known_since(&self) -> Option<Timestamp> {
        let kept = self.settings.keep.webhook_deliveries?;
        self.clock.now().checked_sub(kept).ok()
    }

    /// Delivers what happened since a time: what was never delivered, or all of it. Where deliveries are kept for less
    /// long than events, what was never delivered is told from what was for that time only, and begins there.
    pub async fn replay_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        wanted: ReplaySince,
    ) -> Result<Replayed> {
        let webhook = self.enabled_webhook(caller, id).await?;
        let now = self.clock.now();
        if wanted.since > now {
            return Err(Error::field("since", "is in the future"));
        }
        let ReplaySince { delivered_too, most, .. } = wanted;
        let known_since = self.deliveries_known_since().filter(|_| !delivered_too);
        let since = known_since.map_or(wanted.since, |known| known.max(wanted.since));
        let (mut count, mut after, mut left) = (0, wanted.after.unwrap_or(0), most);
        let data = json!({"since": since, "delivered_too": delivered_too, "after": wanted.after});
        let mut audit = Some(self.audit_entry(caller, "webhook.replayed", &id, &data, now));
        while left > 0 {
            let limit = left.min(REPLAY_BATCH);
            left -= limit;
            let replay = Replay { since, after, limit, delivered_too, now };
            let mut new_id = || self.random.webhook_delivery_id(now);
            // One line, with the first part.
            let told = audit.take();
            let told = Told { audit: told.as_ref(), ..Told::default() };
            let (more, last) = self.store.replay_webhook(&webhook, replay, &mut new_id, told).await?;
            count += more;
            match last {
                Some(last) => after = last,
                None => return Ok(Replayed { count, since, next: None }),
            }
        }
        Ok(Replayed { count, since, next: Some(after) })
    }

    async fn enabled_webhook(&self, caller: &Caller, id: WebhookId) -> Result<Webhook> {
        let webhook = self.webhook(caller, id).await?;
        match webhook.status {
            WebhookStatus::Enabled => Ok(webhook),
            WebhookStatus::Disabled => Err(Error::WebhookDisabled(id)),
        }
    }
}

fn changed_meanwhile() -> Error {
    Error::Unavailable("somebody else changed the webhook at the same time".to_owned())
}

/// When a change was made: never at the same time as the one before, so that who read it before this one is told.
fn behind(read_at: Timestamp, now: Timestamp) -> Timestamp {
    millis(now).max(read_at.checked_add(SignedDuration::from_millis(1)).unwrap_or(read_at))
}

/// As it is stored.
fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn checked_description(text: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > MOST_DESCRIPTION || text.chars().any(char::is_control) {
        let message = format!("give at most {MOST_DESCRIPTION} characters on one line");
        return Err(Error::field("description", message));
    }
    Ok(text.to_owned())
}
