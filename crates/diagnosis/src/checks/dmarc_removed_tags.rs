//! The DMARC record has tags that no longer exist
//!
//! The record has pct, rf or ri, which the present standard removed.
//!
//! # Why it matters
//!
//! Receivers act as if they were not there: a policy for a share of the mail is one for all of it.
//!
//! # What to do
//!
//! 1. Take them out.
//! 2. For a careful start, use t=y.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9989 Appendix C

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if parsed.removed_tags.is_empty() {
        return None;
    }
    let remedy = context.replace_text(record, repair::dmarc(context, record, parsed));
    let defect = Defect::DmarcRemovedTags {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        tags: parsed.removed_tags.clone(),
    };
    // Many records still say what holds anyhow.
    let severity = if is_for_a_share(record) { Severity::Warning } else { Severity::Info };
    Some(context.finding(defect, severity, remedy))
}

/// Whether the policy was meant for a share of the mail only.
fn is_for_a_share(record: &str) -> bool {
    let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
    tags.any(|(name, value)| name.trim().eq_ignore_ascii_case("pct") && value.trim() != "100")
}
