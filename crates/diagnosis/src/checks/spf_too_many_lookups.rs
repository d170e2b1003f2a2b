//! More look-ups than receivers make.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    spf_tree,
};
use mail::spf::SpfProblem;

/// The record, with all that it includes, needs more than ten DNS look-ups, or more than two come back empty.
///
/// That is a permanent error: receivers stop, and nobody passes. Take out what is not needed any more, or write
/// addresses in place of an include.
///
/// Source: RFC 7208 §4.6.4.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { .. } = context.record.expected else { return None };
    let outcome = spf_tree::evaluate(context.view, &context.record.owner)?.ok()?;
    let term = match outcome.problem? {
        SpfProblem::TooManyLookups { domain, term } | SpfProblem::TooManyVoidLookups { domain, term } => {
            format!("{term} at {domain}")
        }
        SpfProblem::TooManyMailExchangers { domain, term } => format!("{term} at {domain}"),
        _ => return None,
    };
    let record = spf_records(&context.texts()).into_iter().next()?;
    let defect = Defect::SpfTooManyLookups { name: context.record.owner.clone(), record, term };
    Some(context.finding(defect, context.severity(), Remedy::Nothing))
}
