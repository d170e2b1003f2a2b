//! `/checks`: any domain looked at once, whether it was added or not.

use crate::{
    auth::Authenticated,
    extract::Json,
    problem::{Problem, ProblemDocument},
};
use app::{
    App,
    checks::{CheckRequest, Checked},
    diagnosis::inquiry::AddressFamily,
};
use axum::extract::{FromRequest, Request, State};
use explain::render;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What a body may have: templates are larger than other requests.
const LIMIT: usize = 320 * 1024;

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(check_any_domain))
}

/// What to check.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckAnyRequest {
    /// Any domain, or an e-mail address in it.
    #[schema(example = "mail.example.com")]
    domain: String,
    /// DKIM selectors to look at, at most 10: they cannot be listed from outside. Without any, those that many have
    /// are tried. Without profile and template only.
    #[serde(default)]
    #[schema(example = json!(["s1"]), max_items = 10)]
    selectors: Vec<String>,
    /// Look for the records of this profile, in place of whatever valid SPF and DMARC records there are.
    #[schema(example = "two-txt")]
    profile: Option<String>,
    /// Look for the records of this Domain Connect template.
    #[schema(value_type = Option<Object>)]
    template: Option<Box<RawValue>>,
    /// Only these groups of the template's records; all without.
    #[serde(default)]
    groups: Vec<String>,
    /// Values for the variables of profile or template, by name without percent signs.
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// Addresses of servers that send the domain's mail, at most 10: their reverse DNS is looked at.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["9.9.9.9"]), max_items = 10)]
    senders: Vec<IpAddr>,
    /// The certificate authority, as CAA records name it, that is to be able to issue for the hosts with links or web
    /// pages of profile or template.
    #[schema(example = "letsencrypt.org")]
    certificate_authority: Option<String>,
    /// Ask name servers at addresses of this family only: `ipv4` or `ipv6`.
    #[schema(value_type = Option<String>, example = "ipv6")]
    address_family: Option<OneFamily>,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OneFamily {
    Ipv4,
    Ipv6,
}

/// Checks any domain.
///
/// The domain need not be added, and nothing of the check is kept. The answer comes when the domain's name servers
/// and the resolvers have answered, after at most a few seconds; a record is `unknown` where they did not. It has the
/// same fields as `countersign check --format json`: verdict, records, findings with steps, and the raw answers
/// (`plan`, `observation`), of which `countersign explain` makes the report again.
///
/// Without profile and template any valid SPF and DMARC record will do, and DKIM is looked at where `selectors` are
/// given, or a key is found at a selector that many have (`tried_selectors`).
#[utoipa::path(
    post, path = "/checks", tag = "checks",
    security(("api_key" = ["read:domains"])), request_body = CheckAnyRequest,
    responses(
        (status = 200, description = "The report.", body = Object),
        (status = 429, description = "This key asked for more checks than it may in a minute; those that were \
            refused count. Code: `RATE_LIMITED`.",
            body = ProblemDocument, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds until it may ask again"))),
    )
)]
async fn check_any_domain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    request: Request,
) -> Result<axum::Json<Value>, Problem> {
    let counted = app.count_check(&caller)?;
    let Json(request) = Json::<CheckAnyRequest, LIMIT>::from_request(request, &()).await?;
    let request = CheckRequest {
        domain: request.domain,
        selectors: request.selectors,
        profile: request.profile,
        template: request.template.map(|template| template.get().to_owned()),
        groups: request.groups,
        variables: request.variables,
        senders: request.senders,
        certificate_authority: request.certificate_authority,
        family: match request.address_family {
            None => AddressFamily::Any,
            Some(OneFamily::Ipv4) => AddressFamily::Ipv4,
            Some(OneFamily::Ipv6) => AddressFamily::Ipv6,
        },
    };
    let file = |checked: Checked| render::report_file(&checked.report, &checked.plan, &checked.observation);
    Ok(axum::Json(app.start_check(counted, &request, file)?.finished().await?))
}
