//! No server answers for the zone
//!
//! Other names are answered, and for this zone every server fails, refuses or stays silent, with DNSSEC validation
//! and without.
//!
//! # Why it matters
//!
//! Receivers cannot look anything up and defer the mail. It counts as unknown: a verified domain stays verified.
//!
//! # What to do
//!
//! 1. Nothing for now: it is checked again.
//! 2. If it stays, ask the DNS host whether its name servers are up, and whether the zone is still there.
//!
//! # References
//!
//! - RFC 9520 §2
//! - RFC 7208 §4.4
//! - RFC 6376 §6.1.2

use super::resolvers_unusable::MAX_REASONS;
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Plan,
    report::RecordReport,
    view::View,
};
use model::{Confidence, RecordStatus, Severity};

pub fn check(plan: &Plan, view: &View, records: &[RecordReport], findings: &[Finding]) -> Option<Finding> {
    let is_unanswered = |record: &RecordReport| {
        let of_record = |finding: &&Finding| finding.record.as_ref() == Some(&record.planned.key);
        record.status == RecordStatus::Unknown
            && findings
                .iter()
                .filter(of_record)
                .any(|finding| matches!(finding.defect, Defect::DnsUnanswered { .. }))
            && record.seen.iter().all(|seen| seen.right.is_none())
    };
    if records.is_empty() || !records.iter().all(is_unanswered) {
        return None;
    }
    let mut reasons: Vec<String> = Vec::new();
    for finding in findings {
        let Defect::DnsUnanswered { reasons: of_record, .. } = &finding.defect else { continue };
        for reason in of_record {
            if reasons.len() < MAX_REASONS && !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
    }
    let zone = view.zone_of(&plan.domain).unwrap_or_else(|| plan.domain.clone());
    Some(Finding {
        defect: Defect::ZoneUnserved { zone, reasons },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::CheckAgain,
    })
}
