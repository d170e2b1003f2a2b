//! Tags that receivers ignore.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

/// The DMARC record has tags that are unknown, or whose value is not valid.
///
/// Receivers pass them by and use what holds without them. Look whether something else was meant.
///
/// Source: RFC 9989 §4.7.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    // Addresses and policies have findings of their own.
    let is_told = |name: &str| matches!(name, "rua" | "ruf" | "p" | "sp" | "np");
    let tags: Vec<String> = parsed
        .ignored_tags
        .iter()
        .filter(|tag| !is_told(&tag.name))
        .map(|tag| format!("{}={}", tag.name, tag.value))
        .collect();
    if tags.is_empty() {
        return None;
    }
    let defect =
        Defect::DmarcTagsIgnored { name: context.record.owner.clone(), record: record.to_owned(), tags };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
