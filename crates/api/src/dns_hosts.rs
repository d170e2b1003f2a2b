//! `/dns-hosts`: the DNS hosts that are recognised, and what their panels want.

use crate::{auth::Authenticated, list::List};
use app::App;
use explain::hosts::{self, Host, HostField};
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
