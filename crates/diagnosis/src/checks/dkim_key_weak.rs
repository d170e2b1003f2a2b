//! The DKIM key is short
//!
//! The RSA key has fewer than 2048 bits.
//!
//! # Why it matters
//!
//! Receivers ignore RSA keys below 1024 bits, and keys of 2048 bits are recommended: shorter ones can be forged.
//!
//! # What to do
//!
//! 1. Have the sending service make a key of 2048 bits, and publish it at a selector of its own.
//!
//! # References
//!
//! - RFC 8301 §3.2

use super::{Context, kept};
use crate::finding::{Defect, Finding, Remedy};
use mail::dkim::KeyKind;
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    let KeyKind::Rsa { bits } = context.key()?.ok()?.kind else { return None };
    let bits = u32::try_from(bits).ok()?;
    if bits >= 2048 {
        return None;
    }
    let severity = if bits < 1024 { Severity::Error } else { Severity::Warning };
    let remedy = match context.expected_key() {
        Some(_) if context.key_is_ours() => Remedy::AskOperator,
        Some(_) => context.replace(kept(texts)),
        None => Remedy::AskOperator,
    };
    Some(context.finding(Defect::DkimKeyWeak { name: context.record.owner.clone(), bits }, severity, remedy))
}
