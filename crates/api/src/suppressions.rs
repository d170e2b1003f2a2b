//! `/suppressions`: addresses that get no mail.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, Query},
    list::{List, Page},
    problem::Problem,
};
use app::{App, store::Suppression};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{SuppressionId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_suppressions, add_suppression))
        .routes(routes!(get_suppression, delete_suppression))
}

/// An address that gets no mail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suppression)]
struct SuppressionObject {
    /// Always `suppression`.
    #[schema(example = "suppression")]
    object: &'static str,
    /// Its id.
    #[schema(example = "sup_01JD0000000000000000000000")]
    id: String,
    /// The address, in lower case.
    #[schema(example = "someone@example.org")]
    address: String,
    /// Why. Open.
    #[schema(example = "manual")]
    reason: String,
    /// The tenant whose mail it does not get; null for the mail of all.
    #[schema(required)]
    tenant_id: Option<String>,
    /// Since when.
    created_at: Timestamp,
}

fn object(entry: Suppression) -> SuppressionObject {
    SuppressionObject {
        object: "suppression",
        id: entry.id.to_string(),
        address: entry.address,
        reason: entry.reason,
        tenant_id: entry.tenant_id.map(|id| id.to_string()),
        created_at: entry.created_at,
    }
}

/// An address to suppress.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddSuppressionRequest {
    /// The address.
    #[schema(example = "someone@example.org")]
    address: String,
    /// Why, 1 to 200 characters; `manual` without.
    #[schema(example = "asked by phone")]
    reason: Option<String>,
    /// The tenant whose mail it does not get; the header `X-Countersign-Tenant-Ref` names it by your own name. Without:
    /// that of the whole organisation.
    #[schema(value_type = Option<String>)]
    tenant_id: Option<TenantId>,
}

/// Suppresses an address, or finds it suppressed.
///
/// A message to it is refused from then on with `RECIPIENT_SUPPRESSED`.
#[utoipa::path(
    post, path = "/suppressions", tag = "suppressions",
    security(("api_key" = ["write:suppressions"])), request_body = AddSuppressionRequest,
    responses(
        (status = 200, description = "It was there already.", body = SuppressionObject),
        (status = 201, description = "It was added.", body = SuppressionObject,
            headers(("Location" = String, description = "Its address in the API"))),
    )
)]
async fn add_suppression(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<AddSuppressionRequest>,
) -> Result<Response, Problem> {
    let reason = request.reason.as_deref();
    let (entry, is_new) = app.add_suppression(&caller, &request.address, reason, request.tenant_id).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/api/v1/suppressions/{}", entry.id);
    Ok((status, [(header::LOCATION, location)], axum::Json(object(entry))).into_response())
}

/// Which suppressions are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListSuppressions {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those of this address.
    #[param(example = "someone@example.org")]
    address: Option<String>,
}

/// Lists addresses that get no mail, newest first.
///
/// A key that is bound to a tenant sees those of that tenant. One with `allowed_domain_ids` is refused.
#[utoipa::path(
    get, path = "/suppressions", tag = "suppressions",
    security(("api_key" = ["read:emails"])), params(ListSuppressions),
    responses((status = 200, description = "A page of suppressions.", body = List<SuppressionObject>))
)]
async fn list_suppressions(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListSuppressions>,
) -> Result<axum::Json<List<SuppressionObject>>, Problem> {
    let page = Page::<SuppressionId>::parse(query.limit, query.cursor.as_deref())?;
    let found = app.suppressions(&caller, query.address.as_deref(), page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(found, |entry| entry.id.to_string(), object)))
}

/// An address that gets no mail.
#[utoipa::path(
    get, path = "/suppressions/{id}", tag = "suppressions",
    security(("api_key" = ["read:emails"])),
    params(("id" = String, Path, description = "The suppression's id")),
    responses((status = 200, description = "The suppression.", body = SuppressionObject))
)]
async fn get_suppression(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SuppressionId>,
) -> Result<axum::Json<SuppressionObject>, Problem> {
    Ok(axum::Json(object(app.suppression(&caller, id).await?)))
}

/// A suppression that was taken off.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedSuppression {
    /// Always `suppression`.
    #[schema(example = "suppression")]
    object: &'static str,
    /// Its id.
    id: String,
    /// The address.
    address: String,
    /// Always true.
    deleted: bool,
}

/// Takes an address off: it gets mail again.
#[utoipa::path(
    delete, path = "/suppressions/{id}", tag = "suppressions",
    security(("api_key" = ["write:suppressions"])),
    params(("id" = String, Path, description = "The suppression's id")),
    responses((status = 200, description = "It is off.", body = DeletedSuppression))
)]
async fn delete_suppression(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SuppressionId>,
) -> Result<axum::Json<DeletedSuppression>, Problem> {
    let entry = app.delete_suppression(&caller, id).await?;
    Ok(axum::Json(DeletedSuppression {
        object: "suppression",
        id: id.to_string(),
        address: entry.address,
        deleted: true,
    }))
}
