//! Nobody gets DMARC reports
//!
//! The DMARC record has no rua=.
//!
//! # Why it matters
//!
//! Without reports nobody sees who sends in this name, or what a stricter policy would hit.
//!
//! # What to do
//!
//! 1. Add rua=mailto: with an address that somebody reads.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9990 §3

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    let is_meant = parsed.ignored_tags.iter().any(|tag| tag.name == "rua");
    if is_meant || !parsed.aggregate_reports.is_empty() {
        return None;
    }
    let defect = Defect::DmarcNoReports { name: context.record.owner.clone(), record: record.to_owned() };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
