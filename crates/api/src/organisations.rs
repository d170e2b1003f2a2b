//! `/organisations`: who has a part of the platform, for those who run it.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, NoFields, Query},
    list::{List, Page},
    problem::Problem,
};
use app::{App, store::ListedOrganisation};
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where they are, as it is routed.
const PATH: &str = "/api/v1/organisations";

/// Whether a route is of this noun: a root key asks it without naming an organisation.
pub fn is_at(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_organisations, create_organisation))
        .routes(routes!(get_organisation_of_platform, name_organisation))
        .routes(routes!(disable_organisation))
        .routes(routes!(enable_organisation))
}

/// An organisation of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlatformOrganisation)]
struct OrganisationObject {
    /// Always `organisation`.
    #[schema(example = "organisation")]
    object: &'static str,
    /// Its id.
    #[schema(example = "org_01JD0000000000000000000000")]
    id: String,
    /// Its name, for people.
    #[schema(example = "Acme")]
    name: String,
    /// `enabled` or `disabled`. Open: there may be more.
    #[schema(example = "enabled")]
    status: &'static str,
    /// Since when it is switched off.
    #[schema(required)]
    disabled_at: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

fn object(listed: ListedOrganisation) -> OrganisationObject {
    OrganisationObject {
        object: "organisation",
        id: listed.organisation.id.to_string(),
        name: listed.organisation.name,
        status: if listed.disabled_at.is_some() { "disabled" } else { "enabled" },
        disabled_at: listed.disabled_at,
        created_at: listed.organisation.created_at,
    }
}

/// An organisation to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateOrganisationRequest {
    /// 1 to 100 characters.
    #[schema(example = "Acme", min_length = 1, max_length = 100)]
    name: String,
    /// Who is to own it: a link to come in goes to this address, good for 7 days.
    #[schema(example = "ann@example.com")]
    owner: Option<String>,
}

/// Makes an organisation.
///
/// Only those who run the platform do: with a root key, or with an `admin` key of the organisation that the platform began
/// with. A root key then makes its API keys by naming it in `X-Countersign-Organisation`.
#[utoipa::path(
    post, path = "/organisations", tag = "organisations",
    security(("api_key" = ["admin"])), request_body = CreateOrganisationRequest,
    responses((status = 201, description = "The organisation was made.", body = OrganisationObject,
        headers(("Location" = String, description = "The organisation's address"))))
)]
async fn create_organisation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<CreateOrganisationRequest>,
) -> Result<Response, Problem> {
    let made = app.create_organisation(&caller, &request.name, request.owner.as_deref()).await?;
    let location = format!("{PATH}/{}", made.organisation.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(object(made))).into_response())
}

/// Which organisations are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListOrganisations {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists organisations, newest first, those that are switched off too.
///
/// For those who run the platform.
#[utoipa::path(
    get, path = "/organisations", tag = "organisations",
    security(("api_key" = ["admin"])), params(ListOrganisations),
    responses((status = 200, description = "A page of organisations.", body = List<OrganisationObject>))
)]
async fn list_organisations(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListOrganisations>,
) -> Result<axum::Json<List<OrganisationObject>>, Problem> {
    let page = Page::<OrgId>::parse(query.limit, query.cursor.as_deref())?;
    let found = app.organisations(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(found, |listed| listed.organisation.id.to_string(), object)))
}

/// An organisation.
///
/// For those who run the platform; `GET /organisation` is the key's own.
#[utoipa::path(
    get, path = "/organisations/{id}", tag = "organisations",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, description = "The organisation.", body = OrganisationObject))
)]
async fn get_organisation_of_platform(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<OrgId>,
) -> Result<axum::Json<OrganisationObject>, Problem> {
    Ok(axum::Json(object(app.organisation_of(&caller, id).await?)))
}

/// Another name for an organisation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NameOrganisationRequest {
    /// 1 to 100 characters.
    #[schema(example = "Acme", min_length = 1, max_length = 100)]
    name: String,
}

/// Gives an organisation another name.
///
/// For those who run the platform.
#[utoipa::path(
    patch, path = "/organisations/{id}", tag = "organisations",
    security(("api_key" = ["admin"])), request_body = NameOrganisationRequest,
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, description = "The organisation, renamed.", body = OrganisationObject))
)]
async fn name_organisation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<OrgId>,
    Json(request): Json<NameOrganisationRequest>,
) -> Result<axum::Json<OrganisationObject>, Problem> {
    Ok(axum::Json(object(app.name_organisation(&caller, id, &request.name).await?)))
}

/// Switches an organisation off.
///
/// Its keys and its people are refused from then on, with `ORGANISATION_DISABLED`; root keys are not. What is in its queue
/// is still sent, and its domains stay watched. The one that the platform began with stays on.
#[utoipa::path(
    post, path = "/organisations/{id}/disable", tag = "organisations",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, description = "The organisation, switched off.", body = OrganisationObject))
)]
async fn disable_organisation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<OrgId>,
    NoFields: NoFields,
) -> Result<axum::Json<OrganisationObject>, Problem> {
    Ok(axum::Json(object(app.switch_organisation_off(&caller, id, true).await?)))
}

/// Switches an organisation on again.
#[utoipa::path(
    post, path = "/organisations/{id}/enable", tag = "organisations",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 200, description = "The organisation, switched on.", body = OrganisationObject))
)]
async fn enable_organisation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<OrgId>,
    NoFields: NoFields,
) -> Result<axum::Json<OrganisationObject>, Problem> {
    Ok(axum::Json(object(app.switch_organisation_off(&caller, id, false).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_organisations_is_at_them() {
        for path in [PATH, "/api/v1/organisations/{id}", "/api/v1/organisations/{id}/disable"] {
            assert!(is_at(path), "{path}");
        }
        for path in ["", "/api/v1/organisation", "/api/v1/organisationsx", "/api/v1/domains"] {
            assert!(!is_at(path), "{path}");
        }
    }
}
