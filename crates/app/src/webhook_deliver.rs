//! The webhook task: claims what is due, signs it, sends it, and writes down what was answered.
//!
//! Signatures are those of Standard Webhooks (<https://www.standardwebhooks.com>): `webhook-id` is the id of the event and
//! stays the same however often it is sent, so that a receiver can tell what it has already; `webhook-timestamp` is the
//! time of the attempt.

use crate::{
    App,
    access::Caller,
    error::{Error, Result},
    events::payload,
    lease::{Lease, Patience},
    outbound::{Outbound, Reach, Target, Unanswered},
    traces::{KeyValue, ORGANISATION, Parent, Span, SpanKind, TRACEPARENT},
    webhook_state::{self, Next, Outcome},
};
use jiff::Timestamp;
use model::WebhookId;
use serde_json::json;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use store::{
    ClaimedWebhookDelivery, Disable, NumberedEvent, StoreError, Webhook, WebhookAttempt,
    WebhookDeliveryState, WebhookResult,
};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

/// How long one request may take.
const POST_LIMIT: Duration = Duration::from_secs(15);
/// For how long it is tried to write down what an attempt came to.
const WRITTEN_WITHIN: Duration = Duration::from_mins(10);
/// How many requests are under way at the same time on one node.
const SLOTS: usize = 64;
/// How many are claimed at once.
const CLAIMED_AT_ONCE: u32 = 4;
/// A webhook with more than so many under way is passed over, so that it has at most eight: one that is slow takes no
/// places from others.
const MOST_BEFORE_CLAIM: usize = 4;
/// How much of an answer is kept, in characters.
const KEPT_ANSWER: usize = 1_000;

/// What delivering to webhooks has at hand.
pub(crate) struct Webhooks {
    pub(crate) outbound: Outbound,
    slots: Arc<Semaphore>,
    under_way: Mutex<HashMap<WebhookId, usize>>,
}

impl Webhooks {
    pub(crate) fn new(reach: Reach) -> Self {
        let slots = Arc::new(Semaphore::new(SLOTS));
        Self { outbound: Outbound::new(reach), slots, under_way: Mutex::default() }
    }

    fn count(&self, id: WebhookId, by: isize) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(id).or_default();
        *count = count.saturating_add_signed(by);
        if *count == 0 {
            under_way.remove(&id);
        }
    }

    fn busy(&self) -> Vec<WebhookId> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.iter().filter(|(_, count)| **count > MOST_BEFORE_CLAIM).map(|(id, _)| *id).collect()
    }
}

/// Counts a delivery under way for as long as it lives.
struct UnderWay {
    app: Arc<App>,
    webhook: WebhookId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.app.webhooks.count(self.webhook, -1);
        self.app.store.changed(store::Topic::Webhooks).notify_one();
    }
}

/// What one request came to.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What went wrong; nothing where it was delivered.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: String,
    /// What it said of when to come again.
    retry_after: Option<String>,
}

impl App {
    /// Starts the delivery of what is due to webhooks, as much as there are slots. Returns how many it started.
    pub async fn deliver_to_webhooks(self: &Arc<Self>) -> Result<usize> {
        let free = self.webhooks.slots.available_permits();
        if free == 0 {
            return Ok(0);
        }
        let limit = CLAIMED_AT_ONCE.min(u32::try_from(free).unwrap_or(1));
        let now = self.clock.now();
        let lease = Lease::begin(self.settings.lease);
        let busy = self.webhooks.busy();
        let claimed =
            self.store.claim_webhook_deliveries(now, &self.node, lease.until(now), limit, &busy).await?;
        let count = claimed.len();
        for delivery in claimed {
            let permit = Arc::clone(&self.webhooks.slots).acquire_owned().await.ok();
            self.webhooks.count(delivery.webhook.id, 1);
            let counted = UnderWay { app: Arc::clone(self), webhook: delivery.webhook.id };
            let log = tracing::info_span!("webhook_delivery", delivery_id = %delivery.id,
                webhook_id = %delivery.webhook.id, org_id = %delivery.webhook.org_id);
            let work = async move {
                if let Err(error) = counted.app.deliver_to_webhook(delivery, lease).await {
                    tracing::warn!(%error, "a delivery to a webhook could not be written down; it is tried again when its lease ends");
                }
                drop(permit);
                drop(counted);
            };
            self.running.spawn(work.instrument(log));
        }
        Ok(count)
    }

    async fn deliver_to_webhook(&self, claimed: ClaimedWebhookDelivery, lease: Lease) -> Result<()> {
        let ClaimedWebhookDelivery { id, epoch, tries, started_at, webhook, event } = claimed;
        let sent = self.send_to_webhook(&webhook, &event, tries, lease).await;
        let Some(sent) = sent else {
            // It is another node's: nothing was sent and nothing is to be written down.
            return Ok(());
        };
        let now = self.clock.now();
        let outcome = Outcome::of_status(sent.status);
        let next =
            webhook_state::next(outcome, tries.saturating_add(1), started_at, now, self.random.thousandths());
        let asked = sent.retry_after.as_deref().and_then(|text| webhook_state::asked_for(text, now));
        let next = webhook_state::postponed(next, asked, started_at, now);
        let (state, next_attempt_at) = match next {
            Next::Delivered => (WebhookDeliveryState::Delivered, None),
            Next::Again(at) => (WebhookDeliveryState::Waiting, Some(at)),
            Next::GivenUp => (WebhookDeliveryState::Failed, None),
        };
        metrics::counter!("countersign_webhook_attempts_total", "state" => state.as_str()).increment(1);
        let disable = webhook_state::why_disabled(outcome, webhook.failing_since, now);
        let disabled = disable.map(|reason| {
            let data = json!({"url": webhook.url, "reason": reason, "failing_since": webhook.failing_since});
            self.event(webhook.org_id, "webhook.disabled", webhook.id.to_string(), &data, now)
        });
        let attempt = WebhookAttempt {
            attempt: 0,
            at: now,
            status: sent.status,
            millis: sent.millis,
            error: sent.error,
            answer: sent.answer,
        };
        let result = WebhookResult {
            id,
            webhook_id: webhook.id,
            owner: self.node.clone(),
            epoch,
            state,
            next_attempt_at,
            attempt,
            disable: disable.map(|reason| Disable {
                reason: reason.to_owned(),
                failing_since: webhook.failing_since.filter(|_| outcome != Outcome::Gone),
            }),
        };
        let mut patience = Patience::of(WRITTEN_WITHIN);
        loop {
            match self.store.finish_webhook_delivery(&result, disabled.as_slice()).await {
                Ok(true) => {
                    let reason = disable.unwrap_or_default();
                    tracing::warn!(webhook = %webhook.id, reason, "a webhook was disabled");
                    return Ok(());
                }
                // Disabled, begun anew or claimed by another node meanwhile: that is what counts.
                Ok(false) | Err(StoreError::StaleVersion) => return Ok(()),
                Err(error) if !patience.again(&error).await => return Err(error.into()),
                Err(_) => {}
            }
        }
    }

    /// One request. `None`: the lease ended before it was sent.
    async fn send_to_webhook(
        &self,
        webhook: &Webhook,
        event: &NumberedEvent,
        tries: u32,
        lease: Lease,
    ) -> Option<Sent> {
        let began = Instant::now();
        let span = self.begin_call(webhook, event, tries);
        let mut is_lost = false;
        let answered = async {
            let target = Target::parse(&webhook.url, self.webhooks.outbound.reach())
                .map_err(|problem| Unanswered(format!("the address {problem}")))?;
            let body = payload(event).to_string();
            let mut headers = self
                .signed_headers(webhook, &event.event.id.to_string(), &body, self.clock.now())
                .map_err(|error| Unanswered(error.to_string()))?;
            headers.extend(span.traceparent().map(|parent| (TRACEPARENT, parent)));
            let limit = lease.share(POST_LIMIT);
            let holds = || {
                is_lost = !lease.holds_for(limit);
                !is_lost
            };
            self.webhooks.outbound.post(&target, &headers, body.into_bytes(), limit, holds).await
        };
        let answered = answered.await;
        if is_lost {
            return None;
        }
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &answered {
            Err(_) => span.failed("no_answer"),
            Ok(answer) => {
                span.note(|| vec![KeyValue::new("http.response.status_code", i64::from(answer.status))]);
                if !(200..300).contains(&answer.status) {
                    span.failed(answer.status.to_string());
                }
            }
        }
        Some(match answered {
            Err(Unanswered(problem)) => {
                Sent { status: None, millis, error: Some(problem), answer: String::new(), retry_after: None }
            }
            Ok(answer) => Sent {
                status: Some(answer.status),
                millis,
                error: match answer.status {
                    200..=299 => None,
                    300..=399 => Some(format!("answered {}; redirects are not followed", answer.status)),
                    status => Some(format!("answered {status}")),
                },
                answer: answer.text.chars().take(KEPT_ANSWER).collect(),
                retry_after: answer.retry_after,
            },
        })
    }

    /// The span of a request: it goes on from what the event tells of. The path of the address may be a secret, and is not
    /// in it.
    fn begin_call(&self, webhook: &Webhook, event: &NumberedEvent, tries: u32) -> Span {
        let parent = Parent::Of(event.event.trace_parent.as_deref());
        self.traces.begin("POST", SpanKind::Client, parent, || {
            let mut about = vec![
                KeyValue::new("http.request.method", "POST"),
                KeyValue::new("http.request.resend_count", i64::from(tries)),
                KeyValue::new("countersign.webhook.id", webhook.id.to_string()),
                KeyValue::new("countersign.event.id", event.event.id.to_string()),
                KeyValue::new("countersign.event.type", event.event.event_type.clone()),
                KeyValue::new(ORGANISATION, webhook.org_id.to_string()),
            ];
            if let Ok(target) = Target::parse(&webhook.url, self.webhooks.outbound.reach()) {
                about.push(KeyValue::new("server.address", target.host().to_owned()));
                about.push(KeyValue::new("server.port", i64::from(target.port())));
            }
            about
        })
    }

    /// The headers of Standard Webhooks: signed with the secret, and with those before it while they are in force.
    fn signed_headers(
        &self,
        webhook: &Webhook,
        message_id: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<Vec<(&'static str, String)>> {
        let mut signatures = Vec::new();
        for secret in self.webhook_secrets(webhook, now)? {
            let signature = standardwebhooks::Webhook::new(&secret)
                .and_then(|signer| signer.sign(message_id, now.as_second(), body.as_bytes()))
                .map_err(|error| Error::Internal(error.to_string()))?;
            signatures.push(signature);
        }
        Ok(vec![
            (HEADER_WEBHOOK_ID, message_id.to_owned()),
            (HEADER_WEBHOOK_TIMESTAMP, now.as_second().to_string()),
            (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
        ])
    }

    /// Sends a webhook one event of the type `webhook.test`, now and once, also where it is disabled.
    pub async fn test_webhook(&self, caller: &Caller, id: WebhookId) -> Result<Sent> {
        let webhook = self.webhook(caller, id).await?;
        let permit = Arc::clone(&self.webhooks.slots).try_acquire_owned();
        let Ok(_permit) = permit else {
            return Err(Error::Busy { what: "deliveries to webhooks", retry_after: 5 });
        };
        let now = self.clock.now();
        let data = json!({"webhook": id, "url": webhook.url});
        let event = self.event(webhook.org_id, "webhook.test", id.to_string(), &data, now);
        let event = NumberedEvent { seq: 0, event, tenant_id: webhook.tenant_id, domain_id: None };
        // Nobody else sends this one.
        let lease = Lease::begin(POST_LIMIT * 2);
        let sent = self.send_to_webhook(&webhook, &event, 0, lease).await;
        sent.ok_or_else(|| Error::Unavailable("the node was too slow to send it".to_owned()))
    }
}
