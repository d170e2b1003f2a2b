//! `/domains/{id}/keys`: the DKIM keys of a domain: list, rotate, bring along, discard.

use crate::{
    auth::Authenticated,
    domain_object::DomainObject,
    extract::{Id, Json, MaybeJson, NoFields},
    list::List,
    problem::{Problem, ProblemDocument},
};
use app::{
    App, Secret,
    key_rotation::{ImportKey, KeyAtDomain},
    store::KeyState,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use model::{DomainId, DomainName, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_domain_keys, import_domain_key))
        .routes(routes!(rotate_domain_keys))
        .routes(routes!(discard_domain_key))
}

/// A DKIM key of a domain.
#[derive(Debug, Serialize, ToSchema)]
struct DomainKey {
    /// Always `domain_key`.
    #[schema(example = "domain_key")]
    object: &'static str,
    /// Its selector at the domain, as the signatures name it.
    #[schema(example = "abcdefghijklmnopqrstuvwx")]
    selector: String,
    /// `active`: it signs; `standby`: it signs after a rotation; `draining`: it is published for mail that it has signed;
    /// `removable`: it is gone, and its TXT record may be removed from the domain's DNS. Open: there may be more.
    #[schema(example = "active")]
    state: &'static str,
    /// The name of its TXT record, where the domain's own DNS has the key; null behind an alias.
    #[schema(required, value_type = Option<String>, example = "s1._domainkey.mail.example.com")]
    txt_record: Option<DomainName>,
    /// When it was made, or brought along.
    created_at: Timestamp,
    /// Until when it stays published, where it drains; since when its record may be removed, where that is so.
    #[schema(required)]
    retire_at: Option<Timestamp>,
}

/// The DKIM keys of a domain.
///
/// In the order of their records. Keys whose records may be removed come last, for 30 days.
#[utoipa::path(
    get, path = "/domains/{id}/keys", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The keys.", body = List<DomainKey>))
)]
async fn list_domain_keys(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<axum::Json<List<DomainKey>>, Problem> {
    let (name, keys, gone) = app.domain_keys(&caller, id).await?;
    let there = keys.into_iter().map(|KeyAtDomain { key, selector, txt_record }| DomainKey {
        object: "domain_key",
        txt_record,
        selector,
        state: key.state.as_str(),
        created_at: key.created_at,
        // That of one that signs says only that it goes as soon as another one does.
        retire_at: key.retire_at.filter(|_| key.state == KeyState::Draining),
    });
    let gone = gone.into_iter().map(|key| DomainKey {
        object: "domain_key",
        txt_record: name.prepend(&format!("{}._domainkey", key.selector)).ok(),
        selector: key.selector,
        state: "removable",
        created_at: key.created_at,
        retire_at: Some(key.since),
    });
    Ok(axum::Json(List::whole(there.chain(gone).collect())))
}

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateDomainKeysRequest {
    /// Whether somebody else may have a private key. The key that signs is taken away then as soon as another one signs, and
    /// those that signed before at once, in place of staying for 7 days: mail that they have signed and that is still on its
    /// way does not pass any more.
    #[serde(default)]
    compromised: bool,
}

/// Rotates the DKIM keys of a domain.
///
/// Behind aliases the next key that stands by signs from now on. The one before stays published for 7 days, for mail that it
/// has signed; then a new key takes its place behind the same record. Nothing changes in the domain's own DNS.
///
/// Where the domain's DNS has the keys themselves, as TXT records, a new key is prepared: the answer has one record more,
/// to be added. When our checks see it, it signs (`domain.key_rotated`); the record before stays for 7 days and may then be
/// removed (`domain.key_removable`). Asked again before, this answers the same; discarding the new key takes it back.
#[utoipa::path(
    post, path = "/domains/{id}/keys/rotate", tag = "domains",
    security(("api_key" = ["write:domains"])), request_body = Option<RotateDomainKeysRequest>,
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 200, description = "The domain.", body = DomainObject),
        (status = 409, description = "There is no key to go on with: `KEYS_NOT_ROTATABLE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn rotate_domain_keys(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    MaybeJson(request): MaybeJson<RotateDomainKeysRequest>,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.rotate_domain_keys(&caller, id, request.compromised).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}

/// A key to bring along.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportDomainKeyRequest {
    /// The selector at which it is, or will be, published as TXT.
    #[schema(max_length = 63, example = "s1")]
    selector: String,
    /// The private key in PEM, not encrypted: RSA with 2,048 to 4,096 bits, as PKCS #8 or PKCS #1. It is never shown again.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String, example = "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n")]
    private_key: Secret,
}

/// What is wrong with it is said without what was given.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(Secret::new(text)),
        _ => Err(serde::de::Error::custom("private_key: give a text, the key in PEM")),
    }
}

/// Brings a DKIM key along.
///
/// For a domain that moves here with its key: its record stays as it is. The key signs as soon as our checks see its public
/// part at the selector, be it at once; until then the answer has the record to add. A later rotation goes on to the keys of
/// the profile.
#[utoipa::path(
    post, path = "/domains/{id}/keys", tag = "domains",
    security(("api_key" = ["admin"])), request_body = ImportDomainKeyRequest,
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 201, description = "The domain, freshly checked.", body = DomainObject),
        (status = 409, description = "Another key waits to be published (discard it first), or the domain's profile has no place \
            for such a key: `KEYS_NOT_ROTATABLE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The selector or the key is none, or is that of another key of the domain.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn import_domain_key(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Json(request): Json<ImportDomainKeyRequest>,
) -> Result<Response, Problem> {
    let key = ImportKey { selector: request.selector, private_key: request.private_key };
    let view = app.import_domain_key(&caller, id, &key).await?;
    Ok((StatusCode::CREATED, axum::Json(DomainObject::new(&view, app.now()))).into_response())
}

/// Discards the DKIM key that waits to be published.
///
/// For a rotation that was begun and is not wanted any more, and for a key that was brought along. One that signs or has
/// signed stays.
#[utoipa::path(
    post, path = "/domains/{id}/keys/discard", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 200, description = "The domain, freshly checked.", body = DomainObject),
        (status = 409, description = "No key waits to be published: `KEYS_NOT_ROTATABLE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn discard_domain_key(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    NoFields: NoFields,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.discard_key_beside(&caller, id).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}
