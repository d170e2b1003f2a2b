//! The DKIM key is revoked
//!
//! The DKIM record is there with an empty p= tag.
//!
//! # Why it matters
//!
//! Every signature that names a revoked key fails.
//!
//! # What to do
//!
//! 1. Replace the record by the one shown.
//!
//! # References
//!
//! - RFC 6376 §3.6.1

use super::{Context, kept};
use crate::finding::{Defect, Finding, Remedy};
use mail::dkim::KeyKind;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    if context.key()?.ok()?.kind != KeyKind::Revoked {
        return None;
    }
    let remedy = if context.key_is_ours() { Remedy::AskOperator } else { context.replace(kept(texts)) };
    Some(context.finding(
        Defect::DkimKeyRevoked { name: context.record.owner.clone() },
        context.severity(),
        remedy,
    ))
}
