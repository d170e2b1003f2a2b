//! The SPF record does not evaluate
//!
//! The SPF record has a mistake in how it is written, or a TXT record was meant as SPF and does not begin with v=spf1
//! and a space.
//!
//! # Why it matters
//!
//! Receivers count the whole record as an error, or do not see that it is one: mail of every service in it fails SPF.
//!
//! # What to do
//!
//! 1. Mend the part that is named. The record shown keeps all that can be read of the one that is there.
//!
//! # References
//!
//! - RFC 7208 §4.5
//! - RFC 7208 §4.6
//! - RFC 7208 §4.6.4

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    near_miss,
    plan::Expected,
    repair, spf_tree,
};
use mail::spf::{SpfRecord, SpfSyntaxError};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules } = &context.record.expected else { return None };
    let texts = context.texts();
    let (record, meant, reason, version) = match spf_records(texts).as_slice() {
        [one] => (one.clone(), one.clone(), SpfRecord::parse(one).err()?, None),
        // What is behind an alias is another name's.
        [] if context.alias().is_none() => {
            let (text, near) = texts.iter().find_map(|text| Some((text, near_miss::spf(text)?)))?;
            (text.to_string(), near.meant, SpfSyntaxError::NoVersion, Some(near.slip))
        }
        _ => return None,
    };
    let (remedy, lost) = match repair::spf_syntax(&meant) {
        Ok(mended) => {
            let merged = rules.as_deref().map(|rules| spf_tree::merge_one(&mended, rules));
            (context.replace_spf(&record, merged.unwrap_or(mended)), Vec::new())
        }
        Err(lost) => (Remedy::Nothing, lost),
    };
    let name = context.record.owner.clone();
    let defect = Defect::SpfInvalid { name, record, reason: reason.to_string(), lost, version };
    Some(context.finding(defect, context.severity(), remedy))
}
