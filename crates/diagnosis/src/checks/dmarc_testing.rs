//! The DMARC policy is being tested
//!
//! The DMARC record has t=y.
//!
//! # Why it matters
//!
//! Receivers act one step lower than the record says.
//!
//! # What to do
//!
//! 1. When the reports show that all is well, take t=y out.
//!
//! # References
//!
//! - RFC 9989 §4.7

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dmarc::Policy;
use model::Severity;

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
