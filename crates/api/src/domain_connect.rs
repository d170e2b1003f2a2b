//! `/domains/{id}/domain-connect`, `/profiles/{id}/template`: records applied by the customer's DNS host, with a link.

use crate::{auth::Authenticated, extract::Id, problem::Problem};
use app::{
    App,
    domain_connect::{Back, ConnectLink},
};
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use model::{DomainId, Timestamp};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(connect_domain)).routes(routes!(profile_template))
}

/// A link to the DNS host of a domain, which applies our template there once its customer says yes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DomainConnectLink)]
struct ConnectObject {
    /// Always `domain_connect_link`.
    #[schema(example = "domain_connect_link")]
    object: &'static str,
    /// The domain.
    #[schema(example = "dom_01JD0000000000000000000000")]
    domain_id: String,
    /// Where to send the browser of whoever runs the zone. They log in at their DNS host, see what changes, and come back.
    url: String,
    /// The zone at the DNS host.
    #[schema(example = "example.com")]
    zone: String,
    /// What stands before it in the domain's name; empty where the domain is the zone.
    #[schema(example = "mail")]
    host: String,
    /// The DNS host.
    dns_host: ConnectHost,
    /// The template.
    template: ConnectTemplate,
    /// Which groups of it are applied: all, but for one with a DMARC policy where there may be another one already.
    #[schema(example = json!(["dkim", "spf"]))]
    groups: Vec<String>,
    /// The names of records that are not right and that the link leaves alone: they are to be entered by hand.
    by_hand: Vec<String>,
    /// Until when a browser that comes back is known.
    good_until: Timestamp,
}

/// The DNS host that a link leads to, as it calls itself.
#[derive(Debug, Serialize, ToSchema)]
struct ConnectHost {
    /// Its id.
    #[schema(example = "host.example")]
    provider_id: String,
    /// Its name.
    #[schema(example = "Example Host")]
    name: String,
    /// The page of the zone in its panel; null where it told none.
    #[schema(required)]
    control_panel: Option<String>,
}

/// A template that a DNS host has taken in.
#[derive(Debug, Serialize, ToSchema)]
struct ConnectTemplate {
    /// Whose it is.
    #[schema(example = "example.net")]
    provider_id: String,
    /// Which of theirs.
    #[schema(example = "three-cname")]
    service_id: String,
}

fn object(id: DomainId, link: ConnectLink) -> ConnectObject {
    ConnectObject {
        object: "domain_connect_link",
        domain_id: id.to_string(),
        url: link.url,
        zone: link.zone.to_string(),
        host: link.host,
        dns_host: ConnectHost {
            provider_id: link.host_id,
            name: link.host_name,
            control_panel: link.control_panel,
        },
        template: ConnectTemplate { provider_id: link.template.provider, service_id: link.template.service },
        groups: link.groups,
        by_hand: link.by_hand,
        good_until: link.good_until,
    }
}

/// Makes a link by which the DNS host applies the missing records (Domain Connect).
///
/// The domain is checked, its DNS host is found and asked whether it knows our template. Nothing is written by this: whoever
/// runs the zone opens the link, logs in at the DNS host and agrees. Coming back proves nothing; the domain is checked then.
#[utoipa::path(
    post, path = "/domains/{id}/domain-connect", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The link.", body = ConnectObject))
)]
async fn connect_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<axum::Json<ConnectObject>, Problem> {
    let link = app.connect_domain(&caller, id, Back::Dashboard).await?;
    Ok(axum::Json(object(id, link)))
}

/// Gives a profile as a Domain Connect template: the file that DNS hosts take in. Profiles of delegated zones have none.
#[utoipa::path(
    get, path = "/profiles/{id}/template", tag = "profiles",
    security(("api_key" = [])),
    params(("id" = String, Path, description = "The profile's name")),
    responses((status = 200, description = "The file; its name is in `Content-Disposition`.", body = Object, content_type = "application/json"))
)]
async fn profile_template(
    State(app): State<Arc<App>>,
    _: Authenticated,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let settings = app.settings();
    // A text that is none names nothing.
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let no_such = || app::Error::NotFound { noun: "profile", id: name.chars().take(80).collect() };
    let profile = settings.profile(&name).ok_or_else(no_such)?;
    let (file, text) = settings.template(profile).ok_or_else(no_such)?;
    // Ids are letters, digits, dots and dashes.
    let disposition = format!("attachment; filename=\"{file}\"");
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    // What every JSON answer ends with is added where all of them pass.
    Ok((headers, text.trim_end().to_owned()).into_response())
}
