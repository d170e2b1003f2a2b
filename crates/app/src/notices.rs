//! Notices: mail that the platform itself sends to people, such as alerts about a domain and links to log in.
//!
//! They go through the same queue as every other message, from `notices@<platform zone>`, signed by a key that our
//! own DNS serves. The platform zone is a domain like any other for that, of an organisation that nobody has a key
//! of: what is in a notice is in no list of messages. In development, where all mail goes into the sandbox inbox,
//! notices are those of the organisation that the instance began with.

use crate::{
    App,
    access::Caller,
    emails::return_path_token,
    error::{Error, Result},
};
use mail::compose::{Composition, Mailbox, compose};
use model::{EmailAddress, MessageId};
use serde_json::json;
use store::{NewDelivery, NewMessage, Organisation, Outgoing, StoreError};

/// Names the organisation that the platform zone belongs to.
pub const ORGANISATION: &str = "platform_organisation";

/// The part before the @ of the address that notices come from.
const LOCAL_PART: &str = "notices";

/// The profile of the platform zone: its records are in our own zone.
const PROFILE: &str = "two-txt";

/// A notice to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// To whom.
    pub to: EmailAddress,
    /// The subject.
    pub subject: String,
    /// The text, lines ending in `\n`.
    pub text: String,
}

impl App {
    /// The address that notices come from.
    pub fn notice_address(&self) -> Result<EmailAddress> {
        let text = format!("{LOCAL_PART}@{}", self.settings.platform_zone);
        EmailAddress::parse(&text).map_err(|error| Error::Internal(format!("{text}: {error}")))
    }

    /// Puts a notice into the queue; it is durable when this returns.
    ///
    /// `id` names it: with one that was used before, nothing more is sent. So whoever may not know whether it was sent
    /// sends it again with the same id. [`App::send_notice`] takes a new one.
    pub async fn send_notice_as(&self, id: MessageId, notice: &Notice) -> Result<()> {
        let Outgoing { message, recipients, events } = self.composed_notice(id, notice).await?;
        match self.store.accept_message(&message, &recipients, &events[..]).await {
            // Sent before.
            Err(StoreError::MessageTaken) => return Ok(()),
            other => other?,
        }
        self.notice_is_sent();
        Ok(())
    }

    /// A notice is in the queue.
    pub(crate) fn notice_is_sent(&self) {
        metrics::counter!("countersign_notices_total").increment(1);
        self.wake.deliver.notify_one();
    }

    /// A notice for whoever stores it with something else.
    pub(crate) async fn composed_notice(&self, id: MessageId, notice: &Notice) -> Result<Outgoing> {
        let now = self.clock.now();
        let from = self.notice_address()?;
        let domain = self.notice_domain().await?;
        let composition = Composition {
            message_id: format!("{}@{}", id.to_string().to_ascii_lowercase(), domain.name),
            date: now,
            from: Mailbox { name: None, address: from.clone() },
            to: vec![Mailbox { name: None, address: notice.to.clone() }],
            subject: notice.subject.clone(),
            text: Some(notice.text.clone()),
            // Nobody's holiday answer is wanted (RFC 3834 §5).
            headers: vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            html: None,
            attachments: Vec::new(),
        };
        let raw = compose(&composition).map_err(|error| Error::Internal(format!("a notice: {error}")))?;
        let message = NewMessage {
            id,
            org_id: domain.org_id,
            domain_id: domain.id,
            tenant_id: None,
            key_id: None,
            from_address: from,
            subject: notice.subject.clone(),
            raw: raw.into(),
            created_at: now,
            daily_cap: None,
            trace_parent: self.traces.current(),
        };
        let host = self.settings.platform_host("bounce");
        let delivery = NewDelivery {
            recipient: notice.to.clone(),
            return_path: format!("{}-0@{host}", return_path_token(id)),
            next_attempt_at: now,
        };
        let data = json!({"from": message.from_address, "to": [notice.to], "subject": notice.subject});
        let event = self.event(domain.org_id, "email.accepted", id.to_string(), &data, now);
        Ok(Outgoing { message, recipients: vec![delivery], events: vec![event] })
    }

    /// Puts a notice into the queue; it is durable when this returns.
    pub async fn send_notice(&self, notice: &Notice) -> Result<MessageId> {
        let id = self.random.message_id(self.clock.now());
        self.send_notice_as(id, notice).await?;
        Ok(id)
    }

    /// The platform zone as a sender domain; made when it is first needed.
    async fn notice_domain(&self) -> Result<store::Domain> {
        let now = self.clock.now();
        let new = Organisation {
            id: self.random.org_id(now),
            name: "The platform itself".to_owned(),
            created_at: now,
        };
        let (organisation, _) = self.store.organisation_of_setting_or(ORGANISATION, &new).await?;
        let name = &self.settings.platform_zone;
        if let Some(domain) = self.store.get_domain_by_name(organisation.id, name).await? {
            return Ok(domain);
        }
        let profile = self.profile_named(PROFILE)?;
        match self.create_domain(&Caller::owner(organisation.id), None, name, profile, 0).await {
            Ok(domain) => {
                // The key is served before anything is signed with it.
                self.serve_zones().await?;
                Ok(domain)
            }
            // Another node was quicker.
            Err(Error::DomainAlreadyAdded(_)) => {
                let found = self.store.get_domain_by_name(organisation.id, name).await?;
                found.ok_or_else(|| Error::Unavailable("the platform's own domain is being made".to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}
