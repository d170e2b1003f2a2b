//! A DKIM record that verifiers discard.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};

/// The DKIM record does not parse.
///
/// A verifier discards it and treats the signature as if there were no key. Replace it by the planned one.
///
/// Source: RFC 6376 §3.6.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    let [found] = texts else { return None };
    let reason = match context.key()? {
        Err(reason) => reason.to_owned(),
        Ok(key) if !key.serves_mail() => "its h= or s= tag rules out SHA-256 or mail".to_owned(),
        Ok(_) => return None,
    };
    let defect = Defect::DkimKeyInvalid { name: context.record.owner.clone(), found: found.clone(), reason };
    let remedy = if context.key_is_ours() { Remedy::AskOperator } else { context.replace(texts.to_vec()) };
    Some(context.finding(defect, context.severity(), remedy))
}
