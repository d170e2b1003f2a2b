//! `/keys`: API keys.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, Query},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    keys::{CreateKey, DEFAULT_OVERLAP, KeyWithSecret},
    store::ApiKey,
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{ApiKeyId, DomainId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(get_key, revoke_key))
        .routes(routes!(rotate_key))
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyObject {
    /// Always `key`.
    #[schema(example = "key")]
    object: &'static str,
    /// Its id.
    #[schema(example = "key_01JD0000000000000000000000")]
    id: String,
    /// Its name.
    name: String,
    /// The first characters of its secret, to tell keys apart.
    #[schema(example = "cs_abcdef")]
    prefix: String,
    /// What it may do. Open: there may be more.
    #[schema(example = json!(["read:domains", "send:emails"]))]
    scopes: Vec<String>,
    /// The only domains that it may use; null for all, empty for none.
    #[schema(required)]
    allowed_domain_ids: Option<Vec<String>>,
    /// The tenant that it is bound to; null for all.
    #[schema(required)]
    tenant_id: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// The key that made it; null where none did.
    #[schema(required)]
    created_by: Option<String>,
    /// When it was last used, to about a minute.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// From when on it is refused.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// The key that was made to take its place.
    #[schema(required)]
    replaced_by: Option<String>,
    /// When it was revoked.
    #[schema(required)]
    revoked_at: Option<Timestamp>,
    /// The key itself. In the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn object(key: ApiKey) -> KeyObject {
    let text = |id: Option<ApiKeyId>| id.map(|id| id.to_string());
    KeyObject {
        object: "key",
        id: key.id.to_string(),
        name: key.name,
        prefix: key.display_prefix,
        scopes: key.scopes,
        allowed_domain_ids: key.allowed_domain_ids.map(|ids| ids.iter().map(ToString::to_string).collect()),
        tenant_id: key.tenant_id.map(|id| id.to_string()),
        created_at: key.created_at,
        created_by: text(key.created_by),
        last_used_at: key.last_used_at,
        expires_at: key.expires_at,
        replaced_by: text(key.replaced_by),
        revoked_at: key.revoked_at,
        secret: None,
    }
}

/// The answer to whoever made a key. It is stored nowhere on its way.
fn made(made: KeyWithSecret) -> Response {
    let location = format!("/api/v1/keys/{}", made.key.id);
    let body = axum::Json(KeyObject { secret: Some(made.secret.0), ..object(made.key) });
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::CREATED, headers, body).into_response()
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateKeyRequest {
    /// By what people know it, 1 to 100 characters.
    #[schema(example = "billing service")]
    name: String,
    /// What it may do: of `read:domains`, `write:domains`, `send:emails`, `read:emails`, `read:events`,
    /// `write:webhooks`, `write:keys`, `write:suppressions`, `read:audit` and `admin`.
    #[schema(example = json!(["read:domains", "send:emails"]))]
    scopes: Vec<String>,
    /// The only domains that it may use, at most 1,000. Left out: all. Empty: none.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    allowed_domain_ids: Option<Vec<DomainId>>,
    /// The tenant that it is bound to; the header `X-Countersign-Tenant-Ref` names it by your own name.
    #[schema(value_type = Option<String>)]
    tenant_id: Option<TenantId>,
    /// From when on it is refused; never without.
    expires_at: Option<Timestamp>,
}

/// Makes an API key.
///
/// The answer has the key's `secret`, which is never shown again. A key gives no right that it does not have: neither a
/// scope, nor a tenant, nor a domain, nor a later end.
#[utoipa::path(
    post, path = "/keys", tag = "keys",
    security(("api_key" = ["write:keys"])), request_body = CreateKeyRequest,
    responses(
        (status = 201, description = "The key, with its secret.", body = KeyObject,
            headers(("Location" = String, description = "The key's address"))),
        (status = 409, description = "There are too many keys. Code: `LIMIT_REACHED`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create_key(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<CreateKeyRequest>,
) -> Result<Response, Problem> {
    let create = CreateKey {
        name: request.name,
        scopes: request.scopes,
        allowed_domain_ids: request.allowed_domain_ids,
        tenant_id: request.tenant_id,
        expires_at: request.expires_at,
    };
    Ok(made(app.make_key(&caller, &create).await?))
}

/// Which keys are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListKeys {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists API keys, newest first, those that are revoked or over too.
///
/// A key that is bound to a tenant sees the keys of that tenant; one with `allowed_domain_ids` those that are limited
/// to some of the same domains.
#[utoipa::path(
    get, path = "/keys", tag = "keys",
    security(("api_key" = ["write:keys"])), params(ListKeys),
    responses((status = 200, description = "A page of keys.", body = List<KeyObject>))
)]
async fn list_keys(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListKeys>,
) -> Result<axum::Json<List<KeyObject>>, Problem> {
    let page = Page::<ApiKeyId>::parse(query.limit, query.cursor.as_deref())?;
    let keys = app.keys(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(keys, |key| key.id.to_string(), object)))
}

/// An API key, without its secret.
#[utoipa::path(
    get, path = "/keys/{id}", tag = "keys",
    security(("api_key" = ["write:keys"])),
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key.", body = KeyObject))
)]
async fn get_key(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ApiKeyId>,
) -> Result<axum::Json<KeyObject>, Problem> {
    Ok(axum::Json(object(app.key(&caller, id).await?)))
}

/// A key that was revoked.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedKey {
    /// Always `key`.
    #[schema(example = "key")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    revoked: bool,
}

/// Revokes an API key.
///
/// The next request with it is refused. Keys that it made stay; a key may revoke itself.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "keys",
    security(("api_key" = ["write:keys"])),
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key is revoked.", body = RevokedKey))
)]
async fn revoke_key(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ApiKeyId>,
) -> Result<axum::Json<RevokedKey>, Problem> {
    app.revoke_key(&caller, id).await?;
    Ok(axum::Json(RevokedKey { object: "key", id: id.to_string(), revoked: true }))
}

/// How to rotate a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateKeyRequest {
    /// How long the old key works on, in seconds, at most 30 days; 0 ends it at once. A day without.
    #[schema(maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u32>,
}

/// Rotates an API key.
///
/// The answer is a new key with the same rights and a `secret` that is never shown again. The old one works until the
/// overlap is over; its `replaced_by` names the new one.
#[utoipa::path(
    post, path = "/keys/{id}/rotate", tag = "keys",
    security(("api_key" = ["write:keys"])), request_body = RotateKeyRequest,
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 201, description = "The new key, with its secret.", body = KeyObject,
            headers(("Location" = String, description = "The new key's address"))),
        (status = 409, description = "The key is revoked, over or was rotated before. Code: `KEY_NOT_ACTIVE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn rotate_key(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ApiKeyId>,
    Json(request): Json<RotateKeyRequest>,
) -> Result<Response, Problem> {
    let overlap = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
    Ok(made(app.rotate_key(&caller, id, overlap).await?))
}
