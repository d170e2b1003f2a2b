//! The value is cut off
//!
//! The TXT record holds only the beginning of the value.
//!
//! # Why it matters
//!
//! One string of a TXT record holds 255 characters, and some panels drop what is longer. A key that is cut off is no
//! key.
//!
//! # What to do
//!
//! 1. Enter the whole value.
//! 2. Where the panel refuses, split it into strings of 255 characters.
//!
//! # References
//!
//! - RFC 1035 §3.3
//! - RFC 6376 §3.6.2.2

use super::{Context, kept};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.texts();
    let (found_length, expected_length) = match &context.record.expected {
        Expected::Dkim { public_key: Some(key), .. } => {
            let [found] = texts else { return None };
            let (before, found_key) = found.split_once("p=")?;
            let found_key: String = found_key.chars().filter(|c| !c.is_whitespace()).collect();
            is_start(&found_key, key)
                .then(|| (found.chars().count(), before.chars().count() + 2 + key.len()))?
        }
        Expected::Txt { value, .. } => {
            let found = texts.iter().find(|text| is_start(text, value))?;
            (found.chars().count(), value.chars().count())
        }
        _ => return None,
    };
    let defect = Defect::TxtCutOff { name: context.record.owner.clone(), found_length, expected_length };
    Some(context.finding(defect, context.severity(), context.replace(kept(texts))))
}

/// Whether the one is the beginning of the other, and long enough for that to be no chance.
fn is_start(found: &str, whole: &str) -> bool {
    const TELLING: usize = 16;
    found.len() >= TELLING && found.len() < whole.len() && whole.starts_with(found)
}
