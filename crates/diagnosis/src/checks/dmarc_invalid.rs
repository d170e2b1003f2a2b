//! The DMARC record is ignored
//!
//! A record is at the name, and receivers ignore it because of how it is written: it does not begin with v=DMARC1 and
//! a semicolon, or has no policy that can be used.
//!
//! # Why it matters
//!
//! An ignored record protects nothing and brings no reports.
//!
//! # What to do
//!
//! 1. Replace the record by one that starts with v=DMARC1 and has a valid p= tag. Keep your own policy and rua
//!    addresses.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9989 §4.8

use super::{Context, dmarc_inherited, dmarc_records};
use crate::{
    finding::{Defect, Finding},
    near_miss,
    plan::Expected,
};
use mail::dmarc::{PolicyRecord, PolicyRecordError};

/// Where what was meant can be read, it is what is proposed.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Dmarc { .. } = context.record.expected else { return None };
    let texts = context.texts();
    let (record, reason) = match dmarc_records(texts).as_slice() {
        [one] => (one.clone(), PolicyRecord::parse(one).err()?),
        // `v=dmarc1` is no DMARC record to a receiver, but somebody meant it to be one. What is behind an alias is
        // another name's.
        [] if context.alias().is_none() => {
            (texts.iter().find(|text| is_meant(text))?.to_string(), PolicyRecordError::NotDmarc)
        }
        _ => return None,
    };
    let (version, meant) = near_miss::dmarc(&record).unzip();
    let usable = meant.as_deref().and_then(near_miss::usable_dmarc);
    let kept = usable.is_some();
    let remedy = match usable {
        Some(usable) => context.replace_text(&record, usable),
        None => context.replace(vec![record.clone()]),
    };
    let (name, version) = (context.record.owner.clone(), version.flatten());
    let applies = dmarc_inherited::inherited(context);
    let defect = Defect::DmarcInvalid { name, record, reason: reason.to_string(), version, kept, applies };
    Some(context.finding(defect, context.severity(), remedy))
}

fn is_meant(text: &str) -> bool {
    text.trim_start().to_ascii_lowercase().starts_with("v=dmarc1") || near_miss::dmarc(text).is_some()
}
