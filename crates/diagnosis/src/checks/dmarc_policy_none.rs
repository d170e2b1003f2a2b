//! The DMARC policy is none
//!
//! The DMARC record has p=none.
//!
//! # Why it matters
//!
//! It is the right start, and it keeps nobody out: receivers report and do nothing else.
//!
//! # What to do
//!
//! 1. Read the aggregate reports of two to four weeks.
//! 2. When every legitimate source passes, publish p=quarantine.
//! 3. Read on for some weeks, then publish p=reject.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9989 §5.1

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    repair,
};
use mail::dmarc::{Policy, with_tag};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if parsed.policy != Policy::None || parsed.policy_defaulted {
        return None;
    }
    let next = with_tag(&repair::dmarc(context, record, parsed), "p", "quarantine");
    let defect =
        Defect::DmarcPolicyNone { name: context.record.owner.clone(), record: record.to_owned(), next };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
