//! A DMARC record without a usable policy.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};
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
    let tags = repair::unusable_policies(parsed).map(|tag| format!("{}={}", tag.name, tag.value)).collect();
    let remedy = context.replace_text(record, repair::dmarc(context, record, parsed));
    let defect =
        Defect::DmarcPolicyUnusable { name: context.record.owner.clone(), record: record.to_owned(), tags };
    Some(context.finding(defect, Severity::Warning, remedy))
}
