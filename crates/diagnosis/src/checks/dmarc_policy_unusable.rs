//! A DMARC record without a usable policy.

use super::Context;
use crate::finding::{Defect, Finding};
use mail::dmarc::with_tag;
use model::Severity;

/// `p=` is missing or not valid, or `sp=` or `np=` is not, and the record asks for reports.
///
/// Receivers then take it for `p=none`, whatever was meant. Write the policy as `none`, `quarantine` or `reject`.
///
/// Source: RFC 9989 §4.7.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if !parsed.policy_defaulted {
        return None;
    }
    let bad: Vec<String> = parsed
        .ignored_tags
        .iter()
        .filter(|tag| matches!(tag.name.as_str(), "sp" | "np"))
        .map(|tag| tag.name.clone())
        .collect();
    let mut value = mail::dmarc::without_tags(&record, &bad);
    // A policy that is there and valid is kept: then only sp or np stood in the way.
    if mail::dmarc::PolicyRecord::parse(&value).is_ok_and(|again| again.policy_defaulted) {
        value = with_tag(&value, "p", "none");
    }
    let remedy = context.replace_text(&record, value);
    let defect = Defect::DmarcPolicyUnusable { name: context.record.owner.clone(), record };
    Some(context.finding(defect, Severity::Warning, remedy))
}
