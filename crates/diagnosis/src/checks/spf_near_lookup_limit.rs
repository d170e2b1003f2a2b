//! Near the limit of look-ups.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    spf_tree,
};
use mail::spf::MAX_LOOKUPS;
use model::Severity;

/// From how many look-ups on it is said: one more service may be too many.
const NEAR: usize = 8;

/// The record needs eight to ten look-ups.
///
/// Nothing is wrong. The records that it includes belong to others and grow: one more include can end SPF for all.
///
/// Source: RFC 7208 §4.6.4.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    if !(NEAR..=MAX_LOOKUPS).contains(&tree.lookups) {
        return None;
    }
    let defect = Defect::SpfNearLookupLimit {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        lookups: tree.lookups,
        costs: spf_tree::costs(tree),
    };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
