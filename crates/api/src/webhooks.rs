//! `/webhooks`: addresses that are told what happens, and `/webhook-deliveries`: what became of it.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, NoFields, Query},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    store::{Webhook, WebhookAttempt, WebhookDelivery, WebhookDeliveryState},
    webhooks::{
        ChangeWebhook, CreateWebhook, DEFAULT_OVERLAP, MOST_REPLAYED, ReplaySince, WebhookWithSecret,
    },
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{TenantId, Timestamp, WebhookDeliveryId, WebhookId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(get_webhook, change_webhook, delete_webhook))
        .routes(routes!(rotate_webhook))
        .routes(routes!(test_webhook))
        .routes(routes!(replay_webhook))
        .routes(routes!(list_webhook_deliveries))
        .routes(routes!(get_webhook_delivery))
        .routes(routes!(replay_webhook_delivery))
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookObject {
    /// Always `webhook`.
    #[schema(example = "webhook")]
    object: &'static str,
    /// Its id.
    #[schema(example = "whk_01JD0000000000000000000000")]
    id: String,
    /// Where events are sent.
    #[schema(example = "https://example.com/webhooks")]
    url: String,
    /// What it is for.
    description: String,
    /// Of which types; `domain.*` is every type that begins so. Empty: of all.
    #[schema(example = json!(["domain.verified", "domain.failed"]))]
    event_types: Vec<String>,
    /// The tenant whose events alone it is told of; null for all of the organisation.
    #[schema(required)]
    tenant_id: Option<String>,
    /// `enabled` or `disabled`. Open: there may be more.
    #[schema(example = "enabled")]
    status: &'static str,
    /// Why the platform disabled it.
    #[schema(required)]
    disabled_reason: Option<String>,
    /// Since when nothing could be delivered; null where the last delivery went through.
    #[schema(required)]
    failing_since: Option<Timestamp>,
    /// When something was last delivered, to about a minute.
    #[schema(required)]
    last_delivered_at: Option<Timestamp>,
    /// Until when requests are signed with the secret before this one too.
    #[schema(required)]
    old_secret_until: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// What requests are signed with. In the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_AAAA")]
    secret: Option<String>,
}

fn object(webhook: Webhook) -> WebhookObject {
    WebhookObject {
        object: "webhook",
        id: webhook.id.to_string(),
        url: webhook.url,
        description: webhook.description,
        event_types: webhook.event_types,
        tenant_id: webhook.tenant_id.map(|id| id.to_string()),
        status: webhook.status.as_str(),
        disabled_reason: webhook.disabled_reason,
        failing_since: webhook.failing_since,
        last_delivered_at: webhook.delivered_at,
        old_secret_until: webhook.old_secret_until,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
        secret: None,
    }
}

/// The answer that has the secret. It is stored nowhere on its way.
fn with_secret(status: StatusCode, made: WebhookWithSecret) -> Response {
    let location = format!("/api/v1/webhooks/{}", made.webhook.id);
    let body = axum::Json(WebhookObject { secret: Some(made.secret.0), ..object(made.webhook) });
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    (status, headers, body).into_response()
}

/// A webhook to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWebhookRequest {
    /// Where events are sent: an address on the public internet that begins with `https://`.
    #[schema(example = "https://example.com/webhooks")]
    url: String,
    /// Of which types; `domain.*` is every type that begins so. Left out or empty: of all, also those that come later.
    #[serde(default)]
    #[schema(example = json!(["domain.*"]))]
    event_types: Vec<String>,
    /// What it is for, at most 200 characters.
    #[serde(default)]
    description: String,
    /// The tenant whose events alone it is told of; the header `X-Countersign-Tenant-Ref` names it by your own name.
    #[schema(value_type = Option<String>)]
    tenant_id: Option<TenantId>,
}

/// Makes a webhook.
///
/// From then on every event that `GET /events` tells is sent to it by POST, signed as Standard Webhooks ask for it
/// (<https://www.standardwebhooks.com>): `webhook-id` is the event's id and the same at every try, `webhook-timestamp`,
/// `webhook-signature`. Answer with 2xx within 15 seconds; anything else is tried again for three days. An event may come
/// twice and out of order. The answer has the webhook's `secret`, which is never shown again.
#[utoipa::path(
    post, path = "/webhooks", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])), request_body = CreateWebhookRequest,
    responses(
        (status = 201, description = "The webhook, with its secret.", body = WebhookObject,
            headers(("Location" = String, description = "The webhook's address"))),
        (status = 409, description = "There are too many webhooks. Code: `LIMIT_REACHED`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<CreateWebhookRequest>,
) -> Result<Response, Problem> {
    let create = CreateWebhook {
        url: request.url,
        event_types: request.event_types,
        description: request.description,
        tenant_id: request.tenant_id,
    };
    Ok(with_secret(StatusCode::CREATED, app.add_webhook(&caller, &create).await?))
}

/// Which webhooks are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListWebhooks {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists webhooks, newest first.
#[utoipa::path(
    get, path = "/webhooks", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])), params(ListWebhooks),
    responses((status = 200, description = "A page of webhooks.", body = List<WebhookObject>))
)]
async fn list_webhooks(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListWebhooks>,
) -> Result<axum::Json<List<WebhookObject>>, Problem> {
    let page = Page::<WebhookId>::parse(query.limit, query.cursor.as_deref())?;
    let webhooks = app.webhooks(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(webhooks, |webhook| webhook.id.to_string(), object)))
}

/// A webhook, without its secret.
#[utoipa::path(
    get, path = "/webhooks/{id}", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook.", body = WebhookObject))
)]
async fn get_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
) -> Result<axum::Json<WebhookObject>, Problem> {
    Ok(axum::Json(object(app.webhook(&caller, id).await?)))
}

/// What is to be changed of a webhook; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeWebhookRequest {
    /// Where events are sent.
    url: Option<String>,
    /// Of which types; empty for all.
    event_types: Option<Vec<String>>,
    /// What it is for.
    description: Option<String>,
    /// Whether it is told of events. What waits for a webhook that is disabled is given up.
    enabled: Option<bool>,
}

/// Changes a webhook, disables or enables it.
///
/// Nothing is kept for a webhook that is disabled; `POST /webhooks/{id}/replay` fetches up on it.
#[utoipa::path(
    patch, path = "/webhooks/{id}", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])), request_body = ChangeWebhookRequest,
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook as it is now.", body = WebhookObject))
)]
async fn change_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
    Json(request): Json<ChangeWebhookRequest>,
) -> Result<axum::Json<WebhookObject>, Problem> {
    let change = ChangeWebhook {
        url: request.url,
        event_types: request.event_types,
        description: request.description,
        enabled: request.enabled,
    };
    Ok(axum::Json(object(app.change_webhook(&caller, id, &change).await?)))
}

/// A webhook that was deleted.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedWebhook {
    /// Always `webhook`.
    #[schema(example = "webhook")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
}

/// Deletes a webhook.
///
/// What waits for it is given up; a request that is under way is not called back.
#[utoipa::path(
    delete, path = "/webhooks/{id}", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook is gone.", body = DeletedWebhook))
)]
async fn delete_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
) -> Result<axum::Json<DeletedWebhook>, Problem> {
    app.delete_webhook(&caller, id).await?;
    Ok(axum::Json(DeletedWebhook { object: "webhook", id: id.to_string(), deleted: true }))
}

/// How to rotate a webhook's secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateWebhookRequest {
    /// How long requests are signed with the old secret too, in seconds, at most 30 days. A day without.
    #[schema(maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u32>,
}

/// Gives a webhook a new secret.
///
/// Until the overlap is over, `webhook-signature` has two signatures: one by each secret. The answer has the new
/// `secret`, which is never shown again.
#[utoipa::path(
    post, path = "/webhooks/{id}/rotate", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])), request_body = RotateWebhookRequest,
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook, with its new secret.", body = WebhookObject))
)]
async fn rotate_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
    Json(request): Json<RotateWebhookRequest>,
) -> Result<Response, Problem> {
    let overlap = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
    Ok(with_secret(StatusCode::OK, app.rotate_webhook(&caller, id, overlap).await?))
}

/// What a test came to.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookTest {
    /// Always `webhook_test`.
    #[schema(example = "webhook_test")]
    object: &'static str,
    /// Whether it was answered with 2xx.
    delivered: bool,
    /// The status of the answer; null where there was none.
    #[schema(required)]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    millis: u64,
    /// What went wrong.
    #[schema(required)]
    error: Option<String>,
    /// The beginning of the answer.
    answer: String,
}

/// Sends a webhook an event of the type `webhook.test`, now and once.
///
/// Also where it is disabled. The event is in no feed and no log.
#[utoipa::path(
    post, path = "/webhooks/{id}/test", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "What it came to.", body = WebhookTest))
)]
async fn test_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
    NoFields: NoFields,
) -> Result<axum::Json<WebhookTest>, Problem> {
    let sent = app.test_webhook(&caller, id).await?;
    Ok(axum::Json(WebhookTest {
        object: "webhook_test",
        delivered: sent.error.is_none(),
        status: sent.status,
        millis: sent.millis,
        error: sent.error,
        answer: sent.answer,
    }))
}

/// What is to be delivered again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayWebhookRequest {
    /// Events that happened then or later.
    since: Timestamp,
    /// `next_cursor` of the answer before, to go on there with the same `since`.
    #[schema(example = json!(null))]
    after: Option<String>,
    /// Those that were delivered too; without it only those that were not.
    #[serde(default)]
    delivered_too: bool,
}

/// What a replay began.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookReplay {
    /// Always `webhook_replay`.
    #[schema(example = "webhook_replay")]
    object: &'static str,
    /// How many events are to be delivered now.
    count: u64,
    /// From when on. Later than was asked for without `delivered_too`, where deliveries are not kept for as long (30
    /// days unless the operator says otherwise): nobody knows what was delivered before.
    since: Timestamp,
    /// Whether there are more than the 10,000 events that one request goes over.
    has_more: bool,
    /// What to give as `after`, with the same `since`, to go on with them.
    #[schema(required, example = json!(null))]
    next_cursor: Option<String>,
}

/// Delivers what happened since a time.
///
/// Events that the webhook wants and that were not delivered to it: because it was not there yet, was disabled, or did
/// not take them. Each comes with the `webhook-id` that it had.
#[utoipa::path(
    post, path = "/webhooks/{id}/replay", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])), request_body = ReplayWebhookRequest,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "How many there are.", body = WebhookReplay),
        (status = 409, description = "The webhook is disabled. Code: `WEBHOOK_DISABLED`.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`since` is in the future, or `after` is no cursor. Code: `INVALID_REQUEST`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn replay_webhook(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
    Json(request): Json<ReplayWebhookRequest>,
) -> Result<axum::Json<WebhookReplay>, Problem> {
    let cursor = |text: &String| {
        let wrong = || Problem::field("after", "is no cursor; take next_cursor of the answer before");
        text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok()).ok_or_else(wrong)
    };
    let after = request.after.as_ref().map(cursor).transpose()?;
    let (since, delivered_too) = (request.since, request.delivered_too);
    let wanted = ReplaySince { since, after, delivered_too, most: MOST_REPLAYED };
    let replayed = app.replay_webhook(&caller, id, wanted).await?;
    Ok(axum::Json(WebhookReplay {
        object: "webhook_replay",
        count: replayed.count,
        since: replayed.since,
        has_more: replayed.next.is_some(),
        next_cursor: replayed.next.map(|next| next.to_string()),
    }))
}

/// The delivery of one event to one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct DeliveryObject {
    /// Always `webhook_delivery`.
    #[schema(example = "webhook_delivery")]
    object: &'static str,
    /// Its id.
    #[schema(example = "whd_01JD0000000000000000000000")]
    id: String,
    /// To which webhook.
    webhook_id: String,
    /// Of which event: the value of `webhook-id`.
    event_id: String,
    /// The event's type.
    event_type: String,
    /// `waiting`, `delivered` or `failed`. Open: there may be more.
    #[schema(example = "delivered")]
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next.
    #[schema(required)]
    next_attempt_at: Option<Timestamp>,
    /// The status of the last answer.
    #[schema(required)]
    last_status: Option<u16>,
    /// What went wrong last.
    #[schema(required)]
    last_error: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// Every attempt, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_log: Option<Vec<AttemptObject>>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptObject {
    /// The how-manieth, from 1.
    attempt: u32,
    /// When it ended.
    at: Timestamp,
    /// The status of the answer; null where there was none.
    #[schema(required)]
    status: Option<u16>,
    /// How long it took, in milliseconds.
    millis: u64,
    /// What went wrong.
    #[schema(required)]
    error: Option<String>,
    /// The beginning of the answer.
    answer: String,
}

fn delivery_object(delivery: WebhookDelivery) -> DeliveryObject {
    DeliveryObject {
        object: "webhook_delivery",
        id: delivery.id.to_string(),
        webhook_id: delivery.webhook_id.to_string(),
        event_id: delivery.event_id.to_string(),
        event_type: delivery.event_type,
        state: delivery.state.as_str(),
        attempts: delivery.attempts,
        next_attempt_at: delivery.next_attempt_at,
        last_status: delivery.last_status,
        last_error: delivery.last_error,
        created_at: delivery.created_at,
        updated_at: delivery.updated_at,
        attempt_log: None,
    }
}

fn attempt_object(attempt: WebhookAttempt) -> AttemptObject {
    let WebhookAttempt { attempt, at, status, millis, error, answer } = attempt;
    AttemptObject { attempt, at, status, millis, error, answer }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Standing {
    Waiting,
    Delivered,
    Failed,
}

/// Which deliveries are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListDeliveries {
    /// Only those in this state.
    #[param(inline)]
    state: Option<Standing>,
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists what was and is to be delivered to a webhook, newest first.
#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "The webhook's id"), ListDeliveries),
    responses((status = 200, description = "A page of deliveries.", body = List<DeliveryObject>))
)]
async fn list_webhook_deliveries(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookId>,
    Query(query): Query<ListDeliveries>,
) -> Result<axum::Json<List<DeliveryObject>>, Problem> {
    let page = Page::<WebhookDeliveryId>::parse(query.limit, query.cursor.as_deref())?;
    let state = query.state.map(|state| match state {
        Standing::Waiting => WebhookDeliveryState::Waiting,
        Standing::Delivered => WebhookDeliveryState::Delivered,
        Standing::Failed => WebhookDeliveryState::Failed,
    });
    let deliveries = app.webhook_deliveries(&caller, id, state, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(deliveries, |delivery| delivery.id.to_string(), delivery_object)))
}

/// A delivery, with every attempt.
#[utoipa::path(
    get, path = "/webhook-deliveries/{id}", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery.", body = DeliveryObject))
)]
async fn get_webhook_delivery(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookDeliveryId>,
) -> Result<axum::Json<DeliveryObject>, Problem> {
    let (delivery, attempts) = app.webhook_delivery(&caller, id).await?;
    let attempt_log = Some(attempts.into_iter().map(attempt_object).collect());
    Ok(axum::Json(DeliveryObject { attempt_log, ..delivery_object(delivery) }))
}

/// Delivers one event again, whatever came of it.
///
/// It comes with the `webhook-id` that it had.
#[utoipa::path(
    post, path = "/webhook-deliveries/{id}/replay", tag = "webhooks",
    security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 200, description = "The delivery, which waits now.", body = DeliveryObject),
        (status = 409, description = "The webhook is disabled. Code: `WEBHOOK_DISABLED`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn replay_webhook_delivery(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<WebhookDeliveryId>,
    NoFields: NoFields,
) -> Result<axum::Json<DeliveryObject>, Problem> {
    Ok(axum::Json(delivery_object(app.replay_webhook_delivery(&caller, id).await?)))
}
