//! The DMARC policy cannot be used
//!
//! The record has no valid p=, or an sp= or np= that is not valid, and asks for reports.
//!
//! # Why it matters
//!
//! Receivers take it for p=none, whatever was meant.
//!
//! # What to do
//!
//! 1. Write each policy as none, quarantine or reject.
//!
//! # References
//!
//! - RFC 9989 §4.7

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if !parsed.policy_defaulted {
        return None;
    }
    let tags = repair::unusable_policies(parsed).map(|tag| format!("{}={}", tag.name, tag.value)).collect();
    let remedy = context.replace_text(record, repair::dmarc(context, record, parsed));
    let defect =
        Defect::DmarcPolicyUnusable { name: context.record.owner.clone(), record: record.to_owned(), tags };
    Some(context.finding(defect, Severity::Warning, remedy))
}
