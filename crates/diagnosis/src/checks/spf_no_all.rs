//! SPF says nothing about other senders
//!
//! The SPF record ends in ?all, or without all and without redirect.
//!
//! # Why it matters
//!
//! Senders that are not in the record get a neutral result, as if there were no record: it keeps nobody out.
//!
//! # What to do
//!
//! 1. End the record in ~all.
//!
//! # References
//!
//! - RFC 7208 §4.7
//! - RFC 7208 §8.2

use super::Context;
use crate::finding::{Defect, Finding};
use mail::spf::SpfNode;
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    if tree.passes_all || tree.problem.is_some() {
        return None;
    }
    let ending = ending(tree)?;
    let remedy = context.repair_spf();
    let defect = Defect::SpfNoAll { name: context.record.owner.clone(), record: record.to_owned(), ending };
    Some(context.finding(defect, Severity::Warning, remedy))
}

/// How a record ends when that is with a neutral result; `None` for any other end, and where the end is not known.
#[expect(clippy::option_option, reason = "the outer says whether it is so, the inner by which term")]
fn ending(node: &SpfNode) -> Option<Option<String>> {
    if node.problem.is_some() {
        return None;
    }
    let end = node
        .terms
        .iter()
        .find(|term| term.text.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all"));
    if let Some(end) = end {
        return end.text.starts_with('?').then(|| Some(end.text.clone()));
    }
    match node.terms.iter().find(|term| is_redirect(&term.text)) {
        Some(redirect) => redirect.leads_to.as_deref().and_then(ending),
        None => Some(None),
    }
}

fn is_redirect(term: &str) -> bool {
    term.to_ascii_lowercase().starts_with("redirect=")
}
