//! The DKIM record is discarded
//!
//! A record is at the selector, and receivers discard it because of how it is written.
//!
//! # Why it matters
//!
//! A discarded record is no key: signatures fail as if none were there.
//!
//! # What to do
//!
//! 1. Replace the value by the one shown, exactly: v=DKIM1 stands first, and the key has no quotes or backslashes in
//!    it.
//!
//! # References
//!
//! - RFC 6376 §3.6.1
//! - RFC 8463 §4.2

use super::{Context, kept};
use crate::{
    finding::{Defect, Finding, Remedy},
    repair,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    let [found] = texts else { return None };
    let reason = match context.key()? {
        Err(reason) => reason.to_owned(),
        Ok(key) if !key.serves_mail => "its h= or s= tag rules out SHA-256 or mail".to_owned(),
        Ok(_) => return None,
    };
    let defect =
        Defect::DkimKeyInvalid { name: context.record.owner.clone(), found: found.to_string(), reason };
    let remedy = match context.expected_key() {
        _ if context.key_is_ours() => Remedy::AskOperator,
        // Nobody but whoever the alias leads to can change it.
        None if context.alias().is_some() => Remedy::AskOperator,
        None => repair::dkim_syntax(found)
            .map_or_else(|| context.replace(kept(texts)), |mended| context.replace_text(found, mended)),
        Some(_) => context.replace(kept(texts)),
    };
    Some(context.finding(defect, context.severity(), remedy))
}
