//! `/audit`: who changed what.

use crate::{
    auth::Authenticated,
    extract::Query,
    list::{List, Page},
    problem::Problem,
};
use app::{
    App,
    store::{AuditEntry, AuditFilter},
};
use axum::extract::State;
use model::{AuditId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
struct AuditActor {
    /// `key`, `user`, `system`: the platform itself, or whoever stands at its machine; `visitor`: somebody who is not logged
    /// in. Open.
    #[serde(rename = "type")]
    #[schema(example = "key")]
    kind: String,
    /// The key or the user.
    #[schema(required, example = "key_01JD0000000000000000000000")]
    id: Option<String>,
}

/// A line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditObject {
    /// Always `audit_entry`.
    #[schema(example = "audit_entry")]
    object: &'static str,
    /// Its id.
    #[schema(example = "aud_01JD0000000000000000000000")]
    id: String,
    /// When it was done.
    created_at: Timestamp,
    /// Who did it.
    actor: AuditActor,
    /// The client's address.
    #[schema(required, example = "192.0.2.7")]
    address: Option<String>,
    /// The request in which it was done: its answer had this `X-Request-Id`.
    #[schema(required, example = "req_01JD0000000000000000000000")]
    request_id: Option<String>,
    /// What was done. Open.
    #[schema(example = "key.revoked")]
    action: String,
    /// The id of the thing that it was done to.
    #[schema(example = "key_01JD0000000000000000000000")]
    subject: String,
    /// The tenant that the caller was limited to.
    #[schema(required)]
    tenant_id: Option<String>,
    /// What there is to say of it: names, and the values that were set. Never a secret.
    #[schema(value_type = Object, example = json!({"name": "billing service"}))]
    data: serde_json::Value,
}

fn object(entry: AuditEntry) -> AuditObject {
    AuditObject {
        object: "audit_entry",
        id: entry.id.to_string(),
        created_at: entry.at,
        actor: AuditActor { kind: entry.actor_kind, id: entry.actor_id },
        address: entry.address,
        request_id: entry.request_id,
        action: entry.action,
        subject: entry.subject,
        tenant_id: entry.tenant_id.map(|id| id.to_string()),
        data: serde_json::from_str(&entry.data).unwrap_or_default(),
    }
}

/// Which lines are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListAudit {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only what was done to the thing with this id.
    #[param(example = "dom_01JD0000000000000000000000")]
    subject: Option<String>,
    /// Only what the key or user with this id did.
    #[param(example = "key_01JD0000000000000000000000")]
    actor: Option<String>,
}

/// Lists who changed what, newest first.
///
/// Each change has its line from the moment it is made. Mail and checks have none: a message names the key that sent it.
/// Of the whole organisation: keys that are limited to a tenant or to domains are refused.
#[utoipa::path(
    get, path = "/audit", tag = "audit",
    security(("api_key" = ["read:audit"])), params(ListAudit),
    responses((status = 200, description = "A page of the log.", body = List<AuditObject>))
)]
async fn list_audit(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListAudit>,
) -> Result<axum::Json<List<AuditObject>>, Problem> {
    let page = Page::<AuditId>::parse(query.limit, query.cursor.as_deref())?;
    let filter = AuditFilter { subject: query.subject, actor_id: query.actor };
    let entries = app.audit_log(&caller, &filter, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(entries, |entry| entry.id.to_string(), object)))
}
