//! An include that ends in an error.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    spf_tree,
};
use mail::spf::SpfProblem;

/// A term of the record leads to a name without an SPF record, with several, or with one that does not parse.
///
/// That makes the whole record a permanent error for every sender that the terms before it do not match. Take the
/// term out, or mend what it leads to.
///
/// Source: RFC 7208 §5.2, §6.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { .. } = context.record.expected else { return None };
    let outcome = spf_tree::evaluate(context.view, &context.record.owner)?.ok()?;
    let problem = outcome.problem?;
    let is_lasting = matches!(
        problem,
        SpfProblem::NoRecord(_)
            | SpfProblem::MultipleRecords(_)
            | SpfProblem::Syntax { .. }
            | SpfProblem::TargetWithoutRecord { .. }
    );
    if !is_lasting {
        return None;
    }
    let record = spf_records(&context.texts()).into_iter().next()?;
    let defect =
        Defect::SpfIncludeBroken { name: context.record.owner.clone(), record, problem: problem.to_string() };
    Some(context.finding(defect, context.severity(), Remedy::Nothing))
}
