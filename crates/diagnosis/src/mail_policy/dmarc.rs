//! The DMARC policy that holds for the domain, who gets the reports, and the way up to a stricter one.

use super::lookups;
use crate::{
    checks::{only_dmarc_record, texts_of},
    observation::Question,
    plan::Plan,
    view::{Fact, View},
};
use mail::{
    dmarc::{self, AlignmentMode, Discovery, Policy, PolicyRecord, PolicyTag, ReportAuthorisation},
    lookup::Answers,
};
use model::{DomainName, RecordType};
use serde::{Deserialize, Serialize};

/// Destinations of reports that are looked at; those behind them are named.
const MAX_DESTINATIONS: usize = 10;

/// Destinations of reports that are named.
const MAX_NAMED: usize = 20;

/// What DMARC comes to for the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmarcReport {
    /// The domain whose record holds; `None` where there is none, or it could not be found out.
    pub at: Option<DomainName>,
    /// Whether that is a domain above this one.
    pub inherited: bool,
    /// The record.
    pub record: Option<String>,
    /// The names asked for on the way up (RFC 9989 §4.10), as far as the walk went.
    pub walked: Vec<DomainName>,
    /// The organizational domain; `None` where the walk was not gone to its end.
    pub organizational_domain: Option<DomainName>,
    /// What is asked for mail that fails.
    pub requested: Option<Policy>,
    /// The tag that says so.
    pub requested_by: Option<PolicyTag>,
    /// What receivers are to do: a step less while the policy is tested (`t=y`).
    pub applied: Option<Policy>,
    /// What holds for subdomains that exist.
    pub subdomains: Option<Policy>,
    /// What holds for subdomains that do not.
    pub nonexistent: Option<Policy>,
    /// Whether the domain's name exists, where `np=` made that matter.
    pub domain_exists: Option<bool>,
    /// How exact DKIM has to match the author domain.
    pub dkim_alignment: AlignmentMode,
    /// How exact SPF has to.
    pub spf_alignment: AlignmentMode,
    /// Who is to get reports.
    pub reports: Vec<ReportDestination>,
    /// Why not all of this is known.
    pub unanswered: Option<String>,
}

/// One domain that reports are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportDestination {
    /// The domain of the address.
    pub domain: DomainName,
    /// Whether it gets aggregate reports (`rua`).
    pub aggregate: bool,
    /// Whether it gets failure reports (`ruf`).
    pub failure: bool,
    /// Where it agrees to that, if it has to.
    pub agreement_at: Option<DomainName>,
    /// Whether it does.
    pub authorisation: ReportAuthorisation,
}

/// What has to be asked about destinations of reports, once the policy is known.
pub fn questions(plan: &Plan, view: &View) -> Vec<Question> {
    let discovered = view.dmarc(&plan.domain);
    let Some(Discovery { found: Some(found), .. }) = &*discovered else { return Vec::new() };
    destinations(&found.record)
        .into_iter()
        .take(MAX_DESTINATIONS)
        .filter_map(|(domain, ..)| {
            lookups(view, |answers: &Answers| dmarc::report_authorisation(&found.at, &domain, answers)).err()
        })
        .flatten()
        .collect()
}

/// What DMARC comes to; `None` where nothing was asked about it.
pub fn report(plan: &Plan, view: &View) -> Option<DmarcReport> {
    let names = view.policy_names(&plan.domain);
    let own_name = names.first()?.as_ref()?;
    if !view.was_asked(own_name, RecordType::Txt) {
        return None;
    }
    let walked =
        names.iter().flatten().filter(|name| view.was_asked(name, RecordType::Txt)).cloned().collect();
    let mut report = DmarcReport {
        at: None,
        inherited: false,
        record: None,
        walked,
        organizational_domain: None,
        requested: None,
        requested_by: None,
        applied: None,
        subdomains: None,
        nonexistent: None,
        domain_exists: None,
        dkim_alignment: AlignmentMode::Relaxed,
        spf_alignment: AlignmentMode::Relaxed,
        reports: Vec::new(),
        unanswered: None,
    };
    match &*view.dmarc(&plan.domain) {
        Some(discovery) => fill(&mut report, discovery, view),
        // The domain's own record holds, whatever is above it.
        None => own_only(&mut report, &plan.domain, own_name, view),
    }
    Some(report)
}

fn fill(report: &mut DmarcReport, discovery: &Discovery, view: &View) {
    report.unanswered =
        discovery.temp_error.as_ref().map(|(question, reason)| format!("{question}: {reason}"));
    if report.unanswered.is_none() {
        report.organizational_domain = Some(discovery.organizational_domain.clone());
    }
    report.domain_exists = discovery.author_domain_exists;
    if let Some((policy, tag)) = discovery.requested {
        (report.requested, report.requested_by) = (Some(policy), Some(tag));
    }
    report.applied = discovery.applied;
    let Some(found) = &discovery.found else { return };
    report.inherited = found.inherited;
    let text = found.at.prepend("_dmarc").ok().and_then(|name| text_at(&name, view));
    set_record(report, &found.record, text, &found.at, view);
}

fn own_only(report: &mut DmarcReport, domain: &DomainName, name: &DomainName, view: &View) {
    let Some(text) = text_at(name, view) else { return };
    let reading = view.readings().dmarc(&text);
    let Ok(record) = &*reading else { return };
    (report.requested, report.requested_by) = (Some(record.policy), Some(PolicyTag::P));
    report.applied = Some(if record.testing { lower(record.policy) } else { record.policy });
    set_record(report, record, Some(text), domain, view);
}

fn set_record(
    report: &mut DmarcReport,
    record: &PolicyRecord,
    text: Option<String>,
    at: &DomainName,
    view: &View,
) {
    let subdomains = record.subdomain_policy.unwrap_or(record.policy);
    report.subdomains = Some(subdomains);
    report.nonexistent = Some(record.nonexistent_policy.unwrap_or(subdomains));
    report.dkim_alignment = record.dkim_alignment;
    report.spf_alignment = record.spf_alignment;
    report.record = text;
    report.reports = destinations(record)
        .into_iter()
        .map(|(domain, aggregate, failure)| {
            let judged = lookups(view, |answers: &Answers| dmarc::report_authorisation(at, &domain, answers));
            let authorisation =
                judged.unwrap_or_else(|_| ReportAuthorisation::Unknown("it was not asked for".to_owned()));
            let agreement_at = match authorisation {
                ReportAuthorisation::NotNeeded => None,
                _ => dmarc::authorisation_name(at, &domain),
            };
            ReportDestination { domain, aggregate, failure, agreement_at, authorisation }
        })
        .collect();
    report.at = Some(at.clone());
}

fn text_at(name: &DomainName, view: &View) -> Option<String> {
    match view.fact(name, RecordType::Txt) {
        Fact::Agreed(says) => only_dmarc_record(&texts_of(says)).map(str::to_owned),
        _ => None,
    }
}

/// RFC 9989 §4.7, `t=y`.
fn lower(policy: Policy) -> Policy {
    match policy {
        Policy::Reject => Policy::Quarantine,
        Policy::Quarantine | Policy::None => Policy::None,
    }
}

/// Each domain that reports go to, and whether it is for `rua`, for `ruf`.
fn destinations(record: &PolicyRecord) -> Vec<(DomainName, bool, bool)> {
    let mut out: Vec<(DomainName, bool, bool)> = Vec::new();
    for (uris, aggregate) in [(&record.aggregate_reports, true), (&record.failure_reports, false)] {
        for address in uris.iter().filter_map(|uri| uri.address.as_ref()) {
            let place = out.iter().position(|(domain, ..)| domain == address.domain());
            if let Some(place) = place {
                out[place].1 |= aggregate;
                out[place].2 |= !aggregate;
            } else if out.len() < MAX_NAMED {
                out.push((address.domain().clone(), aggregate, !aggregate));
            }
        }
    }
    out
}
