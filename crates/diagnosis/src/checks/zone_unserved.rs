//! Nobody answers for the zone.

use super::resolvers_unusable::MAX_REASONS;
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Plan,
    report::RecordReport,
    view::View,
};
use model::{Confidence, RecordStatus, Severity};

/// Other names are answered, and for this zone no server says anything: neither its name servers nor the resolvers,
/// with DNSSEC validation or without.
///
/// Its name servers are down or do not serve the zone. That may pass by itself, and nothing is taken from the
/// domain; mail from it is deferred meanwhile. Tell the DNS host.
///
/// Source: RFC 9520 §2, RFC 7208 §4.4, RFC 6376 §6.1.2.
pub fn check(
    plan: &Plan,
    view: &View<'_>,
    records: &[RecordReport],
    findings: &[Finding],
) -> Option<Finding> {
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
