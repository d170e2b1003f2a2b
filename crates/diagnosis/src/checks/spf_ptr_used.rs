//! SPF uses ptr
//!
//! The SPF record, or one that it includes, has a part that says ptr.
//!
//! # Why it matters
//!
//! It is slow, it fails where reverse DNS fails, and some receivers pass it by. The standard says not to use it.
//!
//! # What to do
//!
//! 1. Write the addresses with ip4: and ip6:, or name the hosts with a:.
//!
//! # References
//!
//! - RFC 7208 §5.5

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    let is_ptr = |text: &str| {
        let bare = text.trim_start_matches(['+', '-', '~', '?']);
        bare.eq_ignore_ascii_case("ptr")
            || bare.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ptr:"))
    };
    if !tree.has_reached(&|term| is_ptr(&term.text)) {
        return None;
    }
    let terms: Vec<String> = tree
        .reached()
        .into_iter()
        .filter(|(_, term)| is_ptr(&term.text))
        .map(|(domain, term)| format!("{} at {domain}", term.text))
        .collect();
    let defect = Defect::SpfPtrUsed { name: context.record.owner.clone(), record: record.to_owned(), terms };
    let is_own = tree.terms.iter().any(|term| term.reached && is_ptr(&term.text));
    // What another service's record does, this domain's owner cannot mend.
    let severity = if is_own { Severity::Warning } else { Severity::Info };
    Some(context.finding(defect, severity, Remedy::Nothing))
}
