//! `/dns-connections`: credentials of DNS hosts that are kept, because their owner said so.

use crate::{
    auth::Authenticated,
    change_sets::fields,
    extract::{Id, Json, NoFields, Query},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{
    App, Secret,
    dns_connections::{Keep, NewConnection, refusal_of},
    publish::HostError,
    store::{DnsConnection, RepairMode},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{ConnectionId, DomainId, DomainName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_connections, create_connection))
        .routes(routes!(get_connection, change_connection, delete_connection))
        .routes(routes!(check_connection))
}

/// A kept credential of a DNS host. What it opens the host with is never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsConnection)]
struct ConnectionObject {
    /// Always `dns_connection`.
    #[schema(example = "dns_connection")]
    object: &'static str,
    /// Its id.
    #[schema(example = "con_01JD0000000000000000000000")]
    id: String,
    /// The id of the DNS host.
    #[schema(example = "cloudflare")]
    host: String,
    /// The zone that it is for.
    #[schema(example = "example.com")]
    zone: String,
    /// The one domain that it is for; null for all in the zone.
    #[schema(required)]
    domain_id: Option<String>,
    /// The tenant whose domains it is for; null for those of the organisation.
    #[schema(required)]
    tenant_id: Option<String>,
    /// What people call it.
    label: String,
    /// The last characters of its secret, by which its owner knows it.
    #[schema(example = "x7Qa")]
    hint: String,
    /// What it may be used for by itself: `off`, `offer` or `auto`. Open: there may be more.
    #[schema(example = "off")]
    repair: &'static str,
    /// When it was last used.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// Why the host refused it the last time; null where it is good. One that failed is not used by itself.
    #[schema(required)]
    last_error: Option<RefusedObject>,
    /// When it was given.
    created_at: Timestamp,
}

/// Why a DNS host refused a credential.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsConnectionError)]
struct RefusedObject {
    /// The code; `/docs/errors` lists them.
    #[schema(example = "HOST_CREDENTIAL_EXPIRED")]
    code: &'static str,
    /// What the host said, and what to do.
    message: String,
}

fn refused(error: HostError) -> RefusedObject {
    let problem = Problem::from(app::Error::Host(error));
    RefusedObject { code: problem.code.as_str(), message: problem.detail }
}

fn object(connection: DnsConnection) -> ConnectionObject {
    let last_error = refusal_of(&connection).map(refused);
    ConnectionObject {
        object: "dns_connection",
        id: connection.id.to_string(),
        host: connection.host,
        zone: connection.zone.to_string(),
        domain_id: connection.domain_id.map(|id| id.to_string()),
        tenant_id: connection.tenant_id.map(|id| id.to_string()),
        label: connection.label,
        hint: connection.hint,
        repair: connection.repair.as_str(),
        last_used_at: connection.last_used_at,
        last_error,
        created_at: connection.created_at,
    }
}

/// What a kept credential may be used for by itself.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Repair {
    /// For nothing: only when somebody asks.
    #[default]
    Off,
    /// To look what it would take to bring records of ours back, and to offer that.
    Offer,
    /// To bring them back.
    Auto,
}

impl From<Repair> for RepairMode {
    fn from(repair: Repair) -> Self {
        match repair {
            Repair::Off => Self::Off,
            Repair::Offer => Self::Offer,
            Repair::Auto => Self::Auto,
        }
    }
}

/// A credential to keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateConnectionRequest {
    /// The id of the DNS host, as in `GET /dns-hosts`.
    #[schema(example = "cloudflare")]
    host: String,
    /// What the host asks for: the fields of its `writing`.
    #[serde(default, deserialize_with = "fields")]
    #[schema(value_type = BTreeMap<String, String>)]
    credential: BTreeMap<String, Secret>,
    /// The domain that it is for. Either this or `zone`.
    #[schema(value_type = Option<String>)]
    domain_id: Option<DomainId>,
    /// The zone that it is for, with all domains in it.
    #[schema(value_type = Option<String>, example = "example.com")]
    zone: Option<DomainName>,
    /// The tenant whose domains it is for, with `zone`; the header `X-Countersign-Tenant-Ref` names it by your own name.
    #[schema(value_type = Option<String>)]
    tenant_id: Option<TenantId>,
    /// What you call it, at most 100 characters.
    #[serde(default)]
    label: String,
    /// What it may be used for by itself.
    #[serde(default)]
    repair: Repair,
}

/// Keeps a credential of a DNS host.
///
/// Nothing needs this: a credential that is given with a request is used once and forgotten. A kept one is sealed, never
/// shown again, and used when a request names it, or by itself as far as `repair` says. The host is asked for the zone
/// before it is kept.
#[utoipa::path(
    post, path = "/dns-connections", tag = "dns",
    security(("api_key" = ["write:dns"])), request_body = CreateConnectionRequest,
    responses(
        (status = 201, description = "The connection.", body = ConnectionObject,
            headers(("Location" = String, description = "The connection's address"))),
        (status = 404, description = "There is no such domain, or no such tenant.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 502, description = "The DNS host does not answer. Code: `HOST_UNREACHABLE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create_connection(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<CreateConnectionRequest>,
) -> Result<Response, Problem> {
    let new = NewConnection {
        host: request.host,
        fields: request.credential,
        domain_id: request.domain_id,
        zone: request.zone,
        tenant_id: request.tenant_id,
        keep: Keep { label: request.label, repair: request.repair.into() },
    };
    let made = app.add_connection(&caller, new).await?;
    let location = format!("/api/v1/dns-connections/{}", made.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(object(made))).into_response())
}

/// Which connections are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListConnections {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists kept credentials, newest first.
#[utoipa::path(
    get, path = "/dns-connections", tag = "dns",
    security(("api_key" = ["write:dns"])), params(ListConnections),
    responses((status = 200, description = "A page of connections.", body = List<ConnectionObject>))
)]
async fn list_connections(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListConnections>,
) -> Result<axum::Json<List<ConnectionObject>>, Problem> {
    let page = Page::<ConnectionId>::parse(query.limit, query.cursor.as_deref())?;
    let connections = app.connections(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(connections, |connection| connection.id.to_string(), object)))
}

/// A kept credential, without its secret.
#[utoipa::path(
    get, path = "/dns-connections/{id}", tag = "dns",
    security(("api_key" = ["write:dns"])),
    params(("id" = String, Path, description = "The connection's id")),
    responses((status = 200, description = "The connection.", body = ConnectionObject))
)]
async fn get_connection(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ConnectionId>,
) -> Result<axum::Json<ConnectionObject>, Problem> {
    Ok(axum::Json(object(app.connection(&caller, id).await?)))
}

/// What is to be changed of a connection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeConnectionRequest {
    /// What it may be used for by itself.
    repair: Repair,
}

/// Says what a kept credential may be used for by itself.
#[utoipa::path(
    patch, path = "/dns-connections/{id}", tag = "dns",
    security(("api_key" = ["write:dns"])), request_body = ChangeConnectionRequest,
    params(("id" = String, Path, description = "The connection's id")),
    responses((status = 200, description = "The connection as it is now.", body = ConnectionObject))
)]
async fn change_connection(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ConnectionId>,
    Json(request): Json<ChangeConnectionRequest>,
) -> Result<axum::Json<ConnectionObject>, Problem> {
    Ok(axum::Json(object(app.change_connection(&caller, id, request.repair.into()).await?)))
}

/// Asks the DNS host whether it takes a kept credential still.
///
/// The answer is the connection: `last_error` says what the host has against it, and is null where it is good. One that
/// failed and is good again is used by itself again. Whether it may write is seen only when something is written.
#[utoipa::path(
    post, path = "/dns-connections/{id}/check", tag = "dns",
    security(("api_key" = ["write:dns"])),
    params(("id" = String, Path, description = "The connection's id")),
    responses(
        (status = 200, description = "The connection, with what the host said.", body = ConnectionObject),
        (status = 502, description = "The DNS host does not answer. Code: `HOST_UNREACHABLE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn check_connection(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ConnectionId>,
    _: NoFields,
) -> Result<axum::Json<ConnectionObject>, Problem> {
    Ok(axum::Json(object(app.check_connection(&caller, id).await?)))
}

/// A connection that was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedDnsConnection)]
struct DeletedConnection {
    /// Always `dns_connection`.
    #[schema(example = "dns_connection")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
}

/// Deletes a kept credential. Records that were written with it stay.
#[utoipa::path(
    delete, path = "/dns-connections/{id}", tag = "dns",
    security(("api_key" = ["write:dns"])),
    params(("id" = String, Path, description = "The connection's id")),
    responses((status = 200, description = "The connection is gone.", body = DeletedConnection))
)]
async fn delete_connection(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ConnectionId>,
) -> Result<axum::Json<DeletedConnection>, Problem> {
    app.delete_connection(&caller, id).await?;
    Ok(axum::Json(DeletedConnection { object: "dns_connection", id: id.to_string(), deleted: true }))
}
