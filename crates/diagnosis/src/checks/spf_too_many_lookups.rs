//! More look-ups than receivers make.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    spf_tree,
};
use mail::spf::MAX_LOOKUPS;

/// The record, with all that it includes, needs more than ten DNS look-ups, or an `mx` names more than ten hosts.
///
/// That is a permanent error: receivers stop, and nobody passes. Take out what is not needed any more, or write
/// addresses in place of an include.
///
/// Source: RFC 7208 §4.6.4.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    if tree.lookups <= MAX_LOOKUPS && !tree.has_reached(&|term| term.too_many_hosts) {
        return None;
    }
    let wide_mx = || tree.reached().into_iter().find(|(_, term)| term.too_many_hosts);
    let (domain, term) = tree.first_past(MAX_LOOKUPS).or_else(wide_mx)?;
    let defect = Defect::SpfTooManyLookups {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        term: format!("{} at {domain}", term.text),
        lookups: tree.lookups,
        costs: spf_tree::costs(tree),
        to_drop: spf_tree::to_drop(tree, context.spf_rules()),
    };
    Some(context.finding(defect, context.severity(), Remedy::Nothing))
}
