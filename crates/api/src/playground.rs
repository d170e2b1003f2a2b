//! `/playground`: zones of a stand-in DNS host, in development only.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, NoFields},
    list::List,
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    playground::TypedRecord,
    store::{PlaygroundRecord, PlaygroundZone},
};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{DomainId, RecordId, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_playground_zones, create_playground_zone))
        .routes(routes!(get_playground_zone, delete_playground_zone))
        .routes(routes!(create_playground_record))
        .routes(routes!(update_playground_record, delete_playground_record))
        .routes(routes!(publish_in_playground))
}

/// A zone of the playground.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlaygroundZone)]
struct ZoneObject {
    /// Always `playground_zone`.
    #[schema(example = "playground_zone")]
    object: &'static str,
    /// Its id.
    #[schema(example = "zon_01JD0000000000000000000000")]
    id: String,
    /// Its name.
    #[schema(example = "acme.test")]
    apex: String,
    /// Its version.
    serial: u32,
    /// When it was made.
    created_at: Timestamp,
    /// Its records; only where one zone was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<RecordObject>>,
}

/// A record of the playground, as it was typed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlaygroundRecord)]
struct RecordObject {
    /// Always `playground_record`.
    #[schema(example = "playground_record")]
    object: &'static str,
    /// Its id.
    #[schema(example = "rec_01JD0000000000000000000000")]
    id: String,
    /// Its zone.
    zone_id: String,
    /// The host field.
    host: String,
    /// The record type.
    #[serde(rename = "type")]
    record_type: String,
    /// The value field.
    value: String,
    /// In seconds.
    ttl: u32,
    /// The preference of an MX.
    #[schema(required)]
    priority: Option<u16>,
    /// Whether a proxy answers for it.
    proxied: bool,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
}

/// A zone to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateZoneRequest {
    /// Its name.
    #[schema(example = "acme.test")]
    apex: String,
}

/// A record as it is typed into the panel. The panel appends the zone to the host, as most DNS hosts do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecordRequest {
    /// The host field: relative to the zone, `@` for the zone itself.
    #[schema(example = "_dmarc.mail")]
    host: String,
    /// A, AAAA, CAA, CNAME, MX, NS, PTR or TXT.
    #[serde(rename = "type")]
    #[schema(example = "TXT")]
    record_type: String,
    /// The value field.
    #[schema(example = "v=DMARC1; p=none")]
    value: String,
    /// In seconds; 300 without.
    ttl: Option<u32>,
    /// The preference of an MX.
    priority: Option<u16>,
    /// Whether a proxy answers for it, as some DNS hosts offer.
    #[serde(default)]
    proxied: bool,
}

impl From<RecordRequest> for TypedRecord {
    fn from(request: RecordRequest) -> Self {
        Self {
            host: request.host,
            record_type: request.record_type,
            value: request.value,
            ttl: request.ttl,
            priority: request.priority,
            proxied: request.proxied,
        }
    }
}

/// Something that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedPlaygroundThing {
    /// What it was.
    #[schema(example = "playground_zone")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
}

fn zone_object(zone: &PlaygroundZone, records: Option<Vec<PlaygroundRecord>>) -> ZoneObject {
    ZoneObject {
        object: "playground_zone",
        id: zone.id.to_string(),
        apex: zone.apex.to_string(),
        serial: zone.serial,
        created_at: zone.created_at,
        records: records.map(|records| records.into_iter().map(record_object).collect()),
    }
}

fn record_object(record: PlaygroundRecord) -> RecordObject {
    RecordObject {
        object: "playground_record",
        id: record.id.to_string(),
        zone_id: record.zone_id.to_string(),
        host: record.host,
        record_type: record.record_type.to_string(),
        value: record.value,
        ttl: record.ttl,
        priority: record.priority,
        proxied: record.proxied,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

/// Lists the zones.
#[utoipa::path(
    get, path = "/playground/zones", tag = "playground",
    security(("api_key" = ["admin"])),
    responses((status = 200, description = "All zones.", body = List<ZoneObject>))
)]
async fn list_playground_zones(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
) -> Result<axum::Json<List<ZoneObject>>, Problem> {
    let zones = app.playground_zones(&caller).await?;
    Ok(axum::Json(List::whole(zones.into_iter().map(|zone| zone_object(&zone, None)).collect())))
}

/// Makes a zone.
///
/// It is served when the answer comes.
#[utoipa::path(
    post, path = "/playground/zones", tag = "playground",
    security(("api_key" = ["admin"])), request_body = CreateZoneRequest,
    responses(
        (status = 201, description = "The zone was made.", body = ZoneObject,
            headers(("Location" = String, description = "The zone's address"))),
        (status = 409, description = "It is there already, or there are too many.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create_playground_zone(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<CreateZoneRequest>,
) -> Result<Response, Problem> {
    let zone = app.create_playground_zone(&caller, &request.apex).await?;
    let location = format!("/api/v1/playground/zones/{}", zone.id);
    let body = axum::Json(zone_object(&zone, None));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

/// A zone with its records.
#[utoipa::path(
    get, path = "/playground/zones/{id}", tag = "playground",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The zone's id")),
    responses((status = 200, description = "The zone.", body = ZoneObject))
)]
async fn get_playground_zone(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ZoneId>,
) -> Result<axum::Json<ZoneObject>, Problem> {
    let view = app.playground_zone(&caller, id).await?;
    Ok(axum::Json(zone_object(&view.zone, Some(view.records))))
}

/// Deletes a zone with its records.
#[utoipa::path(
    delete, path = "/playground/zones/{id}", tag = "playground",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The zone's id")),
    responses((status = 200, description = "The zone was deleted.", body = DeletedPlaygroundThing))
)]
async fn delete_playground_zone(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ZoneId>,
) -> Result<axum::Json<DeletedPlaygroundThing>, Problem> {
    app.delete_playground_zone(&caller, id).await?;
    Ok(axum::Json(DeletedPlaygroundThing { object: "playground_zone", id: id.to_string(), deleted: true }))
}

/// Adds a record.
///
/// It is served when the answer comes, and the domains in the zone are checked next.
#[utoipa::path(
    post, path = "/playground/zones/{id}/records", tag = "playground",
    security(("api_key" = ["admin"])), request_body = RecordRequest,
    params(("id" = String, Path, description = "The zone's id")),
    responses(
        (status = 201, description = "The record was added.", body = RecordObject),
        (status = 409, description = "There are too many.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn create_playground_record(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ZoneId>,
    Json(request): Json<RecordRequest>,
) -> Result<Response, Problem> {
    let record = app.create_playground_record(&caller, id, &request.into()).await?;
    Ok((StatusCode::CREATED, axum::Json(record_object(record))).into_response())
}

/// Puts a record in the place of another.
#[utoipa::path(
    put, path = "/playground/records/{id}", tag = "playground",
    security(("api_key" = ["admin"])), request_body = RecordRequest,
    params(("id" = String, Path, description = "The record's id")),
    responses((status = 200, description = "The record was changed.", body = RecordObject))
)]
async fn update_playground_record(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<RecordId>,
    Json(request): Json<RecordRequest>,
) -> Result<axum::Json<RecordObject>, Problem> {
    let record = app.update_playground_record(&caller, id, &request.into()).await?;
    Ok(axum::Json(record_object(record)))
}

/// Deletes a record.
#[utoipa::path(
    delete, path = "/playground/records/{id}", tag = "playground",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The record's id")),
    responses((status = 200, description = "The record was deleted.", body = DeletedPlaygroundThing))
)]
async fn delete_playground_record(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<RecordId>,
) -> Result<axum::Json<DeletedPlaygroundThing>, Problem> {
    app.delete_playground_record(&caller, id).await?;
    Ok(axum::Json(DeletedPlaygroundThing { object: "playground_record", id: id.to_string(), deleted: true }))
}

/// Publishes what a domain still lacks.
///
/// The playground as a DNS host: every record of the domain's plan that is not right yet is written into its playground
/// zone. What others put in the way stays, and is told with `CHANGES_BLOCKED` once all else is written.
#[utoipa::path(
    post, path = "/playground/domains/{id}/publish", tag = "playground",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The records that were made.", body = List<RecordObject>))
)]
async fn publish_in_playground(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    _: NoFields,
) -> Result<axum::Json<List<RecordObject>>, Problem> {
    let records = app.publish_in_playground(&caller, id).await?;
    Ok(axum::Json(List::whole(records.into_iter().map(record_object).collect())))
}
