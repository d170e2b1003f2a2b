//! `/emails`: send, and see what became of it.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, LARGE, Query},
    list::{List, Page},
    one_or_many::{HeaderFields, Objects, OneOrMany},
    problem::{Problem, ProblemDocument},
};
use app::{
    App, FieldError,
    emails::{FileToSend, MessageView, SendEmail},
    store::{Delivery, DeliveryState, Message},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::{MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_emails, send_email)).routes(routes!(get_email))
}

/// A message to send. Addresses are bare, or of the form `Name <a@b>`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SendEmailRequest {
    /// The author; in a verified domain of the organisation.
    #[schema(example = "Acme <hello@mail.example.com>")]
    from: String,
    /// The recipients: one address or a list. With `cc` and `bcc` at most 50.
    #[schema(value_type = OneOrManyAddresses)]
    to: OneOrMany,
    /// Shown copies.
    #[serde(default)]
    #[schema(value_type = OneOrManyAddresses, required = false)]
    cc: OneOrMany,
    /// Copies that are not shown.
    #[serde(default)]
    #[schema(value_type = OneOrManyAddresses, required = false)]
    bcc: OneOrMany,
    /// Where answers go.
    #[serde(default)]
    #[schema(value_type = OneOrManyAddresses, required = false)]
    reply_to: OneOrMany,
    /// The subject.
    #[schema(example = "Your invoice")]
    subject: String,
    /// The text; `text`, `html` or both are needed.
    text: Option<String>,
    /// The HTML.
    html: Option<String>,
    /// Further header fields.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false, example = json!({"X-Entity-Ref": "42"}))]
    headers: HeaderFields,
    /// Files.
    #[serde(default)]
    #[schema(value_type = Vec<AttachmentRequest>, required = false)]
    attachments: Objects<AttachmentRequest>,
}

/// An address, or a list of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "tells the document what OneOrMany takes")]
enum OneOrManyAddresses {
    /// One address.
    One(String),
    /// Addresses.
    Many(Vec<String>),
}

/// A file to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Attachment)]
struct AttachmentRequest {
    /// Its name.
    #[schema(example = "invoice.pdf")]
    filename: String,
    /// Its bytes, in base64 (RFC 4648 §4).
    #[schema(content_encoding = "base64")]
    content: String,
    /// Its media type; `application/octet-stream` without.
    #[schema(example = "application/pdf")]
    content_type: Option<String>,
}

impl SendEmailRequest {
    fn into_email(self) -> Result<SendEmail, Problem> {
        let mut errors = Vec::new();
        let mut attachments = Vec::with_capacity(self.attachments.0.len());
        for (index, file) in self.attachments.0.into_iter().enumerate() {
            match STANDARD.decode(file.content.as_bytes()) {
                Ok(content) => attachments.push(FileToSend {
                    filename: file.filename,
                    content_type: file.content_type,
                    content,
                }),
                Err(error) => errors.push(FieldError {
                    field: format!("attachments[{index}].content"),
                    message: format!("is not base64: {error}"),
                }),
            }
        }
        if !errors.is_empty() {
            return Err(app::Error::Invalid(errors).into());
        }
        Ok(SendEmail {
            from: self.from,
            to: self.to.0,
            cc: self.cc.0,
            bcc: self.bcc.0,
            reply_to: self.reply_to.0,
            subject: self.subject,
            text: self.text,
            html: self.html,
            headers: self.headers.0,
            attachments,
        })
    }
}

/// A message and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Email)]
struct EmailObject {
    /// Always `email`.
    #[schema(example = "email")]
    object: &'static str,
    /// Its id.
    #[schema(example = "msg_01JD0000000000000000000000")]
    id: String,
    /// All recipients together: `queued` or `deferred` while one is open; then `delivered`, `failed`, or
    /// `partially_delivered`. Open: there may be more.
    #[schema(example = "queued")]
    status: &'static str,
    /// The domain it is sent from.
    domain_id: String,
    /// The tenant it was sent for.
    #[schema(required)]
    tenant_id: Option<String>,
    /// The author's address.
    from: String,
    /// The subject.
    subject: String,
    /// Its size as sent, without its signature, in bytes.
    size: u64,
    /// Each recipient of to, cc and bcc, once.
    recipients: Vec<RecipientObject>,
    /// When it was accepted.
    created_at: Timestamp,
}

/// A recipient and what became of the message there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recipient)]
struct RecipientObject {
    /// The address.
    address: String,
    /// `queued`, `deferred`, `delivered` or `failed`. Open: there may be more.
    #[schema(example = "delivered")]
    status: &'static str,
    /// When it is tried next.
    #[schema(required)]
    next_attempt_at: Option<Timestamp>,
    /// When the recipient's server took it.
    #[schema(required)]
    delivered_at: Option<Timestamp>,
    /// Every attempt so far, the first one first.
    attempts: Vec<AttemptObject>,
}

/// One attempt to deliver.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptObject {
    /// Counted from 1.
    attempt: u32,
    /// When.
    at: Timestamp,
    /// The server's reply code; null when there was no reply.
    #[schema(required, example = 250)]
    code: Option<u16>,
    /// What the server said, or why there was no reply.
    reply: String,
    /// The server.
    #[schema(required)]
    remote: Option<String>,
}

/// A message in a list.
#[derive(Debug, Serialize, ToSchema)]
struct EmailSummary {
    /// Always `email`.
    #[schema(example = "email")]
    object: &'static str,
    /// Its id; the whole message has what became of it.
    id: String,
    /// The domain it is sent from.
    domain_id: String,
    /// The tenant it was sent for.
    #[schema(required)]
    tenant_id: Option<String>,
    /// The author's address.
    from: String,
    /// Each recipient of to, cc and bcc, once.
    recipients: Vec<String>,
    /// The subject.
    subject: String,
    /// Its size as sent, without its signature, in bytes.
    size: u64,
    /// When it was accepted.
    created_at: Timestamp,
}

impl EmailObject {
    fn new(view: &MessageView) -> Self {
        let message = &view.message;
        Self {
            object: "email",
            id: message.id.to_string(),
            status: status_of(&view.deliveries.iter().map(|delivery| delivery.state).collect::<Vec<_>>()),
            domain_id: message.domain_id.to_string(),
            tenant_id: message.tenant_id.map(|id| id.to_string()),
            from: message.from_address.to_string(),
            subject: message.subject.clone(),
            size: message.size,
            recipients: view.deliveries.iter().map(|delivery| recipient(delivery, view)).collect(),
            created_at: message.created_at,
        }
    }
}

fn recipient(delivery: &Delivery, view: &MessageView) -> RecipientObject {
    let attempts = view
        .attempts
        .iter()
        .filter(|attempt| attempt.recipient == delivery.recipient)
        .map(|attempt| AttemptObject {
            attempt: attempt.attempt,
            at: attempt.at,
            code: attempt.code,
            reply: attempt.reply.clone(),
            remote: attempt.remote.clone(),
        })
        .collect();
    RecipientObject {
        address: delivery.recipient.to_string(),
        status: delivery.state.as_str(),
        next_attempt_at: delivery.next_attempt_at,
        delivered_at: delivery.delivered_at,
        attempts,
    }
}

/// One word for all recipients.
fn status_of(states: &[DeliveryState]) -> &'static str {
    let any = |wanted: DeliveryState| states.contains(&wanted);
    if any(DeliveryState::Queued) {
        "queued"
    } else if any(DeliveryState::Deferred) {
        "deferred"
    } else {
        match (any(DeliveryState::Delivered), any(DeliveryState::Failed)) {
            (true, true) => "partially_delivered",
            (true, false) => "delivered",
            (false, _) => "failed",
        }
    }
}

fn summary(message: Message) -> EmailSummary {
    EmailSummary {
        object: "email",
        id: message.id.to_string(),
        domain_id: message.domain_id.to_string(),
        tenant_id: message.tenant_id.map(|id| id.to_string()),
        from: message.from_address.to_string(),
        recipients: message.recipients.iter().map(ToString::to_string).collect(),
        subject: message.subject,
        size: message.size,
        created_at: message.created_at,
    }
}

/// Sends a message.
///
/// When the answer comes, the message is stored and will be signed and delivered; its id tells what became of it. The
/// body may have 35 MiB. A domain that is warming up sends so many messages a day; each counts once, whatever the number
/// of its recipients.
#[utoipa::path(
    post, path = "/emails", tag = "emails",
    security(("api_key" = ["send:emails"])), request_body = SendEmailRequest,
    responses(
        (status = 202, description = "The message was accepted.", body = EmailObject,
            headers(("Location" = String, description = "The message's address"))),
        (status = 429, description = "The domain is warming up and has sent what it may today. \
            Code: `WARMUP_LIMIT_EXCEEDED`.",
            body = ProblemDocument, content_type = "application/problem+json",
            headers(("Retry-After" = u64, description = "Seconds until midnight UTC, when the count starts again"))),
    )
)]
async fn send_email(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<SendEmailRequest, LARGE>,
) -> Result<Response, Problem> {
    let view = app.send_email(&caller, request.into_email()?).await?;
    let location = format!("/api/v1/emails/{}", view.message.id);
    let body = axum::Json(EmailObject::new(&view));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response())
}

/// A message, its recipients and every attempt.
///
/// A key with `send:emails` alone sees the messages that it sent itself.
#[utoipa::path(
    get, path = "/emails/{id}", tag = "emails",
    security(("api_key" = ["read:emails"]), ("api_key" = ["send:emails"])),
    params(("id" = String, Path, description = "The message's id")),
    responses((status = 200, description = "The message.", body = EmailObject))
)]
async fn get_email(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<MessageId>,
) -> Result<axum::Json<EmailObject>, Problem> {
    Ok(axum::Json(EmailObject::new(&app.message(&caller, id).await?)))
}

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListEmails {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists messages, newest first.
#[utoipa::path(
    get, path = "/emails", tag = "emails",
    security(("api_key" = ["read:emails"])), params(ListEmails),
    responses((status = 200, description = "A page of messages.", body = List<EmailSummary>))
)]
async fn list_emails(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListEmails>,
) -> Result<axum::Json<List<EmailSummary>>, Problem> {
    let page = Page::<MessageId>::parse(query.limit, query.cursor.as_deref())?;
    let messages = app.messages(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(messages, |message| message.id.to_string(), summary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SendEmail, Problem> {
        serde_json::from_str::<SendEmailRequest>(text).unwrap().into_email()
    }

    #[test]
    fn a_recipient_may_stand_alone_and_headers_keep_their_order() {
        let email = parse(
            r#"{"from":"a@b.test","to":"c@d.test","cc":["e@f.test"],"subject":"s","text":"t",
                "headers":{"X-B":"1","X-A":"2"},"attachments":[{"filename":"f","content":"aGk="}]}"#,
        )
        .unwrap();
        assert_eq!((email.to, email.cc), (vec!["c@d.test".to_owned()], vec!["e@f.test".to_owned()]));
        assert_eq!(email.headers, [("X-B".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())]);
        assert_eq!(email.attachments[0].content, b"hi");
    }

    #[test]
    fn every_damaged_file_is_named() {
        let problem = parse(
            r#"{"from":"a@b.test","to":"c@d.test","subject":"s","attachments":[
                {"filename":"f","content":"aGk="},{"filename":"g","content":"*"},{"filename":"h","content":"a"}]}"#,
        )
        .unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["attachments[1].content", "attachments[2].content"]);
    }

    #[test]
    fn a_message_is_as_far_as_its_slowest_recipient() {
        use DeliveryState::{Deferred, Delivered, Failed, Queued};
        for (states, expected) in [
            (&[Delivered, Queued][..], "queued"),
            (&[Delivered, Deferred, Failed], "deferred"),
            (&[Delivered, Failed], "partially_delivered"),
            (&[Delivered], "delivered"),
            (&[Failed], "failed"),
        ] {
            assert_eq!(status_of(states), expected);
        }
    }
}
