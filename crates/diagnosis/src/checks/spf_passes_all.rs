//! An SPF record that lets everyone send.

use super::Context;
use crate::finding::{Defect, Finding};
use model::Severity;

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
    let is_cause = |term: &mail::spf::SpfNodeTerm| {
        is_all(&term.text)
            || term.leads_to.as_ref().is_some_and(|node| node.passes_all)
            || (term.text.to_ascii_lowercase().contains("ip4:") && term.text.ends_with("/0"))
    };
    let cause = tree.terms.iter().filter(|term| term.reached).find(|term| is_cause(term))?.text.clone();
    let terms = record.split(' ').filter_map(|term| match term {
        all if is_all(all) => Some("~all"),
        other if other == cause => None,
        other => Some(other),
    });
    let remedy = context.replace_spf(record, terms.collect::<Vec<_>>().join(" "));
    let defect =
        Defect::SpfPassesAll { name: context.record.owner.clone(), record: record.to_owned(), term: cause };
    Some(context.finding(defect, Severity::Warning, remedy))
}
