//! A DMARC record that asks for no reports.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

/// The DMARC record has no `rua=`.
///
/// Without reports nobody sees who sends in this name, or what a stricter policy would hit. Add an address.
///
/// Source: RFC 9989 §4.7, RFC 9990.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    let is_meant = parsed.ignored_tags.iter().any(|tag| tag.name == "rua");
    if is_meant || !parsed.aggregate_reports.is_empty() {
        return None;
    }
    let defect = Defect::DmarcNoReports { name: context.record.owner.clone(), record: record.to_owned() };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
