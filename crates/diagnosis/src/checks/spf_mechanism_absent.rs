//! Receivers do not find our part of the SPF record
//!
//! An SPF record is there, and our part is not in it, or stands behind all, where it is never reached.
//!
//! # Why it matters
//!
//! Mail that this service sends with this domain as envelope sender (MAIL FROM) does not pass SPF.
//!
//! # What to do
//!
//! 1. Replace the record by the one shown: the one that is there, with our part in front of all.
//!
//! # References
//!
//! - RFC 7208 §4.6.2
//! - RFC 7208 §4.6.4
//! - RFC 7208 §5.1
//! - RFC 7208 §5.2

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    repair, spf_tree,
};

/// Where the merged record would need more look-ups than receivers make, what can go is named.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules: Some(rules) } = &context.record.expected else { return None };
    let records = spf_records(context.texts());
    let [current] = records.as_slice() else { return None };
    let name = context.record.owner.clone();
    // Everything else is kept to the letter, unless receivers would still see an error or let everyone pass.
    let repaired = if context.spf_errors().is_empty() { None } else { repair::spf(context) };
    let replace_with = repaired.unwrap_or_else(|| spf_tree::merge_one(current, rules));
    let (lookups_after, to_drop) = spf_tree::after_merge(context.view, &name, &replace_with, Some(rules));
    let slim = spf_tree::publishable(context.view, &name, replace_with, lookups_after, &to_drop);
    let remedy = slim.map_or(Remedy::Nothing, |record| context.replace_spf(current, record));
    let defect = Defect::SpfMechanismAbsent {
        name,
        current: current.clone(),
        rules: rules.clone(),
        lookups_after,
        to_drop,
    };
    Some(context.finding(defect, context.severity(), remedy))
}
