//! `/domains/{id}/reputation`, `/tenants/{id}/reputation`: what became of mail, and the pause where too much came back.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, NoFields},
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    reputation::{Complaint, Reputation, WINDOW_DAYS, ended},
    store::SendingCounts,
};
use axum::{extract::State, http::StatusCode};
use model::{DomainId, MessageId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(get_domain_reputation))
        .routes(routes!(resume_domain))
        .routes(routes!(get_tenant_reputation))
        .routes(routes!(resume_tenant))
        .routes(routes!(add_complaint))
}

/// How much became what. Recipients are counted, by the day on which it was known.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = SendingCounts)]
struct CountsObject {
    /// Taken by the server that we hand mail to; behind a relay that may be before the recipient's own server has seen it.
    #[schema(example = 1980)]
    delivered: u64,
    /// For recipients that do not exist, as that server says at once. What is mailed back later is not counted yet.
    #[schema(example = 15)]
    bounced: u64,
    /// Not taken for other reasons, such as a policy or a full mailbox; not held against the sender.
    #[schema(example = 5)]
    refused: u64,
    /// Called spam by their recipients.
    #[schema(example = 1)]
    complained: u64,
}

impl From<SendingCounts> for CountsObject {
    fn from(counts: SendingCounts) -> Self {
        let SendingCounts { delivered, bounced, refused, complained } = counts;
        Self { delivered, bounced, refused, complained }
    }
}

/// What became of mail on one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SendingDay)]
struct DayObject {
    /// The day, in UTC.
    #[schema(example = "2026-11-22")]
    date: String,
    #[serde(flatten)]
    counts: CountsObject,
}

/// How a domain or a tenant stands by what became of its mail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reputation)]
struct ReputationObject {
    /// Always `reputation`.
    #[schema(example = "reputation")]
    object: &'static str,
    /// The domain; null where it is of a tenant as a whole.
    #[schema(required)]
    domain_id: Option<String>,
    /// The tenant.
    #[schema(required)]
    tenant_id: Option<String>,
    /// `good`; `at_risk`: 5 % bounced or 0.1 % complained; `paused`: 10 % bounced or 0.3 % complained, and nothing is sent
    /// until it is resumed. Open: there may be more.
    #[schema(example = "good")]
    state: &'static str,
    /// Why it is not good, for people.
    #[schema(required)]
    reason: Option<String>,
    /// When the domain was paused.
    #[schema(required)]
    paused_at: Option<Timestamp>,
    /// Whose mail the domain was paused for: `domain`, its own; `tenant`, that of all domains of its tenant, and then
    /// `POST /tenants/{id}/resume` ends it. Open: there may be more.
    #[schema(required, example = "domain")]
    pause_cause: Option<&'static str>,
    /// Of a tenant: how many of its domains are paused.
    #[schema(required)]
    paused_domains: Option<u64>,
    /// Over how many days it is counted, today being the last of them.
    #[schema(example = 7)]
    window_days: i64,
    /// What it is judged by: the days of the window, but nothing of before it was last resumed.
    counted: CountsObject,
    /// The share that bounced, of all of whom it is known what became of the message; null where there are none.
    #[schema(required, example = 0.0075)]
    bounce_rate: Option<f64>,
    /// The share that complained, of those delivered to; null where there are none.
    #[schema(required, example = 0.0005)]
    complaint_rate: Option<f64>,
    /// All of each day of the window, newest first; days without mail are left out.
    days: Vec<DayObject>,
}

fn rate(some: u64, all: u64) -> Option<f64> {
    let part = some.saturating_mul(1_000_000).checked_div(all)?;
    Some(f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / 1_000_000.0)
}

fn date(day: i64) -> String {
    let time = day.checked_mul(86_400).and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string().chars().take(10).collect()).unwrap_or_default()
}

fn object(reputation: Reputation) -> ReputationObject {
    let counts = reputation.counts;
    ReputationObject {
        object: "reputation",
        domain_id: reputation.domain_id.map(|id| id.to_string()),
        tenant_id: reputation.tenant_id.map(|id| id.to_string()),
        state: reputation.judgement.standing.as_str(),
        reason: reputation.judgement.reason,
        paused_at: reputation.paused.as_ref().map(|pause| pause.at),
        pause_cause: reputation.paused.as_ref().map(|pause| pause.cause.as_str()),
        paused_domains: reputation.paused_domains,
        window_days: WINDOW_DAYS,
        counted: counts.into(),
        bounce_rate: rate(counts.bounced, ended(counts)),
        complaint_rate: rate(counts.complained, counts.delivered),
        days: reputation
            .days
            .iter()
            .map(|day| DayObject { date: date(day.day), counts: day.counts.into() })
            .collect(),
    }
}

/// What became of a domain's mail.
///
/// Too many recipients that do not exist, or that call the mail spam, pause the domain: sending is refused with
/// `SENDING_PAUSED`, and what is in the queue waits, however long, until it is resumed.
#[utoipa::path(
    get, path = "/domains/{id}/reputation", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "How it stands.", body = ReputationObject))
)]
async fn get_domain_reputation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<axum::Json<ReputationObject>, Problem> {
    Ok(axum::Json(object(app.reputation_of_domain(&caller, id).await?)))
}

/// Lets a domain send again.
///
/// It is judged by what comes from now on, and what waits in the queue is sent. Where it was paused for all mail of its tenant
/// (`pause_cause`), `POST /tenants/{id}/resume` ends that; alone it is paused again with the next bounce. For a key of the
/// whole organisation: who is bound to a tenant or to domains does not resume itself.
#[utoipa::path(
    post, path = "/domains/{id}/resume", tag = "domains",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 200, description = "How it stands.", body = ReputationObject),
        (status = 422, description = "The body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn resume_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    NoFields: NoFields,
) -> Result<axum::Json<ReputationObject>, Problem> {
    Ok(axum::Json(object(app.resume_domain(&caller, id).await?)))
}

/// What became of a tenant's mail.
///
/// That of all its domains, those that were deleted too. Over the limits, all domains that have sent are paused. A key with
/// `allowed_domain_ids` gets `KEY_IS_LIMITED`.
#[utoipa::path(
    get, path = "/tenants/{id}/reputation", tag = "tenants",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses((status = 200, description = "How it stands.", body = ReputationObject))
)]
async fn get_tenant_reputation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<TenantId>,
) -> Result<axum::Json<ReputationObject>, Problem> {
    Ok(axum::Json(object(app.reputation_of_tenant(&caller, id).await?)))
}

/// Lets all domains of a tenant send again.
///
/// All that are paused, whenever and for whatever that was. They are judged by what comes from now on, and the tenant too:
/// what came back of domains that were deleted since counts no more. For a key of the whole organisation.
#[utoipa::path(
    post, path = "/tenants/{id}/resume", tag = "tenants",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, description = "How it stands.", body = ReputationObject),
        (status = 422, description = "The body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn resume_tenant(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<TenantId>,
    NoFields: NoFields,
) -> Result<axum::Json<ReputationObject>, Problem> {
    Ok(axum::Json(object(app.resume_tenant(&caller, id).await?)))
}

/// Whose complaint it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddComplaintRequest {
    /// The recipient of the message who complains.
    #[schema(example = "someone@example.net")]
    recipient: String,
}

/// A complaint that was noted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Complaint)]
struct ComplaintObject {
    /// Always `complaint`.
    #[schema(example = "complaint")]
    object: &'static str,
    /// About which message.
    #[schema(example = "msg_01JD0000000000000000000000")]
    message_id: String,
    /// Whose.
    #[schema(example = "someone@example.net")]
    recipient: String,
    /// When it was noted first.
    complained_at: Timestamp,
}

/// Notes that a recipient calls a message spam.
///
/// As a feedback loop of a mailbox provider tells. It is counted once, however often it is told, the address gets no more mail
/// of the tenant (a suppression with the reason `complaint`), and `email.complained` is told.
#[utoipa::path(
    post, path = "/emails/{id}/complaints", tag = "emails",
    security(("api_key" = ["write:suppressions"])), request_body = AddComplaintRequest,
    params(("id" = String, Path, description = "The message's id")),
    responses(
        (status = 200, description = "It was noted before.", body = ComplaintObject),
        (status = 201, description = "It is noted.", body = ComplaintObject),
    )
)]
async fn add_complaint(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<MessageId>,
    Json(request): Json<AddComplaintRequest>,
) -> Result<(StatusCode, axum::Json<ComplaintObject>), Problem> {
    let Complaint { message_id, recipient, at, is_new } =
        app.add_complaint(&caller, id, &request.recipient).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let complaint = ComplaintObject {
        object: "complaint",
        message_id: message_id.to_string(),
        recipient: recipient.to_string(),
        complained_at: at,
    };
    Ok((status, axum::Json(complaint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares_and_dates_are_days() {
        assert_eq!((rate(15, 2_000), rate(0, 0), rate(1, 1)), (Some(0.0075), None, Some(1.0)));
        assert_eq!((date(20_254), date(i64::MAX)), ("2025-06-15".to_owned(), String::new()));
    }
}
