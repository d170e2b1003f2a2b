//! SPF needs too many look-ups
//!
//! The SPF record, with all that it includes, makes receivers do more than ten look-ups, or an mx in it names more
//! than ten hosts.
//!
//! # Why it matters
//!
//! Receivers stop at the limit with a permanent error: senders that stand in the record behind that place do not pass
//! SPF; those before it still do.
//!
//! # What to do
//!
//! 1. Take out includes of services that no longer send for you.
//! 2. Write the ip4: and ip6: ranges of a service in place of its include, where it publishes them.
//! 3. Send with a subdomain that has an SPF record of its own.
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
