//! `/events`: what happened, to poll.

use crate::{
    auth::Authenticated,
    extract::Query,
    list,
    problem::{Problem, ProblemDocument},
};
use app::{App, events::After, store::NumberedEvent};
use axum::extract::State;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_events))
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventObject {
    /// Always `event`.
    #[schema(example = "event")]
    object: &'static str,
    /// Its id, the same however often the event is told.
    #[schema(example = "evt_01JD0000000000000000000000")]
    id: String,
    /// What happened. Open: there may be more.
    #[serde(rename = "type")]
    #[schema(example = "domain.verified")]
    event_type: String,
    /// The id of the thing that it is about.
    #[schema(example = "dom_01JD0000000000000000000000")]
    subject: String,
    /// The domain that it concerns.
    #[schema(required)]
    domain_id: Option<String>,
    /// The tenant that it concerns.
    #[schema(required)]
    tenant_id: Option<String>,
    /// When it happened.
    created_at: Timestamp,
    /// More about it, by its type.
    #[schema(value_type = Object, example = json!({"domain": "mail.example.com", "status": "verified"}))]
    data: Box<RawValue>,
}

/// The event as callers see it.
pub(crate) fn object(numbered: NumberedEvent) -> EventObject {
    let event = numbered.event;
    EventObject {
        object: "event",
        id: event.id.to_string(),
        event_type: event.event_type,
        subject: event.subject,
        domain_id: numbered.domain_id.map(|id| id.to_string()),
        tenant_id: numbered.tenant_id.map(|id| id.to_string()),
        created_at: event.created_at,
        data: RawValue::from_string(event.data).unwrap_or_default(),
    }
}

/// A part of the feed.
#[derive(Debug, Serialize, ToSchema)]
struct EventList {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    /// Events, oldest first.
    data: Vec<EventObject>,
    /// Whether more are there already.
    has_more: bool,
    /// What to give as `after` next time; there is always one, with an empty list too.
    #[schema(example = "1042")]
    next_cursor: String,
}

/// Which events are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListEvents {
    /// `next_cursor` of the answer before. Without it the list begins with the oldest event that is kept; `latest` gives
    /// an empty list with the cursor of now.
    after: Option<String>,
    /// Only these types, with commas between them; `domain.*` is every type that begins so.
    #[param(example = "domain.verified,email.*")]
    types: Option<String>,
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// Lists what happened, oldest first.
///
/// Poll it: give `next_cursor` as `after`, and you get each event once, in the order in which they became visible, and
/// miss none. Events are kept for a time (90 days unless the operator says otherwise); a cursor from before is refused with
/// 410. An event is there a moment after its change, not necessarily with the next request. A key that is bound to a
/// tenant, or a request that names one, sees the tenant's; one with `allowed_domain_ids` sees those of its domains.
#[utoipa::path(
    get, path = "/events", tag = "events",
    security(("api_key" = ["read:events"])), params(ListEvents),
    responses(
        (status = 200, description = "A part of the feed.", body = EventList),
        (status = 410, description = "Events behind the cursor are kept no more. Code: `EVENTS_GONE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is wrong, or the cursor is of another instance. Code: `INVALID_REQUEST`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn list_events(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListEvents>,
) -> Result<axum::Json<EventList>, Problem> {
    let limit = list::checked_limit(query.limit)?;
    let after = match query.after.as_deref() {
        None => After::Start,
        Some("latest") => After::Latest,
        Some(text) => After::Number(text.parse().map_err(|_| {
            Problem::field("after", "is not a cursor of this list; take next_cursor of the answer before")
        })?),
    };
    let types: Vec<String> =
        query.types.iter().flat_map(|words| words.split(',')).map(str::to_owned).collect();
    let feed = app.events(&caller, after, &types, limit).await?;
    Ok(axum::Json(EventList {
        object: "list",
        data: feed.events.into_iter().map(object).collect(),
        has_more: feed.has_more,
        next_cursor: feed.next.to_string(),
    }))
}
