//! `/sandbox/messages`: the inbox that takes all mail in place of the world.

use crate::{
    auth::Authenticated,
    domain_object::DomainObject,
    extract::{Id, NoFields, Query},
    list::{List, Page},
    problem::Problem,
};
use app::{
    App,
    mail::{authentication::AuthenticationResults, message::Summary},
    store::SandboxSummary,
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use model::{SandboxMessageId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_sandbox_messages, clear_sandbox_messages))
        .routes(routes!(get_sandbox_message))
        .routes(routes!(get_sandbox_message_raw))
        .routes(routes!(provide_sandbox_domain))
}

/// The organisation's sandbox domain, made now where it is not there yet.
///
/// It is a name of the platform's own zone, verified without your help, to send from before any domain of yours is. Mail from
/// it reaches nobody: whoever it is addressed to, it comes into the sandbox inbox.
#[utoipa::path(
    post, path = "/sandbox/domain", tag = "sandbox",
    security(("api_key" = ["write:domains"])),
    responses((status = 200, description = "The domain.", body = DomainObject))
)]
async fn provide_sandbox_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    NoFields: NoFields,
) -> Result<axum::Json<DomainObject>, Problem> {
    Ok(axum::Json(DomainObject::new(&app.sandbox_domain(&caller).await?, app.now())))
}

/// A message in the sandbox inbox.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxMessage)]
struct SandboxMessageObject {
    /// Always `sandbox_message`.
    #[schema(example = "sandbox_message")]
    object: &'static str,
    /// Its id.
    #[schema(example = "sbx_01JD0000000000000000000000")]
    id: String,
    /// When it came in.
    received_at: Timestamp,
    /// Who connected.
    client_ip: String,
    /// What that client called itself.
    helo: String,
    /// MAIL FROM; null for the null reverse-path.
    #[schema(required)]
    mail_from: Option<String>,
    /// RCPT TO.
    recipients: Vec<String>,
    /// Whether it came over TLS.
    tls: bool,
    /// Its size in bytes.
    size: u64,
    /// The From field.
    from: String,
    /// The Subject field.
    subject: String,
    /// What SPF, DKIM and DMARC say; null until that was looked up.
    #[schema(required)]
    authentication: Option<Authentication>,
    /// Its content; only where one message was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
}

/// What SPF, DKIM and DMARC say of a message.
#[derive(Debug, Serialize, ToSchema)]
struct Authentication {
    /// The domain of the From field; null when there is no single one.
    #[schema(required)]
    author_domain: Option<String>,
    /// SPF (RFC 7208).
    spf: Spf,
    /// DKIM (RFC 6376), topmost signature first.
    dkim: Vec<Dkim>,
    /// DMARC (RFC 9989).
    dmarc: Dmarc,
}

/// The result of SPF.
#[derive(Debug, Serialize, ToSchema)]
struct Spf {
    /// In the words of RFC 8601 §2.7.2.
    #[schema(example = "pass")]
    result: String,
    /// The domain that was checked.
    domain: String,
    /// Whether it passed for a domain that is aligned with the author's.
    aligned: bool,
    /// The term that matched.
    #[schema(required)]
    matched: Option<String>,
    /// Why there is no result of the owner's making.
    #[schema(required)]
    problem: Option<String>,
}

/// The result for one signature.
#[derive(Debug, Serialize, ToSchema)]
struct Dkim {
    /// In the words of RFC 8601 §2.7.1.
    #[schema(example = "pass")]
    result: String,
    /// Who signed.
    #[schema(required)]
    domain: Option<String>,
    /// With which key.
    #[schema(required)]
    selector: Option<String>,
    /// Whether it passed for a domain that is aligned with the author's.
    aligned: bool,
    /// The length of the key.
    #[schema(required)]
    key_bits: Option<usize>,
    /// Why it did not pass.
    #[schema(required)]
    reason: Option<String>,
}

/// The result of DMARC.
#[derive(Debug, Serialize, ToSchema)]
struct Dmarc {
    /// In the words of RFC 8601 and RFC 9989.
    #[schema(example = "pass")]
    result: String,
    /// Why there is no result.
    #[schema(required)]
    reason: Option<String>,
}

/// The content of a message.
#[derive(Debug, Serialize, ToSchema)]
struct Content {
    /// All header fields in their order, folds undone: name and value.
    headers: Vec<Vec<String>>,
    /// The plain text.
    #[schema(required)]
    text: Option<String>,
    /// The HTML, as it came: to be shown in a sandbox only.
    #[schema(required)]
    html: Option<String>,
    /// The files.
    attachments: Vec<AttachmentObject>,
}

/// A file of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivedAttachment)]
struct AttachmentObject {
    /// Its name.
    #[schema(required)]
    filename: Option<String>,
    /// Its media type.
    content_type: String,
    /// Its size in bytes, decoded.
    size: usize,
}

fn object(message: SandboxSummary, content: Option<Content>) -> SandboxMessageObject {
    let results = message.authentication.as_deref();
    let results =
        results.and_then(|text| serde_json::from_str::<Option<AuthenticationResults>>(text).ok()?);
    SandboxMessageObject {
        object: "sandbox_message",
        id: message.id.to_string(),
        received_at: message.received_at,
        client_ip: message.client_ip,
        helo: message.helo,
        mail_from: message.mail_from,
        recipients: message.recipients,
        tls: message.tls,
        size: message.size,
        from: message.header_from,
        subject: message.subject,
        authentication: results.map(authentication),
        content,
    }
}

fn authentication(results: AuthenticationResults) -> Authentication {
    let dmarc = results.dmarc;
    let aligned = dmarc.dkim_aligned.iter().copied().chain(std::iter::repeat(false));
    Authentication {
        author_domain: results.author_domain.map(|domain| domain.to_string()),
        spf: Spf {
            result: results.spf.result.to_string(),
            domain: results.spf.domain.to_string(),
            aligned: dmarc.spf_aligned,
            matched: results.spf.matched,
            problem: results.spf.problem.map(|problem| problem.to_string()),
        },
        dkim: results
            .dkim
            .into_iter()
            .zip(aligned)
            .map(|(signature, aligned)| Dkim {
                result: signature.result.to_string(),
                domain: signature.signing_domain.map(|domain| domain.to_string()),
                selector: signature.selector,
                aligned,
                key_bits: signature.key_bits,
                reason: signature.reason,
            })
            .collect(),
        dmarc: Dmarc { result: dmarc.result.to_string(), reason: dmarc.reason },
    }
}

fn content(summary: Summary) -> Content {
    Content {
        headers: summary.headers.into_iter().map(|(name, value)| vec![name, value]).collect(),
        text: summary.text,
        html: summary.html,
        attachments: summary
            .attachments
            .into_iter()
            .map(|file| AttachmentObject {
                filename: file.filename,
                content_type: file.content_type,
                size: file.size,
            })
            .collect(),
    }
}

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListSandboxMessages {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those for this recipient.
    recipient: Option<String>,
}

/// Lists the inbox, newest first.
#[utoipa::path(
    get, path = "/sandbox/messages", tag = "sandbox",
    security(("api_key" = ["read:emails"])), params(ListSandboxMessages),
    responses((status = 200, description = "A page of messages.", body = List<SandboxMessageObject>))
)]
async fn list_sandbox_messages(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListSandboxMessages>,
) -> Result<axum::Json<List<SandboxMessageObject>>, Problem> {
    let page = Page::<SandboxMessageId>::parse(query.limit, query.cursor.as_deref())?;
    let messages =
        app.sandbox_messages(&caller, page.after, page.fetch(), query.recipient.as_deref()).await?;
    Ok(axum::Json(page.list(messages, |message| message.id.to_string(), |message| object(message, None))))
}

/// A message with its content.
#[utoipa::path(
    get, path = "/sandbox/messages/{id}", tag = "sandbox",
    security(("api_key" = ["read:emails"])),
    params(("id" = String, Path, description = "The message's id")),
    responses((status = 200, description = "The message.", body = SandboxMessageObject))
)]
async fn get_sandbox_message(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SandboxMessageId>,
) -> Result<axum::Json<SandboxMessageObject>, Problem> {
    let view = app.sandbox_message(&caller, id).await?;
    Ok(axum::Json(object(view.message.summary, Some(content(view.summary)))))
}

/// A message's source, as it came.
#[utoipa::path(
    get, path = "/sandbox/messages/{id}/raw", tag = "sandbox",
    security(("api_key" = ["read:emails"])),
    params(("id" = String, Path, description = "The message's id")),
    responses((status = 200, description = "The source.", body = String, content_type = "text/plain"))
)]
async fn get_sandbox_message_raw(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SandboxMessageId>,
) -> Result<Response, Problem> {
    let view = app.sandbox_message(&caller, id).await?;
    let raw: Vec<u8> = view.message.raw.to_vec();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], raw).into_response())
}

/// An emptied inbox.
#[derive(Debug, Serialize, ToSchema)]
struct ClearedSandbox {
    /// Always `sandbox`.
    #[schema(example = "sandbox")]
    object: &'static str,
    /// Always true.
    deleted: bool,
    /// How many messages it had.
    count: u64,
}

/// Empties the inbox.
#[utoipa::path(
    delete, path = "/sandbox/messages", tag = "sandbox",
    security(("api_key" = ["admin"])),
    responses((status = 200, description = "The inbox is empty.", body = ClearedSandbox))
)]
async fn clear_sandbox_messages(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<ClearedSandbox>, Problem> {
    let count = app.clear_sandbox(&caller).await?;
    Ok(axum::Json(ClearedSandbox { object: "sandbox", deleted: true, count }))
}
