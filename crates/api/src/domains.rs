//! `/domains`: add, list, look at, verify, delete, and what is known about one.

use crate::{
    auth::Authenticated,
    domain_object::{self, DomainObject, RecordObject},
    extract::{Id, Json, NoFields, Query},
    leftovers::{self, Leftover},
    list::{List, Page},
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    domains::{AddDomain, DomainView},
    exports::Form,
    store::DomainFilter,
};
use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use explain::render::{self, RenderOptions};
use model::{DomainId, DomainName, DomainStatus, EmailAddress, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

const CSV: &str = "text/csv; charset=utf-8; header=present";
const TEXT: &str = "text/plain; charset=utf-8";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_domains, add_domain))
        .routes(routes!(get_domain, update_domain, delete_domain))
        .routes(routes!(verify_domain))
        .routes(routes!(claim_domain))
        .routes(routes!(disable_domain))
        .routes(routes!(enable_domain))
        .routes(routes!(get_domain_records))
        .routes(routes!(get_domain_report))
        .routes(routes!(get_domain_observation))
        .routes(routes!(get_domain_readiness))
}

/// A domain to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddDomainRequest {
    /// The domain that mail will come from.
    #[schema(example = "mail.example.com")]
    domain: Option<String>,
    /// In place of `domain`: a contact address; the part behind its @ is added.
    #[schema(example = "ops@mail.example.com")]
    email: Option<String>,
    /// The profile; the instance's default one without. `GET /api/v1/profiles` lists them.
    #[schema(example = "three-cname")]
    profile: Option<String>,
    /// Whether the domain is to be delegated to us as a zone, which takes NS records and nothing else. The profile is one for
    /// that then.
    #[serde(default)]
    delegated: bool,
    /// The region that will send for it.
    region: Option<String>,
    /// How many days its warm-up takes, at most 90; 0 for none, where the domain has a reputation already.
    #[schema(maximum = 90, default = 14)]
    warmup_days: Option<u32>,
    /// The tenant that it is for; the header `X-Countersign-Tenant-Ref` names it by your own name.
    #[schema(value_type = Option<String>, example = "tnt_01JD0000000000000000000000")]
    tenant_id: Option<TenantId>,
}

impl AddDomainRequest {
    /// The domain to add, and the field it was given in.
    fn wanted(&self) -> Result<(&str, &'static str), Problem> {
        match (&self.domain, &self.email) {
            (Some(domain), None) => Ok((domain, "domain")),
            (None, Some(email)) => match EmailAddress::parse(email.trim()) {
                Ok(_) => Ok((email, "email")),
                Err(error) => Err(Problem::field("email", error.to_string())),
            },
            (Some(_), Some(_)) => Err(Problem::field("email", "give domain or email, not both")),
            (None, None) => {
                Err(Problem::field("domain", "give the domain to add, or a contact address in email"))
            }
        }
    }
}

/// Adds a domain.
///
/// The answer has the records to publish. From then on their DNS is checked by itself, often at first; asking for
/// `verify` checks at once.
#[utoipa::path(
    post, path = "/domains", tag = "domains",
    security(("api_key" = ["write:domains"])), request_body = AddDomainRequest,
    responses(
        (status = 201, description = "The domain was added.", body = DomainObject,
            headers(("Location" = String, description = "The domain's address"))),
        (status = 409, description = "It was added before. Code: `DOMAIN_ALREADY_ADDED`.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn add_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Json(request): Json<AddDomainRequest>,
) -> Result<Response, Problem> {
    let (domain, field) = request.wanted()?;
    let add = AddDomain {
        domain: domain.to_owned(),
        profile: request.profile.clone(),
        delegated: request.delegated,
        region: request.region.clone(),
        warmup_days: request.warmup_days,
        tenant_id: request.tenant_id,
    };
    let view = match app.add_domain(&caller, &add).await {
        Ok(view) => view,
        Err(error) => {
            let domain_id = match &error {
                // Only where this key may see it.
                app::Error::DomainAlreadyAdded(name) => app.domain_id(&caller, name).await.unwrap_or(None),
                _ => None,
            };
            return Err(Problem::from(error).rename_field("domain", field).with_domain(domain_id));
        }
    };
    let location = format!("/api/v1/domains/{}", view.domain.id);
    let body = axum::Json(DomainObject::new(&view, app.now()));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

/// Which domains are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListDomains {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those with this status.
    #[param(value_type = Option<String>, example = "verified")]
    status: Option<String>,
    /// Only those whose name contains this. 5,000 domains are looked at for one page: where there are more, it may have few
    /// or none, and `next_cursor` goes on. For a whole name `domain` is better.
    q: Option<String>,
    /// Only the one with this name, in any writing: the list has that one, or none. Not together with the others.
    #[param(example = "mail.example.com")]
    domain: Option<String>,
}

impl ListDomains {
    fn filter(&self) -> Result<DomainFilter, Problem> {
        let status = match self.status.as_deref() {
            None => None,
            Some(word) => Some(DomainStatus::from_word(word).ok_or_else(|| {
                let known: Vec<_> = DomainStatus::ALL.iter().map(|status| status.as_str()).collect();
                Problem::field("status", format!("is no status; known are {}", known.join(", ")))
            })?),
        };
        let name_contains = self.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if name_contains.is_some_and(|text| text.len() > 253) {
            return Err(Problem::field("q", "is longer than any domain name"));
        }
        // Names are stored in lower case.
        Ok(DomainFilter { status, name_contains: name_contains.map(str::to_lowercase), looked_at: None })
    }
}

/// Lists domains, newest first.
#[utoipa::path(
    get, path = "/domains", tag = "domains",
    security(("api_key" = ["read:domains"])), params(ListDomains),
    responses((status = 200, description = "A page of domains.", body = List<DomainObject>))
)]
async fn list_domains(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListDomains>,
) -> Result<Response, Problem> {
    let page = Page::<DomainId>::parse(query.limit, query.cursor.as_deref())?;
    let now = app.now();
    if let Some(name) = &query.domain {
        if query.cursor.is_some() || query.status.is_some() || query.q.is_some() {
            return Err(Problem::field("domain", "names one domain; leave cursor, status and q out"));
        }
        let name = DomainName::parse(name).map_err(|error| Problem::field("domain", error.to_string()))?;
        let mut found = Vec::new();
        if let Some(id) = app.domain_id(&caller, &name).await? {
            found.push(DomainObject::new(&app.domain(&caller, id).await?, now));
        }
        return Ok(axum::Json(List::whole(found)).into_response());
    }
    let listed = app.domains(&caller, query.filter()?, page.after, page.fetch()).await?;
    let id = |view: &DomainView| view.domain.id.to_string();
    let until = domain_object::same_until(&listed.views, now);
    let mut list = page.list(listed.views, id, |view| DomainObject::new(&view, now));
    if let (None, Some(last)) = (&list.next_cursor, listed.looked_to) {
        list.has_more = true;
        list.next_cursor = Some(last.to_string());
    }
    Ok((until.map(Extension), axum::Json(list)).into_response())
}

/// A domain with its records and findings.
#[utoipa::path(
    get, path = "/domains/{id}", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The domain.", body = DomainObject))
)]
async fn get_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<Response, Problem> {
    // Before the domain is read: where a day begins meanwhile, the answer is of the one before and not kept for this one.
    let now = app.now();
    let view = app.domain(&caller, id).await?;
    let drift = app.drift(&caller, id).await?;
    let until = domain_object::same_until(std::slice::from_ref(&view), now);
    let object = DomainObject::new(&view, now).with_drift(&view, drift);
    Ok((until.map(Extension), axum::Json(object)).into_response())
}

/// What to change of a domain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateDomainRequest {
    /// How many days its warm-up takes, at most 90, counted from the day on which it was first verified; 0 for none.
    #[schema(maximum = 90, example = 0)]
    warmup_days: u32,
}

/// Changes a domain.
///
/// A warm-up of 0 days ends it at once; one as long as the days that have passed is over.
#[utoipa::path(
    patch, path = "/domains/{id}", tag = "domains",
    security(("api_key" = ["write:domains"])), request_body = UpdateDomainRequest,
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The domain, changed.", body = DomainObject))
)]
async fn update_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Json(request): Json<UpdateDomainRequest>,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.set_warmup_days(&caller, id, request.warmup_days).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}

/// A domain that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedDomain {
    /// Always `domain`.
    #[schema(example = "domain")]
    object: &'static str,
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
    /// What is left to do, for people.
    message: String,
    /// The records that were seen at the DNS host and can go now; of a record that is shared with others, our part.
    remove: Vec<Leftover>,
}

/// Deletes a domain.
///
/// Mail from it is refused from then on. The records at the DNS host are not touched: the answer lists those that can
/// be removed there. Messages that were sent stay readable.
#[utoipa::path(
    delete, path = "/domains/{id}", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The domain was deleted.", body = DeletedDomain))
)]
async fn delete_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<axum::Json<DeletedDomain>, Problem> {
    let view = app.delete_domain(&caller, id).await?;
    let remove = leftovers::of(&view.report);
    let message = leftovers::message(view.domain.name.as_str(), &remove);
    Ok(axum::Json(DeletedDomain { object: "domain", id: id.to_string(), deleted: true, message, remove }))
}

/// Checks a domain's DNS now.
///
/// The answer has the fresh result, after at most a few seconds; a record is `unknown` where DNS did not answer. A
/// check that is asked for never takes a status away.
#[utoipa::path(
    post, path = "/domains/{id}/verify", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 200, description = "The domain, freshly checked.", body = DomainObject),
        (status = 422, description = "The body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn verify_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    NoFields: NoFields,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.verify_domain(&caller, id).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}

/// Claims a domain whose name another organisation holds.
///
/// For a domain whose records are right. The answer has the `claim`: a TXT record to publish, new for each claim and good
/// for 7 days. It is looked for by itself; when every name server has shown it twice within some minutes, the domain is
/// yours and the other organisation's is disabled. Asking again shows how it stands.
#[utoipa::path(
    post, path = "/domains/{id}/claim", tag = "domains",
    security(("api_key" = ["write:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 200, description = "The domain with its claim.", body = DomainObject),
        (status = 409, description = "There is nothing to claim, or others have claimed it: `NOTHING_TO_CLAIM`, `DOMAIN_HELD_ELSEWHERE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The domain's own records are not right yet, or the body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn claim_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    NoFields: NoFields,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.claim_domain(&caller, id).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}

/// Why a domain is switched off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DisableDomainRequest {
    /// For people: at most 200 characters. The readiness shows it.
    #[schema(max_length = 200, example = "under review")]
    reason: Option<String>,
}

/// Switches a domain off.
///
/// Mail from it is refused with `DOMAIN_DISABLED`, what is in the queue waits, and its DNS is not looked at.
#[utoipa::path(
    post, path = "/domains/{id}/disable", tag = "domains",
    security(("api_key" = ["admin"])), request_body = DisableDomainRequest,
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "The domain, switched off.", body = DomainObject))
)]
async fn disable_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Json(request): Json<DisableDomainRequest>,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.disable_domain(&caller, id, request.reason.as_deref()).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}

/// Switches a domain on again.
///
/// Its DNS is looked at at once: where its records are right, the answer has it verified.
#[utoipa::path(
    post, path = "/domains/{id}/enable", tag = "domains",
    security(("api_key" = ["admin"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses(
        (status = 200, description = "The domain, freshly checked.", body = DomainObject),
        (status = 409, description = "Another organisation has claimed it: `DOMAIN_HELD_ELSEWHERE`.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The body has fields; there are none to give.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn enable_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    NoFields: NoFields,
) -> Result<axum::Json<DomainObject>, Problem> {
    let view = app.enable_domain(&caller, id).await?;
    Ok(axum::Json(DomainObject::new(&view, app.now())))
}

/// In which form records are wanted.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RecordsFormat {
    /// A list of records.
    #[default]
    Json,
    /// For spreadsheets.
    Csv,
    /// Lines for a zone file.
    Zone,
    /// To pass on to whoever runs DNS.
    Text,
    /// Terraform resources for Cloudflare.
    #[serde(rename = "terraform-cloudflare")]
    TerraformCloudflare,
    /// Terraform resources for Amazon Route 53.
    #[serde(rename = "terraform-route53")]
    TerraformRoute53,
    /// An AWS `CloudFormation` template.
    Cloudformation,
    /// A zone's file for octoDNS.
    Octodns,
    /// Statements for `DNSControl`.
    Dnscontrol,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GetRecords {
    /// The form: `json` (without), `csv`, `zone` (lines for a zone file), `text` (to pass on to whoever runs DNS),
    /// `terraform-cloudflare`, `terraform-route53`, `cloudformation`, `octodns` or `dnscontrol`.
    #[param(inline)]
    format: Option<RecordsFormat>,
    /// Of a file: the records in this zone only.
    #[param(value_type = Option<String>, example = "example.com")]
    zone: Option<String>,
}

/// The records to publish for a domain.
#[utoipa::path(
    get, path = "/domains/{id}/records", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id"), GetRecords),
    responses((status = 200, description = "The records.", content(
        (List<RecordObject> = "application/json"), (String = "text/csv"), (String = "text/plain")
    )))
)]
async fn get_domain_records(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Query(query): Query<GetRecords>,
) -> Result<Response, Problem> {
    let view = app.domain(&caller, id).await?;
    let file = |media_type: &'static str, content: String| ([(header::CONTENT_TYPE, media_type)], content);
    let form = match query.format.unwrap_or_default() {
        RecordsFormat::Json => {
            return Ok(axum::Json(List::whole(domain_object::records(&view, app.now()))).into_response());
        }
        RecordsFormat::Text => {
            return Ok(file(TEXT, render::to_pass_on(&view.domain.name, &view.report)).into_response());
        }
        RecordsFormat::Csv => Form::Csv,
        RecordsFormat::Zone => Form::Zone,
        RecordsFormat::TerraformCloudflare => Form::TerraformCloudflare,
        RecordsFormat::TerraformRoute53 => Form::TerraformRoute53,
        RecordsFormat::Cloudformation => Form::Cloudformation,
        RecordsFormat::Octodns => Form::Octodns,
        RecordsFormat::Dnscontrol => Form::Dnscontrol,
    };
    let zone = query.zone.map(|zone| DomainName::parse(&zone)).transpose();
    let zone = zone.map_err(|error| app::Error::field("zone", error.to_string()))?;
    let media_type = if form == Form::Csv { CSV } else { TEXT };
    Ok(file(media_type, app::exports::export(&view, form, zone.as_ref())?).into_response())
}

/// In which form a report is wanted.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReportFormat {
    /// For programs.
    #[default]
    Json,
    /// For terminals and mail.
    Text,
    /// For tickets and chats.
    Markdown,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GetReport {
    /// The form: `json` (without), `text` or `markdown`.
    #[param(inline)]
    format: Option<ReportFormat>,
}

/// The newest report about a domain.
///
/// What is right, what is wrong and what to do about it, in the words of the domain's DNS host where that is known.
#[utoipa::path(
    get, path = "/domains/{id}/report", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id"), GetReport),
    responses((status = 200, description = "The report.", content(
        (Object = "application/json"), (String = "text/plain"), (String = "text/markdown")
    )))
)]
async fn get_domain_report(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
    Query(query): Query<GetReport>,
) -> Result<Response, Problem> {
    let view = app.domain(&caller, id).await?;
    let now = app.now();
    let options = RenderOptions::new(now);
    Ok(match query.format.unwrap_or_default() {
        ReportFormat::Json => axum::Json(render::json(&view.report, now)).into_response(),
        ReportFormat::Text => {
            ([(header::CONTENT_TYPE, TEXT)], render::text(&view.report, &options)).into_response()
        }
        ReportFormat::Markdown => {
            ([(header::CONTENT_TYPE, MARKDOWN)], render::markdown(&view.report, &options)).into_response()
        }
    })
}

/// What DNS said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Observation)]
struct ObservationObject {
    /// Always `observation`.
    #[schema(example = "observation")]
    object: &'static str,
    /// The domain.
    domain_id: String,
    /// Every question, whom it was put to, when, and the whole answer; null before the first check.
    #[schema(required, value_type = Option<Object>)]
    observation: Option<Value>,
}

/// The raw answers behind the newest report.
#[utoipa::path(
    get, path = "/domains/{id}/observation", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "What DNS said.", body = ObservationObject))
)]
async fn get_domain_observation(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<axum::Json<ObservationObject>, Problem> {
    let observation = match app.observation(&caller, id).await? {
        None => None,
        Some(text) => Some(serde_json::from_str(&text).map_err(|error| {
            Problem::from(app::Error::Internal(format!("the stored observation of {id}: {error}")))
        })?),
    };
    Ok(axum::Json(ObservationObject { object: "observation", domain_id: id.to_string(), observation }))
}

/// Whether a domain can send.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    /// Always `readiness`.
    #[schema(example = "readiness")]
    object: &'static str,
    /// The domain.
    domain_id: String,
    /// Whether mail can be sent from it now.
    can_send: bool,
    /// What stands in the way, the one that sending is refused with first; empty when it can send.
    obstacles: Vec<ObstacleObject>,
    /// When sending stops unless the domain is mended; null while nothing is broken.
    #[schema(required)]
    stops_at: Option<model::Timestamp>,
}

/// Something that stands in the way of sending.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Obstacle)]
struct ObstacleObject {
    /// The code that sending is refused with. Open: there may be more.
    #[schema(example = "DOMAIN_PENDING_VERIFICATION")]
    code: &'static str,
    /// What stands in the way, for people.
    reason: String,
    /// What to do next, for people.
    fix: String,
    /// Where the code is documented, relative to the instance.
    #[schema(example = "/docs/errors/DOMAIN_PENDING_VERIFICATION")]
    docs: String,
}

/// Whether a domain can send, and what stands in the way.
#[utoipa::path(
    get, path = "/domains/{id}/readiness", tag = "domains",
    security(("api_key" = ["read:domains"])),
    params(("id" = String, Path, description = "The domain's id")),
    responses((status = 200, description = "Its readiness.", body = Readiness))
)]
async fn get_domain_readiness(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Id(id): Id<DomainId>,
) -> Result<axum::Json<Readiness>, Problem> {
    let view = app.domain(&caller, id).await?;
    let obstacles: Vec<_> = view
        .obstacles()
        .into_iter()
        .map(|obstacle| ObstacleObject {
            code: obstacle.code(),
            reason: obstacle.reason(),
            fix: obstacle.fix(),
            docs: obstacle.docs(),
        })
        .collect();
    let can_send = obstacles.is_empty();
    Ok(axum::Json(Readiness {
        object: "readiness",
        domain_id: id.to_string(),
        can_send,
        obstacles,
        stops_at: view.stops_at(),
    }))
}
