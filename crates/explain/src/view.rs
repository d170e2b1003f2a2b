//! Findings and records with their words, for API and web.

pub use crate::verdict::Group;
use crate::{
    candidates::guide,
    catalogue::{self, Setting},
    clock,
    hosts::{self, Certainty, Detection, Host},
    paste::{Paste, Step},
    shown,
    verdict::capital,
};
use diagnosis::{
    Defect, Finding, RecordReport, Remedy, Report, Seen, observation::Server, propagation::Counts,
};
use model::{Confidence, Purpose, RecordStatus, Severity, Timestamp};
use serde::Serialize;

/// A finding with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingView {
    /// The code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The planned record's key; `None` for the domain as a whole.
    pub record: Option<String>,
    /// What was seen, in one line.
    pub title: String,
    /// What follows from it.
    pub why: &'static str,
    /// The facts, as data.
    pub evidence: serde_json::Value,
    /// What mends it, as data.
    pub remedy: Remedy,
    /// What to do, in order, each a line of text.
    pub steps: Vec<String>,
    /// The records to enter, with their fields apart: for blocks and copy buttons.
    pub records: Vec<Paste>,
    /// The sections it rests on.
    pub references: &'static [&'static str],
    /// Its documentation, relative to the instance.
    pub docs: String,
}

/// The DNS host of a report, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsHost {
    /// The id; `generic` when it is not known, or not which of several.
    pub id: &'static str,
    /// The name, for people: "Cloudflare", "Netlify or NS1", "not recognised".
    pub name: String,
    /// How sure it is.
    pub confidence: Certainty,
    /// The ids of all hosts it could be; of name servers of several hosts, each; none when it is not known.
    pub candidates: Vec<&'static str>,
}

/// The DNS host that the report's name servers point at.
pub fn dns_host(report: &Report) -> DnsHost {
    let detection = detection(report);
    let names = detection.names();
    DnsHost {
        id: &detection.guide().id,
        name: if names.is_empty() { "not recognised".to_owned() } else { names },
        confidence: detection.certainty,
        candidates: detection.candidates.iter().map(|host| host.id.as_str()).collect(),
    }
}

/// Where the report's zone is hosted.
pub fn detection(report: &Report) -> Detection {
    hosts::detect(&report.name_servers, report.domain_connect.is_some())
}

/// The host whose words are used for a report: the one that is confirmed or likely, else the generic guide.
pub fn guide_host(report: &Report) -> &'static Host {
    detection(report).guide()
}

/// A finding of a report with its words, for the DNS host that was recognised.
pub fn finding_view(finding: &Finding, report: &Report, now: Timestamp) -> FindingView {
    view_of(finding, report, None, now)
}

/// The same for a DNS host that somebody chose.
pub fn finding_view_at(finding: &Finding, report: &Report, host: &Host, now: Timestamp) -> FindingView {
    view_of(finding, report, Some(host), now)
}

fn view_of(finding: &Finding, report: &Report, chosen: Option<&Host>, now: Timestamp) -> FindingView {
    let code = finding.code();
    let guide = guide(finding, report, chosen, now);
    FindingView {
        code,
        severity: finding.severity,
        confidence: finding.confidence,
        record: finding.record.clone(),
        title: catalogue::title(finding),
        why: catalogue::why(code),
        evidence: evidence(&finding.defect),
        remedy: finding.remedy.clone(),
        steps: guide.iter().map(ToString::to_string).collect(),
        records: guide
            .into_iter()
            .filter_map(|step| match step {
                Step::Record(paste) => Some(*paste),
                Step::Say(_) | Step::Point(_) => None,
            })
            .collect(),
        references: catalogue::reference(code),
        docs: catalogue::docs(code),
    }
}

/// An audit is a single look at a domain that is not registered; so may be the check of a profile.
pub(crate) fn setting(report: &Report) -> Setting {
    match report.profile.as_str() {
        "audit" => Setting::Audit,
        _ if report.once => Setting::Once,
        _ => Setting::Registered,
    }
}

/// What a check of this report did not look at. An audit cannot list selectors (RFC 6376 §3.1): it looks at those that
/// are named, and where none is it tries those that many have.
pub fn not_checked(report: &Report) -> &'static [&'static str] {
    let has_dkim = report.records.iter().any(|record| record.is_dkim() && !report.is_stray_key(record));
    if setting(report) == Setting::Audit && !has_dkim { &["dkim"] } else { &[] }
}

/// One line for a single check in which no resolver gave any answer at all.
pub fn silence(report: &Report) -> Option<String> {
    if setting(report) == Setting::Registered || report.records.is_empty() {
        return None;
    }
    let reasons = report.findings.iter().find_map(|finding| match &finding.defect {
        Defect::ResolversUnusable { reasons } => Some(reasons),
        _ => None,
    })?;
    let mut resolvers: Vec<&str> = Vec::new();
    for reason in reasons {
        let (address, what) = reason.strip_prefix("resolver ")?.split_once(": ")?;
        // Whoever refuses, fails or sends something damaged is there.
        if !(what.starts_with("no answer in time") || what.starts_with("unreachable")) {
            return None;
        }
        if !resolvers.contains(&address) {
            resolvers.push(address);
        }
    }
    let right = if resolvers.len() == 1 { "Is the address right?" } else { "Are the addresses right?" };
    Some(format!("Nothing answers at {}. {right}", shown::list(&resolvers)))
}

pub(crate) fn record<'a>(report: &'a Report, key: &str) -> Option<&'a RecordReport> {
    report.records.iter().find(|record| record.planned.key == key)
}

/// The content of the defect, without its code.
fn evidence(defect: &Defect) -> serde_json::Value {
    serde_json::to_value(defect)
        .ok()
        .and_then(|mut value| value.get_mut("evidence").map(serde_json::Value::take))
        .unwrap_or_default()
}

/// Whether the words about a report are the same at any time of a day: nothing in it is waited for.
pub fn is_timeless(report: &Report) -> bool {
    let waits = |record: &RecordReport| record.status == RecordStatus::Pending;
    let has_end = |finding: &Finding| matches!(finding.remedy, Remedy::WaitUntil { .. });
    let is_awaited = report.visible_everywhere_by.is_some() && report.records.iter().any(waits);
    !is_awaited && !report.findings.iter().any(has_end)
}

/// What a record is for and where it stands, in one paragraph.
pub fn record_explanation(record: &RecordReport, report: &Report, now: Timestamp) -> String {
    let planned = &record.planned;
    let purpose = if planned.explanation.is_empty() {
        purpose(planned.purpose).to_owned()
    } else {
        shown::line(&planned.explanation, shown::ON_LINE)
    };
    format!("{purpose} {}", state(record, report, now))
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Dkim => "Holds the key that receivers check signatures with.",
        Purpose::Spf => "Lists who may send with this domain as envelope sender.",
        Purpose::ReturnPath => "Brings bounces back under your own domain.",
        Purpose::Dmarc => "Tells receivers what to do with mail that fails, and where to send reports.",
        Purpose::Inbound => "Brings incoming mail to this service.",
        Purpose::Delegation => "Has our name servers answer for this name and all below it.",
        Purpose::Tracking => "Puts links for opens and clicks under your own domain.",
        Purpose::Ownership => "Proves that the domain is yours.",
        Purpose::Other => "Asked for by the template of the service.",
    }
}

/// Where a record stands, in a sentence.
pub fn state(record: &RecordReport, report: &Report, now: Timestamp) -> String {
    let first = report
        .findings
        .iter()
        .filter(|finding| finding.record.as_deref() == Some(record.planned.key.as_str()))
        .find(|finding| finding.severity > Severity::Info)
        .map(catalogue::title);
    match record.status {
        RecordStatus::Verified => "It is there and right.".to_owned(),
        RecordStatus::Pending => {
            let by = report
                .visible_everywhere_by
                .map(|at| format!(" All should have it by {}.", clock::until(at, now)))
                .unwrap_or_default();
            match spread(record) {
                Some(seen) => format!("{}.{by}", capital(&seen)),
                None => format!("It has been seen at some servers and not yet at others.{by}"),
            }
        }
        // Nobody was asked: the domain was added a moment ago.
        RecordStatus::Unknown if is_unasked(report) => "It is not checked yet.".to_owned(),
        RecordStatus::Unknown if is_left_out(record, report) => {
            format!("It was not asked for: {}. {}", why_cut(report), again(report))
        }
        RecordStatus::Unknown => {
            format!("Whether it is there is not known: DNS has not given a clear answer. {}", again(report))
        }
        RecordStatus::Missing => {
            first.map_or_else(|| "It is not there yet.".to_owned(), |title| format!("{title}."))
        }
        RecordStatus::Failed => {
            first.map_or_else(|| "It is there and not right.".to_owned(), |title| format!("{title}."))
        }
    }
}

fn again(report: &Report) -> &'static str {
    match setting(report) {
        Setting::Registered => "It is checked again.",
        Setting::Once | Setting::Audit => "Run the check again in a few minutes.",
    }
}

/// Whether nobody was asked anything for a report: the domain was added a moment ago.
pub(crate) fn is_unasked(report: &Report) -> bool {
    report.questions_asked == 0 && report.records.iter().all(|record| record.seen.is_empty())
}

/// Which bound a check came to that was cut short.
pub(crate) fn why_cut(report: &Report) -> &'static str {
    let by_time =
        |finding: &Finding| matches!(finding.defect, Defect::InquiryCutShort { out_of_time: true, .. });
    if report.findings.iter().any(by_time) {
        "the time for the check ran out"
    } else {
        "the check stopped at its limit"
    }
}

/// Whether a record was not looked at because the check stopped before.
fn is_left_out(record: &RecordReport, report: &Report) -> bool {
    let of_it = |finding: &&Finding| finding.record.as_deref() == Some(record.planned.key.as_str());
    let is_cut = |finding: &Finding| matches!(finding.defect, Defect::InquiryCutShort { .. });
    record.seen.is_empty()
        && report.findings.iter().any(is_cut)
        && report.findings.iter().find(of_it).is_none_or(is_cut)
}

/// How far a record has spread: "seen at 2 of 3 name servers and 1 of 4 resolvers (1 gave no clear answer)"; `None` when
/// nobody was asked yet. Where it has not spread as far by IPv6 as by IPv4, the name servers are told by both.
pub fn spread(record: &RecordReport) -> Option<String> {
    let propagation = &record.propagation;
    let part = |counts: Counts, noun: &str| {
        let all = counts.asked();
        (all > 0).then(|| format!("{} of {all} {noun}{}", counts.right, if all == 1 { "" } else { "s" }))
    };
    let by_family = propagation.by_family().map_or_else(String::new, |[v4, v6]| {
        let (all_v4, all_v6) = (v4.asked(), v6.asked());
        format!(" ({} of {all_v4} by IPv4, {} of {all_v6} by IPv6)", v4.right, v6.right)
    });
    let servers = part(propagation.name_servers, "name server").map(|part| part + &by_family);
    let parts: Vec<String> =
        [servers, part(propagation.resolvers, "resolver")].into_iter().flatten().collect();
    if parts.is_empty() {
        return seen_line(&record.seen);
    }
    let silent = propagation.name_servers.silent + propagation.resolvers.silent;
    let silent = if silent == 0 { String::new() } else { format!(" ({silent} gave no clear answer)") };
    Some(format!("seen at {}{silent}", parts.join(" and ")))
}

/// "seen at 1 of 2 name servers and 0 of 2 resolvers"; `None` when nobody was asked yet.
pub fn seen_line(seen: &[Seen]) -> Option<String> {
    let count = |authority: bool| {
        let asked =
            || seen.iter().filter(move |one| matches!(one.server, Server::Authority { .. }) == authority);
        (asked().filter(|one| one.right == Some(true)).count(), asked().count())
    };
    let part = |(right, all): (usize, usize), noun: &str| {
        (all > 0).then(|| format!("{right} of {all} {noun}{}", if all == 1 { "" } else { "s" }))
    };
    let parts: Vec<String> =
        [part(count(true), "name server"), part(count(false), "resolver")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("seen at {}", parts.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::DomainName;

    fn seen(right: Option<bool>, authority: bool) -> Seen {
        let address = "127.0.0.1:53".parse().unwrap();
        let zone = DomainName::parse("acme.test").unwrap();
        let server = if authority {
            Server::Authority { name: zone.clone(), zone, address }
        } else {
            Server::Resolver { address }
        };
        Seen { server, right, ttl: 60 }
    }

    #[test]
    fn how_many_see_a_record_is_told() {
        assert_eq!(seen_line(&[]), None);
        let all = [seen(Some(true), true), seen(Some(false), true), seen(None, false)];
        assert_eq!(seen_line(&all).unwrap(), "seen at 1 of 2 name servers and 0 of 1 resolver");
        assert_eq!(seen_line(&all[..1]).unwrap(), "seen at 1 of 1 name server");
    }
}
