//! The domain is declared as sending no mail
//!
//! Mail is to be sent from the name, and its SPF record allows nobody (v=spf1 -all), or its MX record is null (a
//! dot).
//!
//! # Why it matters
//!
//! Somebody published that to keep others from using the name. Receivers may refuse mail from a domain that takes no
//! answers.
//!
//! # What to do
//!
//! 1. Ask whoever published it whether it still holds.
//! 2. If mail is to be sent: name the senders in the SPF record, and give the domain an MX record of a host that
//!    takes replies.
//!
//! # References
//!
//! - RFC 7208 §10.1.2
//! - RFC 7505 §4.2

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    plan::{Expected, Plan},
    report::RecordReport,
    view::{Fact, View},
};
use mail::spf::{Mechanism, Qualifier, SpfRecord, TermKind};
use model::{Confidence, DomainName, RecordData, RecordStatus, RecordType, Severity};

/// An SPF record counts only where the plan's mail has that name as envelope sender; a domain may well refuse
/// everybody while its bounce host sends.
pub fn check(plan: &Plan, view: &View, records: &[RecordReport]) -> Option<Finding> {
    if !plan.is_for_sending() {
        return None;
    }
    let mut name = None;
    let mut declared = Vec::new();
    for report in records.iter().filter(|report| is_there(report.status)) {
        let (Expected::Spf { rules: Some(_) }, [record]) =
            (&report.planned.expected, report.current.as_slice())
        else {
            continue;
        };
        if allows_nobody(record) {
            name.get_or_insert_with(|| report.planned.owner.clone());
            declared.push(record.clone());
        }
    }
    if !has_planned_mx(plan) && has_null_mx(view, &plan.domain) {
        name = Some(plan.domain.clone());
        declared.push("MX 0 .".to_owned());
    }
    Some(Finding {
        defect: Defect::DomainSendsNoMail { name: name?, declared },
        severity: Severity::Info,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    })
}

/// Whether the record is at its name, be it the right one; a wildcard's answer is not.
fn is_there(status: RecordStatus) -> bool {
    !matches!(status, RecordStatus::Unknown | RecordStatus::Missing)
}

/// Whether the domain's own MX record is in the plan: then it has findings of its own.
pub fn has_planned_mx(plan: &Plan) -> bool {
    let is_mx = |expected: &Expected| matches!(expected, Expected::Mx { .. });
    plan.records.iter().any(|record| record.owner == plan.domain && is_mx(&record.expected))
}

fn has_null_mx(view: &View, domain: &DomainName) -> bool {
    let is_null = |data: &RecordData| matches!(data, RecordData::Mx { exchange, .. } if exchange.is_root());
    matches!(view.fact(domain, RecordType::Mx), Fact::Agreed(Says::Records(records)) if records.iter().any(is_null))
}

/// Whether `-all` is all that a record says.
fn allows_nobody(record: &str) -> bool {
    let refusal = b"-all";
    if !record.as_bytes().windows(refusal.len()).any(|part| part.eq_ignore_ascii_case(refusal)) {
        return false;
    }
    let Ok(record) = SpfRecord::parse(record) else { return false };
    let mut kinds = record
        .terms
        .iter()
        .map(|term| &term.kind)
        .filter(|kind| matches!(kind, TermKind::Directive(_) | TermKind::Redirect(_)));
    let is_refusal = |kind: &TermKind| match kind {
        TermKind::Directive(directive) => {
            directive.mechanism == Mechanism::All && directive.qualifier == Qualifier::Fail
        }
        _ => false,
    };
    kinds.next().is_some_and(is_refusal)
}
