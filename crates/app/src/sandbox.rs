//! The sandbox inbox: takes all mail for anyone, judges its authentication by real DNS look-ups, shows it.

use crate::{
    App,
    access::{Caller, Scope},
    emails::message_of_return_path,
    error::{Error, Result},
    notices::ORGANISATION,
    settings::Transport,
};
use jiff::SignedDuration;
use mail::{
    authentication::{AuthenticationResults, Envelope, authenticate},
    dkim::DkimResult,
    dmarc::DmarcResult,
    lookup::Answers,
    message::{Summary, summary},
    spf::SpfResult,
};
use model::{DomainId, EmailAddress, OrgId, SandboxMessageId, TenantId};
use serde_json::json;
use smtp::server::{EnvelopeSoFar, Inbox, Incoming, Refusal};
use std::{sync::Arc, time::Duration};
use store::{NewSandboxMessage, StoreError};

/// How long judging one message may take before it is put off.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many messages are judged at the same time.
const AT_ONCE: u32 = 4;

/// How many rounds of look-ups one message may need: SPF alone goes at most ten includes deep.
const MAX_ROUNDS: usize = 40;

/// How many look-ups one message may need in all, whatever its signatures and records ask for.
const MAX_LOOKUPS: usize = 200;

/// A sandbox message, read.
#[derive(Debug, Clone)]
pub struct SandboxView {
    /// As stored, with its source.
    pub message: store::SandboxMessage,
    /// Its parts.
    pub summary: Summary,
    /// SPF, DKIM and DMARC, as soon as they were looked up.
    pub authentication: Option<AuthenticationResults>,
}

/// Whose a received message is.
type Owner = (OrgId, Option<TenantId>, Option<DomainId>);

/// The inbox behind the SMTP listener.
pub struct SandboxInbox(pub Arc<App>);

impl Inbox for SandboxInbox {
    async fn recipient(
        &self,
        envelope: &EnvelopeSoFar,
        to: &EmailAddress,
    ) -> std::result::Result<(), Refusal> {
        let app = &self.0;
        if app.settings.open_inbox {
            return Ok(());
        }
        match app.owner_of_sent(envelope.mail_from.iter().chain([to])).await {
            // What comes back of a notice may hold a link to log in: it is nobody's to read.
            Ok(Some((org, ..))) if !app.is_nobodys(org).await => Ok(()),
            Ok(_) => Err(Refusal::permanent("5.1.1", "nothing that was sent from here has this address")),
            Err(error) => Err(not_stored(&error)),
        }
    }

    /// Returns only after the message is durable: the session answers 250 then.
    async fn accept(&self, message: Incoming) -> std::result::Result<String, Refusal> {
        let app = &self.0;
        let now = app.clock.now();
        let id = app.random.sandbox_message_id(now);
        let read = summary(&message.raw);
        let Some((org_id, tenant_id, domain_id)) =
            app.owner_of_received(&message).await.map_err(|error| not_stored(&error))?
        else {
            return Err(Refusal::temporary("4.3.2", "nobody has an inbox here yet; try again later"));
        };
        let new = NewSandboxMessage {
            id,
            org_id,
            tenant_id,
            domain_id,
            received_at: now,
            client_ip: message.client.ip().to_string(),
            helo: message.helo,
            mail_from: message.mail_from.map(|address| address.to_string()),
            recipients: message.recipients.iter().map(ToString::to_string).collect(),
            tls: message.tls,
            header_from: read.from.into_iter().find_map(|from| from.address).unwrap_or_default(),
            subject: read.subject.unwrap_or_default(),
            raw: message.raw.into(),
        };
        match app.store.receive_sandbox_message(&new, app.settings.sandbox_limits).await {
            Ok(()) => {
                metrics::counter!("countersign_messages_received_total").increment(1);
                app.wake.authenticate.notify_one();
                Ok(id.to_string())
            }
            Err(error) => Err(not_stored(&error.into())),
        }
    }
}

fn not_stored(error: &Error) -> Refusal {
    tracing::warn!(%error, "a message could not be stored; its sender was told to try again");
    Refusal::temporary("4.3.1", "the message could not be stored; try again later").with_code(452)
}

impl App {
    /// Whose inbox a message comes into: that of whoever sent it, or what it is a bounce of, which the return path
    /// tells. What comes from elsewhere, and what the platform itself sends, goes to the organisation that the instance
    /// began with, and to none of its tenants.
    async fn owner_of_received(&self, message: &Incoming) -> Result<Option<Owner>> {
        let addresses = message.mail_from.iter().chain(message.recipients.first());
        if let Some(owner) = self.owner_of_sent(addresses).await?
            // Nobody has a key of the platform's own organisation.
            && self.store.organisation_of_setting(ORGANISATION).await?.is_none_or(|own| own.id != owner.0)
        {
            return Ok(Some(owner));
        }
        Ok(self.store.first_organisation().await?.map(|first| (first.id, None, None)))
    }

    /// Whether mail that belongs to this organisation is to be read by nobody: it is the platform's own, and mail
    /// leaves. Where none does, people find their links in the inbox.
    async fn is_nobodys(&self, org: OrgId) -> bool {
        let leaves = !matches!(self.settings.transport, Transport::Sandbox(_));
        let own = self.store.organisation_of_setting(ORGANISATION).await;
        leaves && !matches!(own, Ok(own) if own.as_ref().is_none_or(|own| own.id != org))
    }

    /// Whose message one of these addresses is the return path of.
    async fn owner_of_sent(&self, addresses: impl Iterator<Item = &EmailAddress>) -> Result<Option<Owner>> {
        for sent in addresses.filter_map(message_of_return_path) {
            if let Some((org, tenant, domain)) = self.store.owner_of_message(sent).await? {
                return Ok(Some((org, tenant, Some(domain))));
            }
        }
        Ok(None)
    }

    /// Judges the messages that were not judged yet, a few at a time. Returns how many got their verdict.
    pub async fn authenticate_received(&self) -> Result<usize> {
        let messages = self.store.unauthenticated_sandbox_messages(self.clock.now(), AT_ONCE).await?;
        let judged = messages.into_iter().map(|message| self.judge(message));
        let mut count = 0;
        for outcome in futures_util::future::join_all(judged).await {
            count += usize::from(outcome?);
        }
        Ok(count)
    }

    /// Whether the message has its verdict now.
    async fn judge(&self, message: store::SandboxMessage) -> Result<bool> {
        let (id, attempts) = (message.summary.id, message.summary.attempts);
        let message = Arc::new(message);
        let envelope = Arc::new(envelope_of(&message.summary)?);
        let in_time = tokio::time::timeout(
            DEADLINE,
            self.authenticate_message(Arc::clone(&message), Arc::clone(&envelope)),
        );
        let results = in_time.await.ok();
        let now = self.clock.now();
        // DNS that does not answer now may in a moment; after a few tries "temperror" is the honest verdict.
        if attempts < 3 && results.as_ref().is_none_or(has_temporary_error) {
            let again = now.checked_add(SignedDuration::from_secs(5 << attempts)).unwrap_or(now);
            self.store.defer_sandbox_authentication(id, again).await?;
            return Ok(false);
        }
        let results = results.unwrap_or_else(|| {
            let reason = format!("judging it takes more than {} seconds", DEADLINE.as_secs());
            AuthenticationResults::too_expensive(&envelope, &message.raw, &reason)
        });
        let json = serde_json::to_string(&results).map_err(|error| Error::Internal(error.to_string()))?;
        self.store.set_sandbox_authentication(id, &json, now).await?;
        Ok(true)
    }

    /// Looks up what is needed until all is known, or more is asked for than one message may cost.
    async fn authenticate_message(
        &self,
        message: Arc<store::SandboxMessage>,
        envelope: Arc<Envelope>,
    ) -> AuthenticationResults {
        let mut answers = Answers::new();
        for _ in 0..MAX_ROUNDS {
            let (raw, sender, known) = (Arc::clone(&message), Arc::clone(&envelope), answers.clone());
            // Hashing a large body and checking signatures is no work for a thread that serves requests.
            let outcome = tokio::task::spawn_blocking(move || {
                authenticate(&raw.raw, &sender, &known, raw.summary.received_at)
            })
            .await;
            let needed = match outcome {
                Ok(Ok(results)) => return results,
                Ok(Err(needed)) => needed,
                // A message that breaks a parser is told so once, and not tried again for ever.
                Err(error) => {
                    tracing::error!(message_id = %message.summary.id, %error, "judging a message panicked");
                    let reason = "the message could not be read";
                    return AuthenticationResults::too_expensive(&envelope, &message.raw, reason);
                }
            };
            if answers.len() + needed.0.len() > MAX_LOOKUPS {
                break;
            }
            let policy = &self.settings.policy;
            let found = self.dns_for(policy).resolve_needed(&policy.resolvers, &needed.0).await;
            answers.extend(found);
        }
        let reason = format!("judging it takes more than {MAX_LOOKUPS} DNS look-ups");
        AuthenticationResults::too_expensive(&envelope, &message.raw, &reason)
    }

    /// The inbox, newest first, without the sources.
    pub async fn sandbox_messages(
        &self,
        caller: &Caller,
        after: Option<SandboxMessageId>,
        limit: u32,
        recipient: Option<&str>,
    ) -> Result<Vec<store::SandboxSummary>> {
        caller.require(Scope::ReadEmails)?;
        Ok(self.store.list_sandbox_messages(&caller.visible(), after, limit, recipient).await?)
    }

    /// One message with its source and verdict.
    pub async fn sandbox_message(&self, caller: &Caller, id: SandboxMessageId) -> Result<SandboxView> {
        caller.require(Scope::ReadEmails)?;
        let message = match self.store.get_sandbox_message(&caller.visible(), id).await {
            Err(StoreError::NotFound(_)) => {
                return Err(Error::NotFound { noun: "sandbox message", id: id.to_string() });
            }
            other => other?,
        };
        let summary = summary(&message.raw);
        let authentication = read_authentication(&message.summary);
        Ok(SandboxView { message, summary, authentication })
    }

    /// Empties the caller's inbox. Returns how many messages it had.
    pub async fn clear_sandbox(&self, caller: &Caller) -> Result<u64> {
        caller.require(Scope::Admin)?;
        let now = self.clock.now();
        let audit = self.audit_entry(caller, "sandbox.cleared", &caller.org_id, &json!({}), now);
        Ok(self.store.delete_sandbox_messages(&caller.visible(), &audit).await?)
    }
}

fn envelope_of(received: &store::SandboxSummary) -> Result<Envelope> {
    let client_ip =
        received.client_ip.parse().map_err(|_| Error::Internal("a client without an address".to_owned()))?;
    let mail_from = received.mail_from.as_deref().and_then(|text| EmailAddress::parse(text).ok());
    Ok(Envelope { client_ip, helo: received.helo.clone(), mail_from })
}

/// The stored verdict of a message.
pub fn read_authentication(message: &store::SandboxSummary) -> Option<AuthenticationResults> {
    message.authentication.as_deref().and_then(|json| serde_json::from_str(json).ok())
}

fn has_temporary_error(results: &AuthenticationResults) -> bool {
    results.spf.result == SpfResult::TempError
        || results.dmarc.result == DmarcResult::TempError
        || results.dkim.iter().any(|signature| signature.result == DkimResult::TempError)
}
