//! A short RSA key.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dkim::KeyState;
use model::Severity;

/// The RSA key has fewer than 2048 bits.
///
/// Below 1024 bits verifiers must ignore it; 1024 bits are accepted and no longer recommended. Publish a key of
/// 2048 bits.
///
/// Source: RFC 8301 §3.2.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    let KeyState::Rsa { bits, .. } = &context.key()?.ok()?.key else { return None };
    let bits = u32::try_from(*bits).ok()?;
    if bits >= 2048 {
        return None;
    }
    let severity = if bits < 1024 { Severity::Error } else { Severity::Warning };
    let remedy = match context.expected_key() {
        Some(_) if context.key_is_ours() => Remedy::AskOperator,
        Some(_) => context.replace(texts.to_vec()),
        None => Remedy::AskOperator,
    };
    Some(context.finding(Defect::DkimKeyWeak { name: context.record.owner.clone(), bits }, severity, remedy))
}
