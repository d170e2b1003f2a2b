//! An SPF record that lets everyone send.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};
use model::Severity;

/// The record ends in `+all`.
///
/// Every machine in the world passes SPF for this domain. End it in `~all`.
///
/// Source: RFC 7208 §5.1, §11.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { .. } = context.record.expected else { return None };
    let records = spf_records(&context.texts());
    let [record] = records.as_slice() else { return None };
    let passes = |term: &str| term.eq_ignore_ascii_case("all") || term.eq_ignore_ascii_case("+all");
    if !record.split_ascii_whitespace().any(passes) {
        return None;
    }
    let name = context.record.owner.clone();
    let replace_with =
        record.split(' ').map(|term| if passes(term) { "~all" } else { term }).collect::<Vec<_>>().join(" ");
    let remedy = Remedy::MergeSpf { name: name.clone(), current: vec![record.clone()], replace_with };
    Some(context.finding(Defect::SpfPassesAll { name, record: record.clone() }, Severity::Warning, remedy))
}
