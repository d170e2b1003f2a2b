//! The part of a domain's page that changes by itself: status, what is wrong, the DNS host and the records.

use crate::{
    finding::{Problems, StepView},
    page::Shell,
    pill::{self, Pill, Tone},
    record::{self, RecordRow},
    when::When,
};
use app::{ClaimFound, claims::ClaimView, diagnosis::RecordReport, domains::DomainView, store};
use askama::Template;
use explain::{Host, shown};
use jiff::Timestamp;
use model::{DomainName, DomainStatus, Purpose, RecordStatus, Verdict};

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
    /// What has to be said where it is not one host.
    pub note: Option<&'static str>,
    pub is_one: bool,
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

/// How far a verified domain has warmed up.
struct WarmupLine {
    day: u32,
    days: u32,
    sent: u64,
    cap: u64,
    resets: When,
}

impl WarmupLine {
    /// Nothing before the domain is verified: until then it cannot send at all.
    fn of(view: &DomainView, now: Timestamp) -> Option<Self> {
        let warmup = view.warmup.filter(|_| view.domain.status == DomainStatus::Verified)?;
        Some(Self {
            day: warmup.today.day,
            days: view.domain.warmup_days.unwrap_or(0),
            sent: warmup.sent_today,
            cap: warmup.today.cap,
            resets: When::new(warmup.today.resets_at, now),
        })
    }
}

/// A name that another organisation holds, and how its claim stands.
struct ClaimBlock {
    /// The record to publish, while a claim is open.
    record: Option<ClaimRecord>,
    pill: Pill,
    words: &'static str,
    /// What became of the last claim.
    ended: Option<&'static str>,
    since: Option<When>,
    looked: Option<When>,
    until: When,
}

struct ClaimRecord {
    host: String,
    name: String,
    value: String,
    ttl: u32,
}

impl ClaimBlock {
    fn of(view: &DomainView, now: Timestamp) -> Self {
        let claim = view.claim.as_ref();
        let open = claim.filter(|claim| claim.is_open());
        let record = open.map(|claim| {
            let zone = view.report.zone.clone().or_else(|| model::registrable_domain(&claim.owner));
            let host = zone.and_then(|zone| claim.owner.relative_to(&zone));
            ClaimRecord {
                host: host.unwrap_or_else(|| claim.owner.to_string()),
                name: claim.owner.to_string(),
                value: claim.text.clone(),
                ttl: claim.ttl,
            }
        });
        let pill = match open.and_then(|claim| claim.found) {
            Some(ClaimFound::Seen) => Pill::new(Tone::Good, "Seen"),
            None | Some(ClaimFound::Missing | ClaimFound::NotEverywhere | ClaimFound::Unanswered) => {
                Pill::new(Tone::Wait, "Waiting")
            }
            Some(_) => Pill::new(Tone::Bad, "Wrong"),
        };
        Self {
            record,
            pill,
            words: open.map_or("", ClaimView::words),
            ended: claim.filter(|claim| !claim.is_open()).map(ClaimView::words),
            since: open.and_then(|claim| When::maybe(claim.claim.first_seen_at, now)),
            looked: open.and_then(|claim| When::maybe(claim.claim.looked_at, now)),
            until: When::new(claim.map_or(now, |claim| claim.claim.expires_at), now),
        }
    }
}

#[expect(clippy::struct_excessive_bools, reason = "what a template asks about")]
#[derive(Template)]
#[template(path = "domain_live.html")]
pub(crate) struct Live {
    /// The field that forms carry.
    token: String,
    /// Whether whoever looks may change anything.
    writes: bool,
    /// Whether no mail leaves.
    sandbox: bool,
    id: String,
    name: String,
    status: Pill,
    health: Option<Pill>,
    status_word: &'static str,
    announcement: String,
    summary: String,
    ready: bool,
    obstacle: Option<String>,
    claimed_away: bool,
    disabled_reason: Option<String>,
    claim: Option<ClaimBlock>,
    warmup: Option<WarmupLine>,
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
    files: Vec<crate::records::Choice>,
    host: HostView,
    zone_href: Option<String>,
    zone_apex: String,
    create_apex: Option<String>,
    records: Vec<RecordRow>,
    /// What we serve where the domain is delegated to us.
    hosted: Vec<(String, Pill)>,
    test: TestForm,
    sender: String,
}

impl Live {
    pub fn new(
        view: &DomainView,
        playground: &Playground,
        test: TestForm,
        now: Timestamp,
        shell: &Shell,
    ) -> Self {
        let (domain, report) = (&view.domain, &view.report);
        let host = explain::view::guide_host(report);
        let obstacle = view.obstacles().first().map(|obstacle| crate::page::sentence(&obstacle.reason()));
        let is_right = |record: &&app::diagnosis::RecordReport| record.status == RecordStatus::Verified;
        let right = report.records.iter().filter(is_right).count();
        let required = report.records.iter().filter(|record| record.planned.required);
        let zone = match playground {
            Playground::Zone(zone) => Some(zone),
            _ => None,
        };
        Self {
            token: shell.token(),
            writes: shell.writes(),
            sandbox: shell.sandbox,
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
            summary: if domain.held_elsewhere && report.verdict == Verdict::Pass {
                "Its records are right, and another organisation holds it.".to_owned()
            } else if domain.last_checked_at.is_some() {
                crate::page::sentence(&explain::summary(report))
            } else {
                "The first check is on its way.".to_owned()
            },
            ready: obstacle.is_none(),
            obstacle,
            claimed_away: domain.claimed_at.is_some(),
            disabled_reason: domain.disabled_reason.clone(),
            claim: domain.held_elsewhere.then(|| ClaimBlock::of(view, now)),
            warmup: WarmupLine::of(view, now),
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
            checks: checks(view),
            problems: Problems::of(report, now),
            files: crate::records::choices(&format!("/domains/{}", view.domain.id)),
            visible_by: report.visible_everywhere_by.map(|at| explain::clock::until(at, now)),
            host: host_view(report, host),
            zone_href: zone.map(|zone| format!("/playground/zones/{}", zone.id)),
            zone_apex: zone.map(|zone| zone.apex.to_string()).unwrap_or_default(),
            create_apex: match playground {
                Playground::Create(apex) => Some(apex.to_string()),
                _ => None,
            },
            records: record::rows(report, host, zone.map(|zone| zone.id), now),
            hosted: report.hosted.iter().map(hosted).collect(),
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
        let sent = view.warmup.map_or(0, |warmup| warmup.sent_today);
        let claim = view.claim.as_ref().map_or(0, |claim| claim.claim.version);
        format!("{}/{}/{zone}/{sent}/{claim}/{minute}", view.domain.id, view.domain.version)
    }

    fn is(&self, status: &str) -> bool {
        self.status_word == status
    }
}

/// A record that we serve: its type and name, and how it stands.
fn hosted(record: &RecordReport) -> (String, Pill) {
    (format!("{} {}", record.record_type(), record.planned.owner), record.status.into())
}

/// The mechanisms that the domain's profile has records for.
pub(crate) fn checks(view: &DomainView) -> Vec<(&'static str, Pill)> {
    let domain = &view.domain;
    let has = |purpose| view.report.all().any(|record| record.planned.purpose == purpose);
    [
        ("DKIM", Purpose::Dkim, domain.dkim_status),
        ("SPF", Purpose::Spf, domain.spf_status),
        ("DMARC", Purpose::Dmarc, domain.dmarc_status),
        ("Return path", Purpose::ReturnPath, domain.return_path_status),
    ]
    .into_iter()
    .filter(|(_, purpose, _)| has(*purpose))
    .map(|(name, _, status)| (name, status.into()))
    .collect()
}

pub(crate) fn host_view(report: &app::diagnosis::Report, host: &'static Host) -> HostView {
    let detection = explain::view::detection(report);
    let names = detection.names();
    HostView {
        note: detection.note(),
        is_one: !host.is_generic(),
        name: (!names.is_empty()).then_some(names),
        page: host.page.clone(),
        url: host.url.clone().filter(|url| url.starts_with("https://")),
        delay: host.delay(),
        quirks: host.quirks.clone(),
        zone: report.zone.as_ref().map(|zone| shown::value(zone.as_str())),
        name_servers: report.name_servers.iter().take(8).map(|name| shown::value(name.as_str())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::diagnosis::{Defect, Expected, Finding, Profile, Remedy, Report, plan::plan};
    use model::{CheckStatus, Confidence, DomainId, OrgId, RecordType, Severity};

    fn view(status: DomainStatus) -> DomainView {
        let name = DomainName::parse("mail.acme.test").unwrap();
        let created_at: Timestamp = "2026-11-21T14:00:00Z".parse().unwrap();
        let variables =
            ["platform", "dmarcrua", "token1", "token2", "token3", "key1", "key2", "key3"].map(|variable| {
                let value = if variable.starts_with("token") { variable } else { "send.example.net" };
                (variable.to_owned(), value.to_owned())
            });
        let profile = Profile::built_in().into_iter().find(|profile| profile.name == "three-cname").unwrap();
        let mut report = Report::unchecked(&plan(&profile, &name, &variables.into()).unwrap(), created_at);
        for record in report.records.iter_mut().filter(|_| status == DomainStatus::Verified) {
            record.status = RecordStatus::Verified;
        }
        let domain = store::Domain {
            id: DomainId::from_parts(1, 1),
            org_id: OrgId::from_parts(1, 1),
            tenant_id: None,
            name,
            profile: profile.name,
            variables: "{}".to_owned(),
            capabilities: "{}".to_owned(),
            status,
            spf_status: CheckStatus::Pending,
            dkim_status: CheckStatus::Pending,
            dmarc_status: CheckStatus::Pending,
            return_path_status: CheckStatus::Pending,
            health: store::Health::Ok,
            approval_status: String::new(),
            created_at,
            verified_at: None,
            fails_at: "2026-11-24T14:00:00Z".parse().ok(),
            last_checked_at: Some(created_at),
            next_check_at: None,
            poked_at: None,
            lease_owner: None,
            lease_until: None,
            consecutive_failures: 0,
            disabled_reason: None,
            paused: None,
            holder: false,
            held_elsewhere: false,
            claimed_at: None,
            delegation: store::Delegation::default(),
            watch: store::Watch::default(),
            version: 1,
            report: None,
            warmup_started_at: None,
            warmup_days: None,
            region: None,
            fallback_region: None,
        };
        DomainView { domain, report, dkim_tokens: vec!["token1".to_owned()], warmup: None, claim: None }
    }

    fn render(view: &DomainView, playground: &Playground) -> String {
        let now = "2026-11-21T14:00:03Z".parse().unwrap();
        Live::new(view, playground, TestForm::default(), now, &Shell::sample("")).render().unwrap()
    }

    #[test]
    fn a_pending_domain_says_why_it_cannot_send_and_what_to_publish() {
        let view = view(DomainStatus::Pending);
        let html = render(&view, &Playground::Create(DomainName::parse("acme.test").unwrap()));
        assert!(html.contains("Why can’t I send?"));
        assert!(html.contains("Checked <time datetime=\"2026-11-21T14:00:00Z\""));
        assert!(html.contains("24 November 2026, 14:00:00 UTC"));
        assert!(html.contains("Create playground zone acme.test"));
        assert!(html.contains("<code>_dmarc.mail</code>"));
        assert!(!html.contains("/test\""), "the form for a test message");
        assert_eq!(html.matches("id=\"record-").count(), view.report.records.len());
    }

    #[test]
    fn a_verified_domain_is_ready() {
        let html = render(&view(DomainStatus::Verified), &Playground::Off);
        assert!(html.contains("Ready to send"));
        assert!(html.contains("/test\""));
        assert!(!html.contains("playground"));
    }

    #[test]
    fn a_warm_up_is_one_line_of_a_verified_domain() {
        let mut view = view(DomainStatus::Verified);
        let now: Timestamp = "2026-11-21T14:00:03Z".parse().unwrap();
        view.domain.warmup_days = Some(14);
        let today = app::warmup::today(Some(now), 14, 100_000, now).unwrap();
        view.warmup = Some(app::warmup::Warmup { today, sent_today: 3 });
        let html = render(&view, &Playground::Off);
        assert!(html.contains("Warm-up day 1 of 14: 3 of 50 messages sent today"), "{html}");
        assert!(html.contains("22 November 2026, 00:00:00 UTC"), "{html}");
        view.warmup = Some(app::warmup::Warmup { today, sent_today: 50 });
        let html = render(&view, &Playground::Off);
        assert!(html.contains("Why can’t I send?") && !html.contains("Ready to send"));
        view.domain.status = DomainStatus::Pending;
        assert!(!render(&view, &Playground::Off).contains("Warm-up"));
    }

    #[test]
    fn what_strangers_wrote_into_dns_is_escaped_and_bounded() {
        let mut view = view(DomainStatus::Pending);
        let hostile = format!("v=spf1 <img src=x onerror=alert(1)> \"'{}\x1b\u{202e}", "a".repeat(60_000));
        let name = view.domain.name.clone();
        let record = view.report.records.iter_mut().find(|record| record.planned.key == "spf").unwrap();
        record.current = vec![hostile.clone(); 50];
        record.replace = Some(hostile.clone());
        view.report.findings = vec![Finding {
            defect: Defect::SpfMechanismAbsent {
                name: name.clone(),
                current: hostile.clone(),
                rules: hostile.clone(),
                lookups_after: 3,
                to_drop: Vec::new(),
            },
            severity: Severity::Error,
            confidence: Confidence::Confirmed,
            record: Some("spf".to_owned()),
            remedy: Remedy::MergeSpf { name, current: vec![hostile.clone(); 50], replace_with: hostile },
        }];
        let html = render(&view, &Playground::Off);
        assert!(!html.contains("<img"));
        assert!(!html.contains(['\x1b', '\u{202e}']));
        assert!(html.contains("Replace with"));
        assert!(html.len() < 100_000, "{}", html.len());
    }

    #[test]
    fn a_record_of_others_that_has_ours_in_it_is_not_to_be_replaced_by_itself() {
        let mut view = view(DomainStatus::Pending);
        let record = view.report.records.last_mut().unwrap();
        record.current = vec!["v=spf1 mx include:spf.send.example ~all".to_owned()];
        record.replace = Some(record.current[0].clone());
        let html = render(&view, &Playground::Off);
        assert!(html.contains("include:spf.send.example ~all") && !html.contains("Replace with"), "{html}");
        view.report.records.last_mut().unwrap().current[0].push(' ');
        assert!(render(&view, &Playground::Off).contains("Replace with"));
    }

    #[test]
    fn the_same_mistake_made_with_several_records_is_one_thing_to_do() {
        let mut view = view(DomainStatus::Pending);
        let found = DomainName::parse("old.example.net").unwrap();
        let aliases = view.report.records.iter().filter_map(|record| match &record.planned.expected {
            Expected::Cname { target, .. } => Some((record.planned.clone(), target.clone())),
            _ => None,
        });
        let findings = aliases.map(|(planned, expected)| Finding {
            remedy: Remedy::Replace {
                name: planned.owner.clone(),
                record_type: RecordType::Cname,
                current: vec![found.to_string()],
                value: expected.to_string(),
                preference: None,
            },
            defect: Defect::CnameWrongTarget { name: planned.owner.clone(), expected, found: found.clone() },
            severity: Severity::Error,
            confidence: Confidence::Confirmed,
            record: Some(planned.key.clone()),
        });
        view.report.findings = findings.collect();
        let keys: Vec<String> = view.report.findings.iter().filter_map(|f| f.record.clone()).collect();
        assert!(keys.len() >= 3, "{keys:?}");
        let html = render(&view, &Playground::Off);
        assert_eq!(html.matches("these aliases point somewhere else").count(), 1, "{html}");
        assert_eq!(html.matches("<details class=\"card problem\"").count(), 1, "{html}");
        assert_eq!(html.matches("<table class=\"to-enter\">").count(), 1, "{html}");
        for key in &keys {
            assert!(
                html.contains(&format!("<a href=\"#record-{key}\">{key} in the table</a>")),
                "{key}: {html}"
            );
        }
        let copied = html.matches("id=\"copy-cname_wrong_target-").count();
        assert_eq!(copied, keys.len(), "each value can be copied: {html}");
        // One alone is told as one.
        view.report.findings.truncate(1);
        let html = render(&view, &Playground::Off);
        assert!(html.contains("The record in the table") && !html.contains("to-enter"), "{html}");
    }

    #[test]
    fn a_new_check_is_another_state() {
        let mut view = view(DomainStatus::Pending);
        let now: Timestamp = "2026-11-21T14:00:03Z".parse().unwrap();
        let before = Live::state(&view, &Playground::Off, now);
        assert_eq!(before, Live::state(&view, &Playground::Off, "2026-11-21T14:00:59Z".parse().unwrap()));
        view.domain.version += 1;
        assert_ne!(before, Live::state(&view, &Playground::Off, now));
    }
}
