//! `/tenants`: the customers of an organisation.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, Query},
    list::{List, Page},
    problem::Problem,
};
use app::{App, store::Tenant};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_tenants, add_tenant)).routes(routes!(get_tenant))
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
struct TenantObject {
    /// Always `tenant`.
    #[schema(example = "tenant")]
    object: &'static str,
    /// Its id.
    #[schema(example = "tnt_01JD0000000000000000000000")]
    id: String,
    /// Your name for it.
    #[serde(rename = "ref")]
    #[schema(example = "cust_12345")]
    reference: String,
    /// When it was made.
    created_at: Timestamp,
}

fn object(tenant: Tenant) -> TenantObject {
    TenantObject {
        object: "tenant",
        id: tenant.id.to_string(),
        reference: tenant.reference,
        created_at: tenant.created_at,
    }
}

/// A tenant to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddTenantRequest {
    /// Your name for it: 1 to 128 printable ASCII characters, its case kept.
    #[serde(rename = "ref")]
    #[schema(example = "cust_12345", min_length = 1, max_length = 128)]
    reference: String,
}

/// Makes a tenant, or finds the one of this name.
///
/// Not needed before anything else: adding a domain or a key with the header `X-Countersign-Tenant-Ref` does the same.
#[utoipa::path(
    post, path = "/tenants", tag = "tenants",
    security(("api_key" = ["write:domains"])), request_body = AddTenantRequest,
    responses(
        (status = 200, description = "It was there already.", body = TenantObject),
        (status = 201, description = "The tenant was made.", body = TenantObject,
            headers(("Location" = String, description = "The tenant's address"))),
    )
)]
async fn add_tenant(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<AddTenantRequest>,
) -> Result<Response, Problem> {
    let (tenant, is_new) = app.add_tenant(&caller, &request.reference).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/api/v1/tenants/{}", tenant.id);
    Ok((status, [(header::LOCATION, location)], axum::Json(object(tenant))).into_response())
}

/// A tenant.
#[utoipa::path(
    get, path = "/tenants/{id}", tag = "tenants",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses((status = 200, description = "The tenant.", body = TenantObject))
)]
async fn get_tenant(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<TenantId>,
) -> Result<axum::Json<TenantObject>, Problem> {
    Ok(axum::Json(object(app.tenant(&caller, id).await?)))
}

/// Which tenants are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListTenants {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists tenants, newest first.
///
/// A key that is bound to a tenant sees that one; one with `allowed_domain_ids` those of its domains.
#[utoipa::path(
    get, path = "/tenants", tag = "tenants",
    security(("api_key" = ["read:domains"])), params(ListTenants),
    responses((status = 200, description = "A page of tenants.", body = List<TenantObject>))
)]
async fn list_tenants(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListTenants>,
) -> Result<axum::Json<List<TenantObject>>, Problem> {
    let page = Page::<TenantId>::parse(query.limit, query.cursor.as_deref())?;
    let tenants = app.tenants(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(tenants, |tenant| tenant.id.to_string(), object)))
}
