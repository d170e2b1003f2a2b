//! SPF is near the limit of look-ups
//!
//! The SPF record, with all that it includes, needs eight to ten of the ten look-ups that receivers make.
//!
//! # Why it matters
//!
//! Nothing is wrong yet. Included records belong to others and grow: one more look-up too many ends SPF for all
//! senders.
//!
//! # What to do
//!
//! 1. Before another service is added, take one out that no longer sends.
//!
//! # References
//!
//! - RFC 7208 §4.6.4

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    spf_tree,
};
use mail::spf::MAX_LOOKUPS;
use model::Severity;

/// From how many look-ups on it is said: one more service may be too many.
const NEAR: usize = 8;

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
