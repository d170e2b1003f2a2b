//! The part of a domain's page that changes by itself: status, what is wrong, the DNS host and the records.

use crate::{
    finding::Problems,
    pill::{self, Pill},
    record::{self, RecordRow},
    when::When,
};
use app::{domains::DomainView, store};
use askama::Template;
use explain::{Host, hosts, shown};
use jiff::Timestamp;
use model::{CheckStatus, DomainName, RecordStatus};

/// The playground zone that the domain is in, or could be in.
#[derive(Debug, Clone)]
pub(crate) enum Playground {
    Off,
    /// There is none yet; its name would be this.
    Create(DomainName),
    Zone(store::PlaygroundZone),
}

/// The DNS host that the zone's name servers point at.
pub(crate) struct HostView {
    pub name: Option<String>,
    pub could_be: String,
    pub page: String,
    pub url: Option<String>,
    pub delay: String,
    pub quirks: Vec<String>,
    pub zone: Option<String>,
    pub name_servers: Vec<String>,
}

/// The form that sends a test message, as it was filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestForm {
    pub to: String,
    pub error: Option<String>,
}

#[derive(Template)]
#[template(path = "domain_live.html")]
pub(crate) struct Live {
    id: String,
    name: String,
    status: Pill,
    health: Option<Pill>,
    status_word: &'static str,
    announcement: String,
    summary: String,
    ready: bool,
    obstacle: Option<String>,
    created: When,
    verified: Option<When>,
    fails: Option<When>,
    broken: bool,
    checked: Option<When>,
    next: Option<When>,
    right: usize,
    total: usize,
    required_right: usize,
    required: usize,
    checks: Vec<(&'static str, Pill)>,
    problems: Problems,
    visible_by: Option<String>,
    host: HostView,
    zone_href: Option<String>,
    zone_apex: String,
    create_apex: Option<String>,
    records: Vec<RecordRow>,
    test: TestForm,
    sender: String,
}

impl Live {
    pub fn new(view: &DomainView, playground: &Playground, test: TestForm, now: Timestamp) -> Self {
        let (domain, report) = (&view.domain, &view.report);
        let host = explain::view::guide_host(report);
        let obstacle =
            view.obstacles().into_iter().next().map(|obstacle| crate::page::sentence(&obstacle.reason));
        let is_right = |record: &&app::diagnosis::RecordReport| record.status == RecordStatus::Verified;
        let right = report.records.iter().filter(is_right).count();
        let required = report.records.iter().filter(|record| record.planned.required);
        let zone = match playground {
            Playground::Zone(zone) => Some(zone),
            _ => None,
        };
        Self {
            id: domain.id.to_string(),
            name: domain.name.to_string(),
            status: domain.status.into(),
            health: pill::health(domain.health),
            status_word: domain.status.as_str(),
            announcement: format!(
                "{} is {}: {right} of {} records are right.",
                domain.name,
                domain.status,
                report.records.len()
            ),
            summary: if domain.last_checked_at.is_some() {
                crate::page::sentence(&explain::summary(report))
            } else {
                "The first check is on its way.".to_owned()
            },
            ready: obstacle.is_none(),
            obstacle,
            created: When::new(domain.created_at, now),
            verified: When::maybe(domain.verified_at, now),
            fails: When::maybe(domain.fails_at, now),
            broken: domain.health == store::Health::Warning,
            checked: When::maybe(domain.last_checked_at, now),
            next: When::maybe(domain.next_check_at, now),
            right,
            total: report.records.len(),
            required_right: required.clone().filter(is_right).count(),
            required: required.count(),
            checks: checks(domain),
            problems: Problems::of(report, host, now),
            visible_by: report.visible_everywhere_by.map(|at| explain::clock::until(at, now)),
            host: host_view(view, host),
            zone_href: zone.map(|zone| format!("/playground/zones/{}", zone.id)),
            zone_apex: zone.map(|zone| zone.apex.to_string()).unwrap_or_default(),
            create_apex: match playground {
                Playground::Create(apex) => Some(apex.to_string()),
                _ => None,
            },
            records: record::rows(report, host, zone.map(|zone| zone.id), now),
            test,
            sender: format!("hello@{}", domain.name),
        }
    }

    /// What tells one state of this fragment from another.
    pub fn state(view: &DomainView, playground: &Playground, now: Timestamp) -> String {
        let zone = match playground {
            Playground::Off => "off".to_owned(),
            Playground::Create(apex) => apex.to_string(),
            Playground::Zone(zone) => zone.id.to_string(),
        };
        // Some sentences count minutes.
        let minute = now.as_second().div_euclid(60);
        format!("{}/{}/{zone}/{minute}", view.domain.id, view.domain.version)
    }

    fn is(&self, status: &str) -> bool {
        self.status_word == status
    }

    fn nothing_wrong(&self) -> bool {
        self.problems.special.is_empty() && self.problems.missing.is_empty()
    }
}

fn checks(domain: &store::Domain) -> Vec<(&'static str, Pill)> {
    [
        ("DKIM", domain.dkim_status),
        ("SPF", domain.spf_status),
        ("DMARC", domain.dmarc_status),
        ("Return path", domain.return_path_status),
    ]
    .into_iter()
    .map(|(name, status): (_, CheckStatus)| (name, status.into()))
    .collect()
}

fn host_view(view: &DomainView, host: &'static Host) -> HostView {
    let report = &view.report;
    let candidates = hosts::detect(&report.name_servers);
    let could_be: Vec<&str> = candidates
        .iter()
        .filter(|candidate| !candidate.host.is_generic() && candidate.host.id != host.id)
        .map(|candidate| candidate.host.name.as_str())
        .collect();
    HostView {
        name: (!host.is_generic()).then(|| host.name.clone()),
        could_be: could_be.join(" or "),
        page: host.page.clone(),
        url: host.url.clone().filter(|url| url.starts_with("https://")),
        delay: host.delay(),
        quirks: host.quirks.clone(),
        zone: report.zone.as_ref().map(|zone| shown::value(zone.as_str())),
        name_servers: report.name_servers.iter().take(8).map(|name| shown::value(name.as_str())).collect(),
    }
}
