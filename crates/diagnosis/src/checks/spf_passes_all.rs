//! An SPF record that lets everyone send.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};

/// The record lets every client pass: it ends in `+all`, names the whole internet as a range, or includes a record
/// that does.
///
/// Every machine in the world passes SPF for this domain. End it in `~all`, and take out what lets everyone pass.
///
/// Source: RFC 7208 §5.1, §11.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    if !tree.passes_all {
        return None;
    }
    let is_all = |term: &str| term.eq_ignore_ascii_case("all") || term.eq_ignore_ascii_case("+all");
    let is_cause = |term: &mail::spf::SpfNodeTerm| is_all(&term.text) || repair::lets_everyone_pass(term);
    let cause = tree.terms.iter().filter(|term| term.reached).find(|term| is_cause(term))?.text.clone();
    let defect =
        Defect::SpfPassesAll { name: context.record.owner.clone(), record: record.to_owned(), term: cause };
    Some(context.finding(defect, context.severity(), context.repair_spf()))
}
