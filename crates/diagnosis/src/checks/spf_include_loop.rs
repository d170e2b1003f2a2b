//! SPF includes itself
//!
//! Following the includes of the SPF record leads back to a record that was passed already.
//!
//! # Why it matters
//!
//! Receivers go round until they reach their limit, and then count the whole record as an error.
//!
//! # What to do
//!
//! 1. Take out the include that leads back.
//!
//! # References
//!
//! - RFC 7208 §4.6.4
//! - RFC 7208 §5.2

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::spf::{SpfNodeProblem, SpfNodeTerm};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    let is_loop = |term: &SpfNodeTerm| {
        term.leads_to.as_ref().is_some_and(|node| node.problem == Some(SpfNodeProblem::Loop))
    };
    if !tree.has_reached(&is_loop) {
        return None;
    }
    let (at, again) = tree.reached().into_iter().find_map(|(at, term)| {
        let node = term.leads_to.as_deref()?;
        (node.problem == Some(SpfNodeProblem::Loop)).then(|| (at.clone(), node.domain.clone()))
    })?;
    let name = context.record.owner.clone();
    let remedy = if at == name { context.repair_spf() } else { Remedy::Nothing };
    let defect = Defect::SpfIncludeLoop { name, record: record.to_owned(), again, at };
    Some(context.finding(defect, context.severity(), remedy))
}
