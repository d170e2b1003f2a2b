//! `/domains/{id}/change-sets` and `/change-sets`: records written at the DNS host, planned, shown, applied, taken back.

use crate::{
    auth::Authenticated,
    dns_connections::Repair,
    extract::{Id, Json, Query},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{
    App, Secret,
    change_sets::{ChangeSetView, Credential, PlanChanges, Stop},
    dns_connections::Keep,
    publish::{Action, Blocked, Step, Why, ZoneRecord},
    store::{ChangePurpose, ChangeState},
};
use axum::{extract::State, http::StatusCode};
use explain::render::{blocked_reason, change_summary, change_text};
use model::{ChangeSetId, ConnectionId, DomainId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_change_sets, plan_change_set))
        .routes(routes!(get_change_set))
        .routes(routes!(apply_change_set))
        .routes(routes!(undo_change_set))
}

/// A step of a change set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeStep)]
struct StepObject {
    /// Its number within the change set.
    id: u16,
    /// The planned record it is for, as in the domain's records; `left_over` for a record that nothing asks for any more.
    #[schema(example = "dkim-1")]
    key: String,
    /// `add`, `replace` or `remove`.
    #[schema(example = "add")]
    action: &'static str,
    /// Why a record is replaced: `ours` (we wrote the old one), `spf_merge`, `spf_join`, `spf_unmerge` (of your SPF record
    /// only our part changes), `unproxy`, `undo`; null where nothing is. Open.
    #[schema(required, value_type = Option<String>)]
    why: Option<Why>,
    /// The record's type.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    record_type: String,
    /// The whole name.
    #[schema(example = "tok._domainkey.mail.example.com")]
    name: String,
    /// The value that is there.
    #[schema(required)]
    old: Option<String>,
    /// The value that will be there.
    #[schema(required)]
    new: Option<String>,
    /// The TTL that will be there, in seconds.
    #[schema(required)]
    ttl: Option<u32>,
    /// Whether it is written.
    done: bool,
}

/// A record that cannot be written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BlockedChange)]
struct BlockedObject {
    /// The planned record.
    #[schema(example = "return_path")]
    key: String,
    /// Where.
    #[schema(example = "bounce.mail.example.com")]
    name: String,
    /// Whether the domain is verified only with it.
    essential: bool,
    /// Why, as a word: `alias_there`, `data_beside_alias`, `other_key`, `other_exchanger`, `other_text`, `opaque`,
    /// `proxied_by_others`, `delegated`, `spf_several`, `spf_too_many_lookups`, `policy_broken`, `host_cannot`,
    /// `changed_since`, `not_listed`. Open.
    #[schema(example = "alias_there")]
    reason: String,
    /// Why, and what to do, for people.
    message: &'static str,
    /// What is in its way.
    by: Vec<FoundObject>,
}

/// A record at a DNS host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundRecord)]
struct FoundObject {
    /// The type.
    #[serde(rename = "type")]
    #[schema(example = "CNAME")]
    record_type: String,
    /// The whole name.
    name: String,
    /// The value.
    value: String,
}

/// Why a change set went no further.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeSetError)]
struct ErrorObject {
    /// The code; `/docs/errors` lists them.
    #[schema(example = "HOST_ACCESS_MISSING")]
    code: &'static str,
    /// What happened, and what to do.
    message: String,
    /// With `ZONE_CHANGED`: records that are there and were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    new: Vec<FoundObject>,
    /// With `ZONE_CHANGED`: records that were there and are not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<FoundObject>,
}

/// Changes at a DNS host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeSet)]
struct ChangeSetObject {
    /// Always `change_set`.
    #[schema(example = "change_set")]
    object: &'static str,
    /// Its id.
    #[schema(example = "chg_01JD0000000000000000000000")]
    id: String,
    /// The domain.
    domain_id: String,
    /// `setup`, `cleanup`, `undo` or `repair`. Open.
    #[schema(value_type = String, example = "setup")]
    purpose: ChangePurpose,
    /// The change set that this one takes back.
    #[schema(required)]
    undoes: Option<String>,
    /// The DNS host.
    #[schema(example = "cloudflare")]
    host: String,
    /// The zone.
    #[schema(example = "example.com")]
    zone: String,
    /// The kept credential that it was planned with.
    #[schema(required)]
    connection_id: Option<String>,
    /// `planned`, `applying`, `applied`, `partial` (some steps are written: apply it again to go on), `refused` (nothing is
    /// written), `unknown` (apply it again: it looks first) or `undone`. Open.
    #[schema(value_type = String, example = "planned")]
    state: ChangeState,
    /// In a sentence.
    #[schema(example = "5 changes in example.com; 1 record cannot be written.")]
    summary: String,
    /// The difference as text, to be shown to whoever decides.
    diff: String,
    /// What is changed.
    steps: Vec<StepObject>,
    /// What cannot be written. Nothing that others wrote is removed for it.
    blocked: Vec<BlockedObject>,
    /// The planned records that are there already.
    settled: Vec<String>,
    /// Why it went no further.
    #[schema(required)]
    error: Option<ErrorObject>,
    /// When it was planned.
    created_at: Timestamp,
    /// Until when it may be applied.
    expires_at: Timestamp,
    /// When all of it was written.
    #[schema(required)]
    applied_at: Option<Timestamp>,
}

fn object(view: &ChangeSetView) -> ChangeSetObject {
    let stored = &view.stored;
    ChangeSetObject {
        object: "change_set",
        id: stored.id.to_string(),
        domain_id: stored.domain_id.to_string(),
        purpose: stored.purpose,
        undoes: stored.undoes.map(|id| id.to_string()),
        host: stored.host.clone(),
        zone: stored.zone.to_string(),
        connection_id: stored.connection_id.map(|id| id.to_string()),
        state: stored.state,
        summary: change_summary(&view.plan),
        diff: change_text(&view.plan),
        steps: view.plan.steps.iter().map(|step| step_object(step, view.done.contains(&step.id))).collect(),
        blocked: view.plan.blocked.iter().map(blocked_object).collect(),
        settled: view.plan.settled.clone(),
        error: view.stop.clone().map(error_object),
        created_at: stored.created_at,
        expires_at: stored.expires_at,
        applied_at: stored.applied_at,
    }
}

fn step_object(step: &Step, done: bool) -> StepObject {
    let (old, new) = (step.action.before(), step.action.after());
    let record_type = new.map(|new| &new.data).or(old.map(|old| &old.record.data));
    let (action, why) = match &step.action {
        Action::Add { .. } => ("add", None),
        Action::Replace { why, .. } => ("replace", Some(*why)),
        Action::Remove { .. } => ("remove", None),
    };
    StepObject {
        id: step.id,
        key: step.key.clone(),
        action,
        why,
        record_type: record_type.map(|data| data.record_type().to_string()).unwrap_or_default(),
        name: step.action.owner().to_string(),
        old: old.map(|old| old.record.data.to_string()),
        new: new.map(|new| new.data.to_string()),
        ttl: new.map(|new| new.ttl),
        done,
    }
}

fn blocked_object(blocked: &Blocked) -> BlockedObject {
    let word = serde_json::to_value(&blocked.reason).unwrap_or_default();
    BlockedObject {
        key: blocked.key.clone(),
        name: blocked.owner.to_string(),
        essential: blocked.essential,
        reason: word["reason"].as_str().unwrap_or_default().to_owned(),
        message: blocked_reason(&blocked.reason),
        by: blocked.by.iter().map(found).collect(),
    }
}

fn found(record: &ZoneRecord) -> FoundObject {
    FoundObject {
        record_type: record.record.data.record_type().to_string(),
        name: record.record.owner.to_string(),
        value: record.record.data.to_string(),
    }
}

fn error_object(stop: Stop) -> ErrorObject {
    let (new, gone) = match &stop {
        Stop::ZoneChanged { difference } => {
            (difference.new.iter().map(found).collect(), difference.gone.iter().map(found).collect())
        }
        Stop::Host { .. } | Stop::Interrupted => Default::default(),
    };
    let problem = Problem::from(app::Error::from(stop));
    ErrorObject { code: problem.code.as_str(), message: problem.detail, new, gone }
}

/// Reads the fields of a credential; what is wrong is said without what was given.
pub(crate) fn fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Secret>, D::Error> {
    const WRONG: &str = "give an object of texts, such as {\"token\": \"…\"}";
    let wrong = || serde::de::Error::custom(WRONG);
    let Value::Object(given) = Value::deserialize(deserializer)? else { return Err(wrong()) };
    let text = |(name, value)| match value {
        Value::String(text) => Ok((name, Secret::new(text))),
        _ => Err(wrong()),
    };
    given.into_iter().map(text).collect()
}

/// What a request opens a host with.
fn credential(
    host: Option<String>,
    fields: BTreeMap<String, Secret>,
    kept: Option<ConnectionId>,
) -> Result<Credential, Problem> {
    match (host, kept) {
        (Some(host), None) => Ok(Credential::Given { host, fields }),
        (None, _) if !fields.is_empty() => {
            Err(Problem::field("host", "is missing; GET /api/v1/dns-hosts lists them"))
        }
        (None, Some(id)) => Ok(Credential::Kept(id)),
        (None, None) => Ok(Credential::AsPlanned),
        (Some(_), Some(_)) => Err(Problem::field("connection_id", "give either this or host and credential")),
    }
}

/// A DNS host and what opens it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanRequest {
    /// The DNS host, as `GET /dns-hosts` names it; in development also `playground`. Left out with `connection_id`.
    #[schema(example = "cloudflare")]
    host: Option<String>,
    /// What the host asks for, such as `{"token": "…"}`. It is used for this request and forgotten, but for `keep`.
    #[serde(default, deserialize_with = "fields")]
    #[schema(value_type = BTreeMap<String, String>)]
    credential: BTreeMap<String, Secret>,
    /// A kept credential in the place of `host` and `credential`.
    #[schema(value_type = Option<String>)]
    connection_id: Option<ConnectionId>,
    /// Whether the credential is kept for this domain, sealed, once the host has shown the zone with it. `GET
    /// /dns-connections` lists what is kept.
    #[serde(default)]
    keep: bool,
    /// With `keep`: what it may be used for by itself.
    repair: Option<Repair>,
    /// `setup` (the default): the records that the domain asks for. `cleanup`: what we wrote for it goes.
    #[schema(value_type = Option<String>, example = "setup")]
    purpose: Option<ChangePurpose>,
    /// Whether to apply it at once; else it is only planned.
    #[serde(default)]
    apply: bool,
}

/// Plans changes at a domain's DNS host.
///
/// One change set for each zone that the domain's records belong to. Only records that we wrote are replaced or removed;
/// what others wrote stays, and is told in `blocked` where it is in the way. The one exception is the SPF record of a name,
/// of which there can be only one: ours is added to it, `old` and `new` show it. With `apply` all of it is written at
/// once, and the domain is verified before this returns where its DNS shows it by then.
#[utoipa::path(
    post, path = "/domains/{id}/change-sets", tag = "dns",
    security(("api_key" = ["write:dns"])),
    params(("id" = String, Path, description = "The domain's id")),
    request_body = PlanRequest,
    responses(
        (status = 201, description = "What was planned; with `apply` what was written too.",
            body = List<ChangeSetObject>),
        (status = 409, description = "The domain was claimed away, or another change of the zone is being written \
            (`CHANGE_SET_NOT_APPLICABLE`).", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn plan_change_set(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Json(request): Json<PlanRequest>,
) -> Result<(StatusCode, axum::Json<List<ChangeSetObject>>), Problem> {
    let purpose = request.purpose.unwrap_or(ChangePurpose::Setup);
    if !matches!(purpose, ChangePurpose::Setup | ChangePurpose::Cleanup) {
        return Err(Problem::field("purpose", "give setup or cleanup; POST …/undo takes a change set back"));
    }
    let keep = match (request.keep, request.repair) {
        (false, Some(_)) => return Err(Problem::field("repair", "goes with keep; give keep: true too")),
        (true, repair) => Some(Keep { label: String::new(), repair: repair.unwrap_or_default().into() }),
        (false, None) => None,
    };
    let credential = credential(request.host, request.credential, request.connection_id)?;
    if keep.is_some() && !matches!(credential, Credential::Given { .. }) {
        return Err(Problem::field(
            "keep",
            "goes with host and credential; what connection_id names is kept",
        ));
    }
    let plan = PlanChanges { credential, purpose, apply: request.apply, keep };
    let sets = app.plan_changes(&caller, id, &plan).await?;
    Ok((StatusCode::CREATED, axum::Json(List::whole(sets.iter().map(object).collect()))))
}

/// Which change sets are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListChangeSets {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the change sets of a domain, newest first.
#[utoipa::path(
    get, path = "/domains/{id}/change-sets", tag = "dns",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id"), ListChangeSets),
    responses((status = 200, description = "A page of change sets.", body = List<ChangeSetObject>))
)]
async fn list_change_sets(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Query(query): Query<ListChangeSets>,
) -> Result<axum::Json<List<ChangeSetObject>>, Problem> {
    let page = Page::<ChangeSetId>::parse(query.limit, query.cursor.as_deref())?;
    let sets = app.change_sets(&caller, id, page.after, page.fetch()).await?;
    Ok(axum::Json(page.list(sets, |set| set.stored.id.to_string(), |set| object(&set))))
}

/// Shows a change set.
#[utoipa::path(
    get, path = "/change-sets/{id}", tag = "dns",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The change set's id")),
    responses((status = 200, description = "The change set.", body = ChangeSetObject))
)]
async fn get_change_set(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ChangeSetId>,
) -> Result<axum::Json<ChangeSetObject>, Problem> {
    Ok(axum::Json(object(&app.change_set(&caller, id).await?)))
}

/// What opens the DNS host.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApplyRequest {
    /// The DNS host that it was planned for. Left out with a kept credential.
    #[schema(example = "cloudflare")]
    host: Option<String>,
    /// What the host asks for. It is used for this request and forgotten.
    #[serde(default, deserialize_with = "fields")]
    #[schema(value_type = BTreeMap<String, String>)]
    credential: BTreeMap<String, Secret>,
    /// A kept credential; without one and without `host` it is the one that the change set was planned with.
    #[schema(value_type = Option<String>)]
    connection_id: Option<ConnectionId>,
}

/// Applies a change set.
///
/// The zone is compared first: where somebody else wrote at the names concerned since it was planned, nothing is written
/// and the answer is `ZONE_CHANGED`. One that was cut off half way goes on; one that is applied stays as it is. Where the
/// host takes longer than 20 seconds the answer is 202, and the writing goes on.
#[utoipa::path(
    post, path = "/change-sets/{id}/apply", tag = "dns",
    security(("api_key" = ["write:dns"])),
    params(("id" = String, Path, description = "The change set's id")),
    request_body = ApplyRequest,
    responses(
        (status = 200, description = "How far it came; see `state`.", body = ChangeSetObject),
        (status = 202, description = "It is being written.", body = ChangeSetObject),
        (status = 409, description = "`ZONE_CHANGED`, `CHANGE_SET_NOT_APPLICABLE` or `HOST_CONFLICT`: nothing was \
            written.", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn apply_change_set(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ChangeSetId>,
    Json(request): Json<ApplyRequest>,
) -> Result<(StatusCode, axum::Json<ChangeSetObject>), Problem> {
    let credential = credential(request.host, request.credential, request.connection_id)?;
    let view = app.apply_change_set(&caller, id, &credential).await?;
    let status =
        if view.stored.state == ChangeState::Applying { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, axum::Json(object(&view))))
}

/// What opens the DNS host, and whether to write.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UndoRequest {
    /// The DNS host that it was applied at. Left out with a kept credential.
    #[schema(example = "cloudflare")]
    host: Option<String>,
    /// What the host asks for. It is used for this request and forgotten.
    #[serde(default, deserialize_with = "fields")]
    #[schema(value_type = BTreeMap<String, String>)]
    credential: BTreeMap<String, Secret>,
    /// A kept credential; without one and without `host` it is the one that the change set was planned with.
    #[schema(value_type = Option<String>)]
    connection_id: Option<ConnectionId>,
    /// Whether to apply it at once; else it is only planned.
    #[serde(default)]
    apply: bool,
}

/// Takes a change set back.
///
/// Plans another change set that brings back what was there. What somebody else changed since stays, and is told in
/// `blocked`; of an SPF record that others wrote into since only our part goes.
#[utoipa::path(
    post, path = "/change-sets/{id}/undo", tag = "dns",
    security(("api_key" = ["write:dns"])),
    params(("id" = String, Path, description = "The change set's id")),
    request_body = UndoRequest,
    responses(
        (status = 201, description = "The change set that takes it back.", body = ChangeSetObject),
        (status = 409, description = "`CHANGE_SET_NOT_APPLICABLE`: nothing of it was written, or it was taken back.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn undo_change_set(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<ChangeSetId>,
    Json(request): Json<UndoRequest>,
) -> Result<(StatusCode, axum::Json<ChangeSetObject>), Problem> {
    let credential = credential(request.host, request.credential, request.connection_id)?;
    let view = app.undo_change_set(&caller, id, &credential, request.apply).await?;
    Ok((StatusCode::CREATED, axum::Json(object(&view))))
}
