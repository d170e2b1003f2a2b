//! The DKIM key is marked as a test
//!
//! The DKIM record has the flag t=y.
//!
//! # Why it matters
//!
//! Receivers may treat signed mail as if it were not signed.
//!
//! # What to do
//!
//! 1. Take t=y out of the record once signed mail passes.
//!
//! # References
//!
//! - RFC 6376 §3.6.1

use super::{Context, kept};
use crate::{
    finding::{Defect, Finding, Remedy},
    repair,
};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    if !context.key()?.ok()?.testing {
        return None;
    }
    let remedy = match context.expected_key() {
        _ if context.key_is_ours() => Remedy::AskOperator,
        Some(_) => context.replace(kept(texts)),
        None if context.alias().is_some() => Remedy::AskOperator,
        None => texts
            .first()
            .and_then(|text| Some(context.replace_text(text, repair::dkim_in_earnest(text)?)))
            .unwrap_or(Remedy::Nothing),
    };
    Some(context.finding(
        Defect::DkimTesting { name: context.record.owner.clone() },
        Severity::Warning,
        remedy,
    ))
}
