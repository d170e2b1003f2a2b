//! The TXT record has another value
//!
//! TXT records are at the name, and none has the expected value.
//!
//! # Why it matters
//!
//! A proof or policy counts only when it is exact: one character more or less is another value.
//!
//! # What to do
//!
//! 1. Add the record shown, or correct the one that was meant to be it. Other TXT records at the name may stay.
//!
//! # References
//!
//! - RFC 1035 §3.3.14

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// Others may stay beside it, unless the plan says that ours takes their place.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Txt { value, conflict } = &context.record.expected else { return None };
    let found = context.texts_kept();
    if found.is_empty() {
        return None;
    }
    let displaced: Vec<String> =
        found.iter().filter(|text| conflict.displaces(text, value)).cloned().collect();
    let remedy = if displaced.is_empty() { context.add() } else { context.replace(displaced) };
    let defect = Defect::TxtWrongValue { name: context.record.owner.clone(), expected: value.clone(), found };
    Some(context.finding(defect, context.severity(), remedy))
}
