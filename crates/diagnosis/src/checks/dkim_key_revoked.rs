//! A DKIM record with an empty key.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dkim::KeyState;

/// The DKIM record is there with an empty `p=`.
///
/// That is how a key is revoked: every signature with it fails. Replace it by the planned one.
///
/// Source: RFC 6376 §3.6.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    if context.key()?.ok()?.key != KeyState::Revoked {
        return None;
    }
    let remedy = if context.key_is_ours() { Remedy::AskOperator } else { context.replace(texts.to_vec()) };
    Some(context.finding(
        Defect::DkimKeyRevoked { name: context.record.owner.clone() },
        context.severity(),
        remedy,
    ))
}
