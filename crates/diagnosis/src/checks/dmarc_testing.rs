//! A DMARC policy that is being tested.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dmarc::Policy;
use model::Severity;

/// The DMARC record has `t=y`.
///
/// Receivers act a step lower than the record says: quarantine in place of reject, nothing in place of quarantine.
/// When the reports show that all goes well, take it out.
///
/// Source: RFC 9989 §4.7.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if !parsed.testing || parsed.policy == Policy::None {
        return None;
    }
    let applied = match parsed.policy {
        Policy::Reject => Policy::Quarantine,
        Policy::Quarantine | Policy::None => Policy::None,
    };
    let defect = Defect::DmarcTesting {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        requested: parsed.policy,
        applied,
    };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
