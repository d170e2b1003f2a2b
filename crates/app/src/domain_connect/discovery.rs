//! Which Domain Connect host a zone has, and what it says of itself.
//!
//! Whoever runs the zone's DNS chooses who is asked here, so it is asked as webhooks are: by https, at public addresses
//! only, no redirect followed, within bounds of time and size.

use super::NotConnected;
use crate::{
    App,
    error::Result,
    outbound::{Reach, Target},
};
use diagnosis::observation::Question;
use mail::lookup::Answer;
use model::{DomainName, RecordData, RecordType};
use publish::{
    domain_connect::{DISCOVERY, Discovered, HostSettings, TemplateId},
    http::{Exchange as _, HttpAnswer, HttpRequest, NoAnswer},
};
use std::time::Duration;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in octets. A host may answer with a whole template.
const MOST_ANSWER: usize = 256 * 1024;

/// How many discovery records are looked at.
const MOST_RECORDS: usize = 3;

/// A DNS host that has the zone and takes links.
pub(super) struct Host {
    /// What it says of itself.
    pub settings: HostSettings,
    /// What links begin with, looked through.
    pub sync_ux: String,
    /// The server there.
    pub opens: String,
    /// The page of the zone in its panel, where that is an address to be opened.
    pub control_panel: Option<String>,
    api: Target,
}

impl App {
    /// Finds the host of a zone.
    pub(super) async fn discover(&self, zone: &DomainName) -> Result<Host> {
        let not_offered =
            |reason: &str| NotConnected::NotOffered { zone: zone.clone(), reason: reason.to_owned() };
        let unanswered =
            |reason: &str| NotConnected::Unanswered { zone: zone.clone(), reason: reason.to_owned() };
        let found = self.discovery_record(zone).await?;
        let reach = self.webhooks.outbound.reach();
        let scheme = if reach == Reach::Anywhere && is_loopback(&found.authority) { "http" } else { "https" };
        let target = Target::parse(&format!("{scheme}://{}", found.authority), reach);
        let target = target.map_err(|problem| not_offered(&format!("the address in its DNS {problem}")))?;
        let answer = self.get(target, found.settings_path(zone)).await;
        let answer = answer.map_err(|problem| unanswered(&problem))?;
        match answer.status {
            200..=299 => {}
            // The record was left behind when the zone moved.
            404 => return Err(not_offered("the host that its DNS names does not have the zone").into()),
            status => return Err(unanswered(&format!("status {status} in place of settings")).into()),
        }
        let settings = HostSettings::parse(&answer.body, zone)
            .ok_or_else(|| unanswered("its settings are not understood"))?;
        let of_host = |text: &str, what: &str| {
            let target =
                Target::parse(text, reach).map_err(|problem| not_offered(&format!("{what} {problem}")))?;
            if target.has_query() { Err(not_offered(&format!("{what} has a ?"))) } else { Ok(target) }
        };
        let api = of_host(&settings.api, "urlAPI")?;
        let sync_ux = settings
            .sync_ux
            .as_deref()
            .ok_or_else(|| not_offered("it has no flow that begins with a link"))?;
        let sync_ux = of_host(sync_ux, "urlSyncUX")?;
        let panel = settings.control_panel.as_deref().and_then(|panel| Target::parse(panel, reach).ok());
        Ok(Host {
            api,
            opens: sync_ux.host().to_owned(),
            sync_ux: sync_ux.as_str().trim_end_matches('/').to_owned(),
            control_panel: panel.map(|panel| panel.as_str().to_owned()),
            settings,
        })
    }

    /// Whether the host has taken the template in.
    pub(super) async fn require_template(
        &self,
        host: &Host,
        zone: &DomainName,
        template: &TemplateId,
    ) -> Result<()> {
        let path = format!("{}{}", host.api.path().trim_end_matches('/'), template.path());
        let unanswered = |reason: String| NotConnected::Unanswered { zone: zone.clone(), reason };
        let answer = self.get(host.api.clone(), path).await.map_err(unanswered)?;
        match answer.status {
            200..=299 => Ok(()),
            404 => {
                let (host, file) = (host.settings.name.clone(), template.file_name());
                Err(NotConnected::TemplateUnknown { host, file }.into())
            }
            status => Err(unanswered(format!("status {status} when asked for the template")).into()),
        }
    }

    async fn discovery_record(&self, zone: &DomainName) -> Result<Discovered> {
        let not_offered =
            |reason: &str| NotConnected::NotOffered { zone: zone.clone(), reason: reason.to_owned() };
        let name = zone
            .prepend(DISCOVERY)
            .map_err(|_| not_offered("its name is too long for a discovery record"))?;
        let policy = &self.settings.policy;
        let question = Question { name: name.clone(), record_type: RecordType::Txt };
        let records = match self.dns_for(policy).resolve(&policy.resolvers, &question).await {
            Answer::Records(records) => records,
            Answer::NxDomain | Answer::NoData => {
                return Err(not_offered(&format!("there is no TXT record at {name}")).into());
            }
            Answer::TempError(_) => {
                let reason = format!("DNS did not answer for {name}");
                return Err(NotConnected::Unanswered { zone: zone.clone(), reason }.into());
            }
        };
        let texts = records.into_iter().filter_map(|record| match record {
            RecordData::Txt(text) => Some(text.joined()),
            _ => None,
        });
        let found = texts.take(MOST_RECORDS).find_map(|text| Discovered::parse(&text));
        Ok(found.ok_or_else(|| not_offered(&format!("the TXT record at {name} names no server")))?)
    }

    /// The error is what was seen, for people.
    async fn get(&self, target: Target, path: String) -> std::result::Result<HttpAnswer, String> {
        let session = self.webhooks.outbound.session(target).within(LIMIT).reading(MOST_ANSWER);
        let headers = vec![("accept", "application/json".to_owned())];
        let request = HttpRequest { method: "GET", target: path, headers, body: Vec::new() };
        session.send(request).await.map_err(|problem| match problem {
            NoAnswer::NotSent(words) | NoAnswer::Lost(words) => words,
        })
    }
}

/// Whether a server is on this machine: in development it has no certificate.
fn is_loopback(authority: &str) -> bool {
    authority.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}
