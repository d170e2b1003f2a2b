//! The delivery task: claims what is due, signs it, hands it over, and writes down what the server said.

use crate::{
    App,
    delivery_state::{self, AttemptOutcome, DeliveryState},
    error::{Error, Result},
    key_rotation::{selector_of, signing_key},
    lease::{HeldLease, Lease, Patience},
    reputation::{At, of_refusal},
    settings::Transport,
    traces::{KeyValue, Parent, Span, SpanKind, about_queue},
};
use jiff::SignedDuration;
use mail::dkim;
use model::{DomainStatus, EmailAddress};
use serde_json::json;
use smtp::client::{self, Envelope, Timeouts};
use std::{sync::Arc, time::Duration};
use store::{Became, ClaimedDelivery, DeliveryClaim, DeliveryResult, StoreError};
use tracing::Instrument as _;

/// How long one SMTP session may take. Its lease is renewed meanwhile.
const SESSION: Duration = Duration::from_mins(12);

/// For how long it is tried to write down what came of an attempt: the longer, the fewer messages are sent twice because
/// the database was away when they were taken.
const WRITTEN_WITHIN: Duration = Duration::from_mins(10);

/// When a delivery of a domain that is paused or disabled is looked at again, should nobody say that it goes on.
const HELD_FOR: SignedDuration = SignedDuration::from_hours(1);

struct Attempt {
    outcome: AttemptOutcome,
    code: Option<u16>,
    reply: String,
    /// What is counted of it, should it be the last one.
    became: Option<Became>,
}

impl Attempt {
    /// One that no server has answered to.
    fn unanswered(outcome: AttemptOutcome, reply: String) -> Self {
        Self { outcome, code: None, reply, became: None }
    }
}

/// What came of a claim.
enum Tried {
    /// It was tried.
    Ended(Attempt),
    /// Nothing is sent from the domain for now, for this reason: it waits.
    Held(String),
    /// The lease was lost before the server had all of the message.
    Lost,
}

impl App {
    /// Starts the delivery of what is due, as much as there are slots. Returns how many it started.
    pub async fn deliver_due(self: &Arc<Self>) -> Result<usize> {
        let free = self.delivery_slots.available_permits();
        if free == 0 {
            return Ok(0);
        }
        let now = self.clock.now();
        let lease = Lease::begin(self.settings.lease);
        let free = u32::try_from(free).unwrap_or(1);
        let claimed = self.store.claim_deliveries(now, &self.node, lease.until(now), free).await?;
        let count = claimed.len();
        for delivery in claimed {
            let permit = Arc::clone(&self.delivery_slots).acquire_owned().await.ok();
            let app = Arc::clone(self);
            let log = tracing::info_span!("delivery", message_id = %delivery.message_id,
                domain_id = %delivery.domain_id, org_id = %delivery.org_id);
            let work = async move {
                let span = app.begin_delivery(&delivery);
                if let Err(error) = span.around(Box::pin(app.deliver(delivery, lease))).await {
                    span.failed("not_written");
                    tracing::error!(%error, "a delivery could not be written down; it is tried again when its lease ends");
                }
                drop((span, permit));
                app.wake.deliver.notify_one();
            };
            self.running.spawn(work.instrument(log));
        }
        Ok(count)
    }

    /// The span of an attempt: it goes on from the request that the message came with.
    fn begin_delivery(&self, delivery: &ClaimedDelivery) -> Span {
        let parent = Parent::Of(delivery.trace_parent.as_deref());
        self.traces.begin("process deliveries", SpanKind::Consumer, parent, || {
            let mut about = about_queue("process", delivery.message_id, delivery.org_id, delivery.domain_id);
            about.push(KeyValue::new("countersign.delivery.attempt", i64::from(delivery.attempts) + 1));
            about
        })
    }

    async fn deliver(&self, delivery: ClaimedDelivery, lease: Lease) -> Result<()> {
        let held = HeldLease::new(lease);
        let tried = tokio::select! {
            tried = self.attempt(&delivery, &held) => tried,
            // Another node has it.
            () = self.keep_lease(&delivery, &held) => return Ok(()),
            // This node stops. What a server may have taken already is waited for as long as there is time.
            () = self.cut_off_before_the_end(&held) => {
                self.store.release_delivery(self.claim_of(&delivery)).await?;
                return Ok(());
            }
        };
        match tried {
            Tried::Ended(attempt) => self.write_down(delivery, attempt).await,
            Tried::Held(reason) => self.hold(&delivery, &reason).await,
            Tried::Lost => Ok(()),
        }
    }

    /// Gives a delivery back whose domain sends nothing for now: no attempt of it is counted, and it is not given up.
    async fn hold(&self, delivery: &ClaimedDelivery, reason: &str) -> Result<()> {
        self.traces.note(|| vec![KeyValue::new("countersign.delivery.state", "held")]);
        let now = self.clock.now();
        let next_look = now.checked_add(HELD_FOR).unwrap_or(now);
        let claim = self.claim_of(delivery);
        self.store.hold_delivery(claim, delivery.domain_id, reason, next_look).await?;
        Ok(())
    }

    /// Writes down what came of an attempt.
    async fn write_down(&self, delivery: ClaimedDelivery, attempt: Attempt) -> Result<()> {
        let now = self.clock.now();
        let attempts = delivery.attempts + 1;
        let next = delivery_state::next(&attempt.outcome, attempts, delivery.created_at, now);
        let (state, next_attempt_at, event_type) = match next {
            DeliveryState::Delivered => (store::DeliveryState::Delivered, None, "email.delivered"),
            DeliveryState::Deferred(at) => (store::DeliveryState::Deferred, Some(at), "email.deferred"),
            DeliveryState::Failed => (store::DeliveryState::Failed, None, "email.bounced"),
        };
        self.tell_of_attempt(state, attempt.code);
        let data = json!({"recipient": delivery.recipient, "code": attempt.code, "reply": attempt.reply});
        let event = self.event(delivery.org_id, event_type, delivery.message_id.to_string(), &data, now);
        let became = attempt.became.filter(|_| next_attempt_at.is_none());
        let sender = (delivery.org_id, delivery.domain_id);
        let result = DeliveryResult {
            message_id: delivery.message_id,
            recipient: delivery.recipient,
            owner: self.node.clone(),
            epoch: delivery.epoch,
            state,
            code: attempt.code,
            reply: attempt.reply,
            remote: Some(self.transport_of(delivery.org_id, delivery.from_address.domain()).to_string()),
            next_attempt_at,
            at: now,
            became,
        };
        let mut patience = Patience::of(WRITTEN_WITHIN);
        loop {
            match self.store.finish_delivery(&result, std::slice::from_ref(&event)).await {
                // Another node has it.
                Err(StoreError::StaleVersion) => return Ok(()),
                Ok(()) => break,
                Err(error) if !patience.again(&error).await => return Err(error.into()),
                Err(_) => {}
            }
        }
        if became == Some(Became::Bounced) {
            let (org_id, domain) = sender;
            // The next one that bounces has it judged again.
            if let Err(error) = self.judge_sender(org_id, domain).await {
                tracing::warn!(%error, domain_id = %domain, "what bounced could not be judged");
            }
        }
        Ok(())
    }

    /// Metric and span of an attempt.
    fn tell_of_attempt(&self, state: store::DeliveryState, code: Option<u16>) {
        metrics::counter!("countersign_delivery_attempts_total", "state" => state.as_str()).increment(1);
        self.traces.note(|| {
            let mut seen = vec![KeyValue::new("countersign.delivery.state", state.as_str())];
            seen.extend(code.map(|code| KeyValue::new("countersign.smtp.reply_code", i64::from(code))));
            seen
        });
        if state != store::DeliveryState::Delivered {
            self.traces.failed(state.as_str());
        }
    }

    async fn attempt(&self, delivery: &ClaimedDelivery, held: &HeldLease) -> Tried {
        match self.signed(delivery).await {
            Ok(raw) => self.hand_over(delivery, &raw, held).await,
            Err(error @ (Error::SendingPaused { .. } | Error::DomainDisabled(_))) => {
                Tried::Held(error.to_string())
            }
            // A domain that is gone takes its keys with it, and one that another organisation has claimed is not given
            // back: nothing of it can be signed any more.
            Err(error @ (Error::NotFound { .. } | Error::ClaimedAway(_))) => {
                Tried::Ended(Attempt::unanswered(AttemptOutcome::Permanent, error.to_string()))
            }
            Err(error) => Tried::Ended(Attempt::unanswered(AttemptOutcome::Temporary, error.to_string())),
        }
    }

    fn claim_of<'a>(&'a self, delivery: &'a ClaimedDelivery) -> DeliveryClaim<'a> {
        DeliveryClaim {
            message_id: delivery.message_id,
            recipient: &delivery.recipient,
            owner: &self.node,
            epoch: delivery.epoch,
        }
    }

    /// Renews the lease again and again; ends when another node has it.
    async fn keep_lease(&self, delivery: &ClaimedDelivery, held: &HeldLease) {
        let length = self.settings.lease;
        let mut pause = length / 4;
        loop {
            tokio::time::sleep(pause).await;
            let next = Lease::begin(length);
            match self.store.renew_delivery(self.claim_of(delivery), next.until(self.clock.now())).await {
                Ok(true) => {
                    held.renew(next);
                    pause = length / 4;
                }
                Ok(false) => return,
                // Until it is over, it is held. Once it is, nothing is sent any more.
                Err(_) => pause = (length / 20).max(Duration::from_millis(100)),
            }
        }
    }

    async fn cut_off_before_the_end(&self, held: &HeldLease) {
        self.standing.cut_off.cancelled().await;
        if held.is_past_the_end() {
            std::future::pending::<()>().await;
        }
    }

    /// The message with its DKIM signature in front, by a key whose record was seen to be right.
    async fn signed(&self, delivery: &ClaimedDelivery) -> Result<Vec<u8>> {
        let domain = self.store.get_domain(delivery.org_id, delivery.domain_id).await.map_err(deleted)?;
        let name = domain.name.clone();
        if domain.claimed_at.is_some() {
            return Err(Error::ClaimedAway(name));
        }
        if domain.status == DomainStatus::Disabled {
            return Err(Error::DomainDisabled(name));
        }
        if let Some(pause) = domain.paused {
            return Err(Error::SendingPaused { domain: name, pause });
        }
        let keys = self.store.keys_of_domain(domain.id).await?;
        let view = self.domain_view(domain).await?;
        let dkim_records: Vec<_> = view.report.all().filter(|record| record.is_dkim()).collect();
        let (key, record) = signing_key(&keys, &dkim_records)
            .ok_or_else(|| Error::Internal(format!("{name} has no DKIM key")))?;
        let selector = selector_of(&record.planned.owner, &name);
        let signing_key = self.signing_key(key).await?;
        let now = self.clock.now();
        let raw = delivery.raw.to_vec();
        // RSA costs near a millisecond of a core: not on a thread that serves requests.
        tokio::task::spawn_blocking(move || {
            let mut signed =
                dkim::sign(&raw, &signing_key, &name, &selector, now).map_err(|error| error.to_string())?;
            signed.extend_from_slice(&raw);
            Ok(signed)
        })
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(Error::Internal)
    }

    async fn hand_over(&self, delivery: &ClaimedDelivery, raw: &[u8], held: &HeldLease) -> Tried {
        let mail_from = match EmailAddress::parse(&delivery.return_path) {
            Ok(address) => Some(address),
            Err(error) => {
                let reply = format!("the return path {}: {error}", delivery.return_path);
                return Tried::Ended(Attempt::unanswered(AttemptOutcome::Permanent, reply));
            }
        };
        let envelope = Envelope { mail_from, recipients: std::slice::from_ref(&delivery.recipient) };
        let transport = self.transport_of(delivery.org_id, delivery.from_address.domain());
        let session = self.converse(&transport, &envelope, raw, held);
        let Ok(outcome) = tokio::time::timeout(SESSION, session).await else {
            let reply = format!("the session took more than {} minutes", SESSION.as_secs() / 60);
            return Tried::Ended(Attempt::unanswered(AttemptOutcome::Temporary, reply));
        };
        Tried::Ended(match outcome {
            Ok(Ok(result)) => of_delivery(result),
            Ok(Err(client::ClientError::HeldBack)) => return Tried::Lost,
            // Said of us or of the session, and of no recipient.
            Ok(Err(client::ClientError::Refused { reply, .. })) => from_reply(&reply, At::Session),
            Ok(Err(error)) => {
                let outcome =
                    if error.is_temporary() { AttemptOutcome::Temporary } else { AttemptOutcome::Permanent };
                Attempt::unanswered(outcome, error.to_string())
            }
            Err(reply) => Attempt::unanswered(AttemptOutcome::Temporary, reply),
        })
    }
}

impl App {
    /// One session with the first server of the transport that can be reached. The error says why none was found.
    async fn converse(
        &self,
        transport: &Transport,
        envelope: &Envelope<'_>,
        raw: &[u8],
        held: &HeldLease,
    ) -> std::result::Result<std::result::Result<client::Delivery, client::ClientError>, String> {
        let helo = self.settings.smtp_hostname.to_string();
        let mut targets = transport.targets(&helo).await?.into_iter().peekable();
        while let Some(target) = targets.next() {
            let outcome = {
                let mut go = || held.may_go_on();
                client::deliver_if(&target, &helo, envelope, raw, &Timeouts::default(), &mut go).await
            };
            let is_unreachable = matches!(&outcome, Err(error) if error.is_unreachable());
            if !is_unreachable || targets.peek().is_none() {
                return Ok(outcome);
            }
        }
        Err(format!("{transport} has no address"))
    }
}

fn deleted(error: store::StoreError) -> Error {
    match error {
        store::StoreError::NotFound(_) => Error::NotFound { noun: "domain any more", id: String::new() },
        other => other.into(),
    }
}

/// What a session of one recipient came to: the refusal of that, else the reply to the message.
fn of_delivery(result: client::Delivery) -> Attempt {
    let mut replies = result.recipients.into_iter().map(|(_, reply)| reply);
    match (replies.find(|reply| !reply.is_success()), result.data) {
        (Some(refused), _) => from_reply(&refused, At::Recipient),
        (None, Some(reply)) => from_reply(&reply, At::Message),
        (None, None) => Attempt::unanswered(
            AttemptOutcome::Temporary,
            "the server did not answer to the message".to_owned(),
        ),
    }
}

fn from_reply(reply: &smtp::client::Reply, at: At) -> Attempt {
    let (outcome, became) = if reply.is_success() {
        (AttemptOutcome::Accepted, Some(Became::Delivered))
    } else if reply.is_permanent() {
        (AttemptOutcome::Permanent, of_refusal(reply, at))
    } else {
        (AttemptOutcome::Temporary, None)
    };
    Attempt { outcome, code: Some(reply.code), reply: reply.text.clone(), became }
}
