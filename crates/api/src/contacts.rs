//! `/contacts`: whom to write to before sending from a domain stops.

use crate::{
    auth::Authenticated,
    extract::{Id, Json, NoFields, Query},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{App, contacts::AddContact, store::Contact};
use axum::{extract::State, http::StatusCode};
use model::{ContactId, DomainId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_contacts, add_contact))
        .routes(routes!(delete_contact))
        .routes(routes!(ask_contact_again))
}

/// Somebody to write to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
struct ContactObject {
    /// Always `contact`.
    #[schema(example = "contact")]
    object: &'static str,
    /// Its id.
    #[schema(example = "ctc_01JD0000000000000000000000")]
    id: String,
    /// The address.
    #[schema(example = "dns@example.com")]
    address: String,
    /// The tenant whose domains it is for; null for the whole organisation.
    #[schema(required)]
    tenant_id: Option<String>,
    /// The one domain that it is for; null for all.
    #[schema(required)]
    domain_id: Option<String>,
    /// When it was added.
    created_at: Timestamp,
    /// When whoever reads the address confirmed it; until then it gets no alerts. Members need not.
    #[schema(required)]
    confirmed_at: Option<Timestamp>,
}

fn object(contact: &Contact) -> ContactObject {
    ContactObject {
        object: "contact",
        id: contact.id.to_string(),
        address: contact.address.to_string(),
        tenant_id: contact.tenant_id.map(|id| id.to_string()),
        domain_id: contact.domain_id.map(|id| id.to_string()),
        created_at: contact.created_at,
        confirmed_at: contact.confirmed_at,
    }
}

/// A contact to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddContactRequest {
    /// The address.
    #[schema(example = "dns@example.com")]
    address: String,
    /// For the domains of this tenant.
    #[schema(value_type = Option<String>, example = "tnt_01JD0000000000000000000000")]
    tenant_id: Option<TenantId>,
    /// For this domain alone.
    #[schema(value_type = Option<String>, example = "dom_01JD0000000000000000000000")]
    domain_id: Option<DomainId>,
}

/// Adds somebody to write to about domains.
///
/// They get a mail when a verified domain breaks (what broke, what to publish, when sending stops), before it stops,
/// when it has stopped, and when it is mended. An address that is no member's gets one mail first, with a link to confirm that
/// it wants them; where no contact is confirmed, the owners of the organisation get them. An address gets one such mail in 24
/// hours and an organisation sends 20: then 429 `RATE_LIMITED`. Without `tenant_id` and `domain_id` it is for all domains.
#[utoipa::path(
    post, path = "/contacts", tag = "domains",
    security(("api_key" = ["write:domains"])), request_body = AddContactRequest,
    responses(
        (status = 201, description = "The contact was added.", body = ContactObject),
        (status = 404, description = "There is no such domain. Code: `DOMAIN_NOT_FOUND`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn add_contact(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<AddContactRequest>,
) -> Result<(StatusCode, axum::Json<ContactObject>), Problem> {
    let add =
        AddContact { address: request.address, tenant_id: request.tenant_id, domain_id: request.domain_id };
    Ok((StatusCode::CREATED, axum::Json(object(&app.add_contact(&caller, &add).await?))))
}

/// Which contacts are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListContacts {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists contacts, newest first.
#[utoipa::path(
    get, path = "/contacts", tag = "domains",
    security(("api_key" = ["read:domains"])), params(ListContacts),
    responses((status = 200, description = "A page of contacts.", body = List<ContactObject>))
)]
async fn list_contacts(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListContacts>,
) -> Result<axum::Json<List<ContactObject>>, Problem> {
    let page = Page::<ContactId>::parse(query.limit, query.cursor.as_deref())?;
    let contacts = app.contacts(&caller, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(contacts, |contact| contact.id.to_string(), |contact| object(&contact))))
}

/// Asks a contact for the confirmation again.
///
/// One that is not confirmed gets another mail with another link, and the link in the mail before ends. An address gets one
/// such mail in 24 hours, whoever asks, and 20 are sent for one organisation: then 429 `RATE_LIMITED`, and `Retry-After` says
/// when there may be one again. One that is confirmed stays so, and gets none.
#[utoipa::path(
    post, path = "/contacts/{id}/resend", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The contact's id")),
    responses(
        (status = 200, description = "The contact.", body = ContactObject),
        (status = 422, description = "The body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn ask_contact_again(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ContactId>,
    NoFields: NoFields,
) -> Result<axum::Json<ContactObject>, Problem> {
    Ok(axum::Json(object(&app.ask_contact_again(&caller, id).await?)))
}

/// A contact that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedContact {
    /// Always `contact`.
    #[schema(example = "contact")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
}

/// Takes a contact out.
#[utoipa::path(
    delete, path = "/contacts/{id}", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The contact's id")),
    responses((status = 200, description = "The contact is gone.", body = DeletedContact))
)]
async fn delete_contact(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ContactId>,
) -> Result<axum::Json<DeletedContact>, Problem> {
    app.delete_contact(&caller, id).await?;
    Ok(axum::Json(DeletedContact { object: "contact", id: id.to_string(), deleted: true }))
}
