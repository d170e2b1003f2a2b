//! Parts of the DMARC record are ignored
//!
//! The record has tags that are unknown, or whose value is not valid.
//!
//! # Why it matters
//!
//! Receivers pass them by and use what holds without them.
//!
//! # What to do
//!
//! 1. Look whether something else was meant, and correct it.
//!
//! # References
//!
//! - RFC 9989 §4.7

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

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
