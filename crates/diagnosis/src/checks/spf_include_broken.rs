//! A part of SPF ends in an error
//!
//! A part of the SPF record leads to a name without an SPF record, with several, or with one that does not parse.
//!
//! # Why it matters
//!
//! Receivers count the whole record as an error for every sender that the parts before it do not name.
//!
//! # What to do
//!
//! 1. Take the part out, or ask the service that it belongs to for the right name.
//!
//! # References
//!
//! - RFC 7208 §5.2
//! - RFC 7208 §6.1

use super::Context;
use crate::finding::{Defect, Finding};
use mail::spf::{SpfNodeProblem, SpfNodeTerm};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    let is_problem = |term: &SpfNodeTerm| term.leads_to.as_ref().is_some_and(|node| node.problem.is_some());
    if !tree.has_reached(&is_problem) {
        return None;
    }
    let problem = tree.reached().into_iter().find_map(|(at, term)| {
        let node = term.leads_to.as_deref()?;
        match node.problem.as_ref()? {
            SpfNodeProblem::NoRecord => Some(format!("\"{}\" at {at} leads to no SPF record", term.text)),
            SpfNodeProblem::MultipleRecords(count) => {
                Some(format!("{} has {count} SPF records (\"{}\" at {at})", node.domain, term.text))
            }
            SpfNodeProblem::Syntax(error) => {
                Some(format!("the SPF record of {} is not valid: {error}", node.domain))
            }
            SpfNodeProblem::Loop | SpfNodeProblem::Unanswered(_) | SpfNodeProblem::NotFollowed => None,
        }
    })?;
    let defect =
        Defect::SpfIncludeBroken { name: context.record.owner.clone(), record: record.to_owned(), problem };
    Some(context.finding(defect, context.severity(), context.repair_spf()))
}
