//! `/domains/{id}/setup-links`: pages for whoever runs a domain's DNS and has no account here.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, Query},
    list::{List, Page},
    problem::Problem,
};
use app::{App, store::SetupLink};
use axum::{extract::State, http::StatusCode};
use model::{DomainId, SetupLinkId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_setup_links, make_setup_link)).routes(routes!(delete_setup_link))
}

/// A page for whoever runs the DNS of a domain: the records, steps for its DNS host, and what is seen of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetupLink)]
struct SetupLinkObject {
    /// Always `setup_link`.
    #[schema(example = "setup_link")]
    object: &'static str,
    /// Its id.
    #[schema(example = "lnk_01JD0000000000000000000000")]
    id: String,
    /// The domain that it is for.
    #[schema(example = "dom_01JD0000000000000000000000")]
    domain_id: String,
    /// The address to hand on. It is told once, when the link is made: whoever has it sees the page without an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://mail.example.com/setup/2b0c…")]
    url: Option<String>,
    /// What was written beside it.
    #[schema(required, example = "for the web agency")]
    note: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// Until when it is good.
    expires_at: Timestamp,
    /// When it was opened first.
    #[schema(required)]
    opened_at: Option<Timestamp>,
    /// Whether whoever opens it may have the records written at the DNS host, with a credential of their own.
    may_publish: bool,
}

fn object(link: &SetupLink, url: Option<String>) -> SetupLinkObject {
    SetupLinkObject {
        object: "setup_link",
        id: link.id.to_string(),
        domain_id: link.domain_id.to_string(),
        url,
        note: link.note.clone(),
        created_at: link.created_at,
        expires_at: link.expires_at,
        opened_at: link.opened_at,
        may_publish: link.may_publish,
    }
}

/// A link to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeSetupLinkRequest {
    /// For how many days it is good: 1 to 30, 7 where it is not said.
    #[schema(minimum = 1, maximum = 30, example = 7)]
    expires_in_days: Option<u32>,
    /// Whom it is for, to tell links apart; at most 200 characters. Whoever opens the link does not see it.
    #[schema(max_length = 200, example = "for the web agency")]
    note: Option<String>,
    /// Whether whoever opens it may have the records written at the DNS host, with a credential that they give and that is
    /// used once. Needs `write:dns` too.
    #[serde(default)]
    may_publish: bool,
}

/// Makes a link to a page that sets a domain up.
///
/// The page needs no account: it shows the domain's records with copy fields, the steps at its DNS host, and ticks each record
/// when it is seen. Nothing else of yours is on it. A domain has at most 20 good links.
#[utoipa::path(
    post, path = "/domains/{id}/setup-links", tag = "domains",
    security(("api_key" = ["write:domains"])), request_body = MakeSetupLinkRequest,
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 201, description = "The link, with its address.", body = SetupLinkObject))
)]
async fn make_setup_link(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Json(request): Json<MakeSetupLinkRequest>,
) -> Result<(StatusCode, axum::Json<SetupLinkObject>), Problem> {
    let made = app
        .make_setup_link(&caller, id, request.expires_in_days, request.note.as_deref(), request.may_publish)
        .await?;
    Ok((StatusCode::CREATED, axum::Json(object(&made.link, Some(made.url)))))
}

/// Which links are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListSetupLinks {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the good setup links of a domain, newest first. Their addresses are not told again.
#[utoipa::path(
    get, path = "/domains/{id}/setup-links", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id"), ListSetupLinks),
    responses((status = 200, description = "A page of links.", body = List<SetupLinkObject>))
)]
async fn list_setup_links(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Query(query): Query<ListSetupLinks>,
) -> Result<axum::Json<List<SetupLinkObject>>, Problem> {
    let page = Page::<SetupLinkId>::parse(query.limit, query.cursor.as_deref())?;
    let links = app.setup_links(&caller, id, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(links, |link| link.id.to_string(), |link| object(&link, None))))
}

/// A link that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedSetupLink {
    /// Always `setup_link`.
    #[schema(example = "setup_link")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
}

/// Takes a setup link back: whoever opens it is told that it is over.
#[utoipa::path(
    delete, path = "/setup-links/{id}", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The link's id")),
    responses((status = 200, description = "The link is gone.", body = DeletedSetupLink))
)]
async fn delete_setup_link(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<SetupLinkId>,
) -> Result<axum::Json<DeletedSetupLink>, Problem> {
    app.delete_setup_link(&caller, id).await?;
    Ok(axum::Json(DeletedSetupLink { object: "setup_link", id: id.to_string(), deleted: true }))
}
