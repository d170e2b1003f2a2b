//! Sending: from a request to a message in the queue.

use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, FieldError, Result},
    traces::{KeyValue, Parent, SpanKind, about_queue},
    warmup::Warmup,
};
use mail::compose::{Attachment, Composition, Mailbox, compose};
use model::{DomainStatus, EmailAddress, MessageId};
use serde_json::json;
use store::{NewDelivery, NewMessage, StoreError};

/// How many recipients one message may have.
pub const MAX_RECIPIENTS: usize = 50;

/// A message to send, as a caller gives it.
#[derive(Debug, Clone, Default)]
pub struct SendEmail {
    /// `Name <a@b>` or a bare address.
    pub from: String,
    /// At least one recipient.
    pub to: Vec<String>,
    /// Shown copies.
    pub cc: Vec<String>,
    /// Copies that are not shown.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// Further header fields, in their order.
    pub headers: Vec<(String, String)>,
    /// Files.
    pub attachments: Vec<FileToSend>,
}

/// A file to send, its content decoded.
#[derive(Debug, Clone, Default)]
pub struct FileToSend {
    /// Its name.
    pub filename: String,
    /// Its media type; `application/octet-stream` without.
    pub content_type: Option<String>,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A message and what became of it.
#[derive(Debug, Clone)]
pub struct MessageView {
    /// The message.
    pub message: store::Message,
    /// One for each recipient.
    pub deliveries: Vec<store::Delivery>,
    /// Every attempt so far.
    pub attempts: Vec<store::Attempt>,
}

impl App {
    /// Accepts a message: authorised, composed, and in the queue when this returns.
    pub async fn send_email(&self, caller: &Caller, request: SendEmail) -> Result<MessageView> {
        caller.require(Scope::SendEmails)?;
        if let Some(id) = caller.made_before(MessageId::from_parts)
            && let Ok((message, deliveries, attempts)) = self.store.get_message(&caller.visible(), id).await
        {
            return Ok(MessageView { message, deliveries, attempts });
        }
        let now = self.clock.now();
        let mut addresses = Addresses::parse(&request)?;
        let domain = self.authorised_sender(caller, &addresses.from).await?;
        let id = caller.id_or(MessageId::from_parts, self.random.message_id(now));
        let recipients = addresses.recipients();
        let places = addresses.places();
        let composition = Composition {
            message_id: format!("{}@{}", id.to_string().to_ascii_lowercase(), domain.domain.name),
            date: now,
            from: addresses.from.clone(),
            to: std::mem::take(&mut addresses.to),
            cc: std::mem::take(&mut addresses.cc),
            bcc: Vec::new(),
            reply_to: std::mem::take(&mut addresses.reply_to),
            subject: request.subject.clone(),
            text: request.text,
            html: request.html,
            attachments: request
                .attachments
                .into_iter()
                .map(|file| Attachment {
                    filename: file.filename,
                    content_type: file.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
                    content: file.content,
                    content_id: None,
                })
                .collect(),
            headers: request.headers,
        };
        let raw = compose(&composition).map_err(|error| Error::field(error.field(), error.to_string()))?;
        if raw.len() > self.settings.max_message_size {
            let limit = self.settings.max_message_size;
            return Err(Error::TooLarge { what: "the message", size: raw.len(), limit });
        }
        let host = self.return_path_host(&domain);
        let token = return_path_token(id);
        let deliveries: Vec<NewDelivery> = recipients
            .iter()
            .enumerate()
            .map(|(index, recipient)| NewDelivery {
                recipient: recipient.clone(),
                return_path: format!("{token}-{index}@{host}"),
                next_attempt_at: now,
            })
            .collect();
        let data = json!({"from": addresses.from.address, "to": recipients, "subject": request.subject});
        let event = self.event(caller.org_id, "email.accepted", id.to_string(), &data, now);
        let view = accepted_view(
            id,
            caller,
            &domain.domain,
            &addresses.from,
            &recipients,
            &request.subject,
            raw.len(),
            now,
            &deliveries,
        );
        // What is to be delivered goes on from here, on whichever node.
        let span = self.traces.begin("send deliveries", SpanKind::Producer, Parent::Current, || {
            let to = recipients.len();
            let batch = KeyValue::new("messaging.batch.message_count", i64::try_from(to).unwrap_or(i64::MAX));
            [about_queue("send", id, domain.domain.org_id, domain.domain.id), vec![batch]].concat()
        });
        let message = NewMessage {
            id,
            org_id: caller.org_id,
            domain_id: domain.domain.id,
            tenant_id: domain.domain.tenant_id,
            key_id: caller.key_id(),
            from_address: addresses.from.address.clone(),
            subject: request.subject,
            raw: raw.into(),
            created_at: now,
            daily_cap: domain.daily_cap(),
            trace_parent: span.traceparent(),
        };
        span.around(self.store.accept_message(&message, &deliveries, &[event]))
            .await
            .map_err(|error| not_accepted(error, &domain, &places, now))?;
        metrics::counter!("countersign_emails_accepted_total").increment(1);
        self.wake.deliver.notify_one();
        // Nothing after the commit may fail: the caller would send again what is on its way.
        Ok(view)
    }

    /// The domain of the From address, if the caller may send from it now.
    async fn authorised_sender(&self, caller: &Caller, from: &Mailbox) -> Result<DomainView> {
        let name = from.address.domain();
        let domain = match self.store.get_domain_by_name(caller.org_id, name).await? {
            // The first message from it need not wait for the next look.
            Some(domain) if domain.status == DomainStatus::Pending && self.is_own_sandbox(caller, name) => {
                self.checked_sandbox_domain(caller).await?
            }
            Some(domain) => domain,
            None if self.is_own_sandbox(caller, name) => self.checked_sandbox_domain(caller).await?,
            None => return Err(Error::SenderDomainUnknown(name.clone())),
        };
        caller.require_domain(&domain, name)?;
        let view = self.domain_view(domain).await?;
        match view.obstacles().into_iter().next() {
            // The store has the last word on the warm-up; a message that cannot pass need not be composed.
            Some(obstacle) => Err(obstacle.refusal(&view, self.clock.now())),
            None => Ok(view),
        }
    }

    /// A message that the caller sees, and what became of it. A key that may only send sees what it sent itself.
    pub async fn message(&self, caller: &Caller, id: MessageId) -> Result<MessageView> {
        let may_read = caller.require(Scope::ReadEmails);
        if may_read.is_err() {
            caller.require(Scope::SendEmails)?;
        }
        let found = match self.store.get_message(&caller.visible(), id).await {
            Ok(found) => Some(found),
            Err(StoreError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let is_own =
            found.as_ref().is_some_and(|(sent, ..)| sent.key_id.is_some() && sent.key_id == caller.key_id());
        if !is_own {
            // Whether there is such a message is not told either.
            may_read?;
        }
        let (message, deliveries, attempts) =
            found.ok_or_else(|| Error::NotFound { noun: "message", id: id.to_string() })?;
        Ok(MessageView { message, deliveries, attempts })
    }

    /// The caller's messages, newest first.
    pub async fn messages(
        &self,
        caller: &Caller,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<store::Message>> {
        caller.require(Scope::ReadEmails)?;
        Ok(self.store.list_messages(&caller.visible(), after, limit).await?)
    }
}

/// How a return path names its message; the recipient's number follows.
pub(crate) fn return_path_token(id: MessageId) -> String {
    id.to_string().replace('_', "-").to_ascii_lowercase()
}

/// The message that a return path of ours names.
pub(crate) fn message_of_return_path(address: &model::EmailAddress) -> Option<MessageId> {
    let (token, _recipient) = address.local_part().rsplit_once('-')?;
    let (prefix, number) = token.split_once('-')?;
    format!("{}_{}", prefix.to_ascii_lowercase(), number.to_ascii_uppercase()).parse().ok()
}

/// What happened between the authorisation and the commit: the domain was deleted, or others sent what was left.
fn not_accepted(
    error: StoreError,
    domain: &DomainView,
    places: &[(String, EmailAddress)],
    now: jiff::Timestamp,
) -> Error {
    match (error, domain.warmup) {
        (StoreError::Suppressed(refused), _) => Error::RecipientSuppressed(
            places
                .iter()
                .filter(|(_, address)| refused.contains(address))
                .map(|(field, address)| FieldError {
                    field: field.clone(),
                    message: format!("{address} is suppressed and gets no mail"),
                })
                .collect(),
        ),
        (StoreError::NotFound(_), _) => Error::SenderDomainUnknown(domain.domain.name.clone()),
        (StoreError::DailyCapReached { accepted }, Some(warmup)) => {
            domain.warmup_refusal(Warmup { sent_today: accepted, ..warmup }, now)
        }
        (error, _) => error.into(),
    }
}

/// A message as it is the moment it was accepted.
#[expect(clippy::too_many_arguments, reason = "the parts of the message, each once")]
fn accepted_view(
    id: MessageId,
    caller: &Caller,
    domain: &store::Domain,
    from: &Mailbox,
    recipients: &[model::EmailAddress],
    subject: &str,
    size: usize,
    now: jiff::Timestamp,
    deliveries: &[NewDelivery],
) -> MessageView {
    let message = store::Message {
        id,
        org_id: domain.org_id,
        domain_id: domain.id,
        tenant_id: domain.tenant_id,
        key_id: caller.key_id(),
        from_address: from.address.clone(),
        recipients: recipients.to_vec(),
        subject: subject.to_owned(),
        size: size as u64,
        created_at: now,
    };
    let deliveries = deliveries
        .iter()
        .map(|delivery| store::Delivery {
            message_id: id,
            recipient: delivery.recipient.clone(),
            return_path: delivery.return_path.clone(),
            state: store::DeliveryState::Queued,
            attempts: 0,
            next_attempt_at: Some(now),
            last_code: None,
            last_reply: None,
            delivered_at: None,
            updated_at: now,
        })
        .collect();
    MessageView { message, deliveries, attempts: Vec::new() }
}

struct Addresses {
    from: Mailbox,
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Vec<Mailbox>,
}

impl Addresses {
    /// Parses every address, and says of every bad one where it stands.
    fn parse(request: &SendEmail) -> Result<Self> {
        let mut errors = Vec::new();
        let mut parse = |field: String, text: &str| match Mailbox::parse(text) {
            Ok(mailbox) => Some(mailbox),
            Err(error) => {
                errors.push(FieldError { field, message: error.to_string() });
                None
            }
        };
        let from = parse("from".to_owned(), &request.from);
        let mut list = |name: &str, texts: &[String]| -> Vec<Mailbox> {
            texts
                .iter()
                .enumerate()
                .filter_map(|(index, text)| parse(format!("{name}[{index}]"), text))
                .collect()
        };
        let to = list("to", &request.to);
        let cc = list("cc", &request.cc);
        let bcc = list("bcc", &request.bcc);
        let reply_to = list("reply_to", &request.reply_to);
        if request.to.is_empty() {
            errors.push(FieldError { field: "to".into(), message: "give at least one recipient".into() });
        }
        let count = request.to.len() + request.cc.len() + request.bcc.len();
        if count > MAX_RECIPIENTS {
            let message = format!("{count} recipients in to, cc and bcc; {MAX_RECIPIENTS} are allowed");
            errors.push(FieldError { field: "to".into(), message });
        }
        if request.text.is_none() && request.html.is_none() {
            errors.push(FieldError { field: "text".into(), message: "give text, html or both".into() });
        }
        if request.subject.chars().any(char::is_control) {
            let message = "has a line break or another control character".to_owned();
            errors.push(FieldError { field: "subject".into(), message });
        }
        match (from, errors.is_empty()) {
            (Some(from), true) => Ok(Self { from, to, cc, bcc, reply_to }),
            _ => Err(Error::Invalid(errors)),
        }
    }

    /// Every recipient with its place in the request.
    fn places(&self) -> Vec<(String, EmailAddress)> {
        let named = |name: &'static str, list: &[Mailbox]| {
            let place =
                |(index, mailbox): (usize, &Mailbox)| (format!("{name}[{index}]"), mailbox.address.clone());
            list.iter().enumerate().map(place).collect::<Vec<_>>()
        };
        [named("to", &self.to), named("cc", &self.cc), named("bcc", &self.bcc)].concat()
    }

    /// Every recipient once, in their order.
    fn recipients(&self) -> Vec<model::EmailAddress> {
        let mut recipients = Vec::new();
        for mailbox in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !recipients.contains(&mailbox.address) {
                recipients.push(mailbox.address.clone());
            }
        }
        recipients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_path_leads_back_to_its_message() {
        let id = MessageId::from_parts(1_750_000_000_000, 7);
        let address: model::EmailAddress =
            format!("{}-12@bounce.mail.acme.test", return_path_token(id)).parse().unwrap();
        assert_eq!(message_of_return_path(&address), Some(id));
        for other in ["someone@acme.test", "msg-1-0@acme.test", "msg-@acme.test", "a-b-c@acme.test"] {
            assert_eq!(message_of_return_path(&other.parse().unwrap()), None, "{other}");
        }
    }
}
