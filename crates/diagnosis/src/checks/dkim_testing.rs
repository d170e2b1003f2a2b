//! A DKIM key in testing.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

/// The DKIM record has the flag `t=y`.
///
/// It tells receivers that the domain tests DKIM: they may treat signed mail as if it were not signed. Take the flag
/// out once signing works.
///
/// Source: RFC 6376 §3.6.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    if !context.key()?.ok()?.testing {
        return None;
    }
    let remedy = match context.expected_key() {
        _ if context.key_is_ours() => Remedy::AskOperator,
        Some(_) => context.replace(texts.to_vec()),
        None => Remedy::Nothing,
    };
    Some(context.finding(
        Defect::DkimTesting { name: context.record.owner.clone() },
        Severity::Warning,
        remedy,
    ))
}
