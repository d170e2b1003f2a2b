//! `/dns-hosts`: the DNS hosts that are recognised, and what their panels want.

use crate::{auth::Authenticated, list::List};
use app::App;
use explain::hosts::{self, ApiField, Host, HostApi, HostField, Proven};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this noun.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list_dns_hosts))
}

/// A DNS host: facts about its panel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsHost)]
struct DnsHostObject {
    /// Always `dns_host`.
    #[schema(example = "dns_host")]
    object: &'static str,
    /// Its id.
    #[schema(example = "cloudflare")]
    id: &'static str,
    /// Its name.
    name: &'static str,
    /// Patterns of its name servers' names.
    name_servers: &'static [String],
    /// Where the records are in its panel.
    page: &'static str,
    /// The address of that page.
    #[schema(required)]
    url: Option<&'static str>,
    /// What the name field takes: `relative` to the zone, `full`, or `either`. Open: there may be more.
    #[schema(example = "relative")]
    host_field: &'static str,
    /// Whether TXT values are typed with quotation marks.
    quotes: bool,
    /// Whether it takes Domain Connect templates.
    domain_connect: bool,
    /// Whether it can put a proxy in front of a record.
    proxied: bool,
    /// The shortest TTL it takes, in seconds.
    ttl_min: u32,
    /// How long until its name servers serve a change, at the least; in seconds.
    delay_min: u32,
    /// How long that usually takes, in seconds.
    delay_usual: u32,
    /// How long that takes at worst, in seconds.
    delay_max: u32,
    /// What is odd about it.
    quirks: &'static [String],
    /// The month in which these facts were confirmed; null when they were not.
    #[schema(required)]
    last_verified: Option<&'static str>,
    /// How records are written there; null where that is not possible.
    #[schema(required)]
    writing: Option<DnsHostWriting>,
}

/// How records are written at a DNS host.
#[derive(Debug, Serialize, ToSchema)]
struct DnsHostWriting {
    /// What its owner gives.
    fields: Vec<DnsHostField>,
    /// The least rights that suffice, as its panel calls them.
    #[schema(example = json!(["Zone › DNS › Edit"]))]
    rights: &'static [String],
    /// Where such a credential is made; null where it is no page.
    #[schema(required)]
    token_url: Option<&'static str>,
    /// What is odd about it.
    quirks: &'static [String],
    /// What it was tried against: the real `server`, a strict `fake` of it, the `wire` protocol at a lenient server of
    /// others, or a `library`'s word. Open: there may be more.
    #[schema(example = "server")]
    proven: &'static str,
    /// The month in which that was.
    #[schema(required, example = "2026-11")]
    proven_on: Option<&'static str>,
    /// What of its interface is not certain: the fake refuses it, the host itself may not.
    unproven: &'static [String],
}

/// What the owner of a zone gives, so that records are written for them.
#[derive(Debug, Serialize, ToSchema)]
struct DnsHostField {
    /// Its name in requests.
    #[schema(example = "token")]
    name: &'static str,
    /// What people read beside it.
    #[schema(example = "API token")]
    label: &'static str,
    /// Whether it opens something: it is never shown again.
    secret: bool,
    /// Whether it may be left out.
    optional: bool,
}

fn writing(api: &'static HostApi) -> Option<DnsHostWriting> {
    let field = |field: &'static ApiField| DnsHostField {
        name: &field.name,
        label: &field.label,
        secret: field.secret,
        optional: field.optional,
    };
    (api.proven != Proven::None).then(|| DnsHostWriting {
        fields: api.fields.iter().map(field).collect(),
        rights: &api.rights,
        token_url: api.token_url.as_deref(),
        quirks: &api.quirks,
        proven: api.proven.as_str(),
        proven_on: api.proven_on.as_deref(),
        unproven: &api.unproven,
    })
}

fn object(host: &'static Host) -> DnsHostObject {
    DnsHostObject {
        object: "dns_host",
        id: &host.id,
        name: &host.name,
        name_servers: &host.name_servers,
        page: &host.page,
        url: host.url.as_deref(),
        host_field: match host.host_field {
            HostField::Relative => "relative",
            HostField::Full => "full",
            HostField::Either => "either",
        },
        quotes: host.quotes,
        domain_connect: host.domain_connect,
        proxied: host.proxied,
        ttl_min: host.ttl_min,
        delay_min: host.delay_min,
        delay_usual: host.delay_usual,
        delay_max: host.delay_max,
        quirks: &host.quirks,
        last_verified: Some(host.last_verified.as_str()).filter(|month| !month.is_empty()),
        writing: host.api.as_ref().and_then(writing),
    }
}

/// Lists the DNS hosts that are recognised by their name servers.
#[utoipa::path(
    get, path = "/dns-hosts", tag = "dns-hosts",
    security(("api_key" = [])),
    responses((status = 200, description = "All DNS hosts.", body = List<DnsHostObject>))
)]
async fn list_dns_hosts(_: Authenticated) -> axum::Json<List<DnsHostObject>> {
    axum::Json(List::whole(hosts::all().iter().map(object).collect()))
}
