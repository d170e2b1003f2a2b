//! Old TXT records stand beside the new one
//!
//! The TXT record is right, and beside it are others that it was meant to replace.
//!
//! # Why it matters
//!
//! Whoever reads the name may take an old value for the one that counts.
//!
//! # What to do
//!
//! 1. Remove the TXT records shown. Leave all others, and the right one, as they are.
//!
//! # References
//!
//! - RFC 1035 §3.3.14
//! - draft-ietf-dconn-domainconnect §10.4

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};
use model::{RecordType, Severity};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Txt { value, conflict } = &context.record.expected else { return None };
    let found: Vec<String> =
        context.texts_kept().into_iter().filter(|text| conflict.displaces(text, value)).collect();
    if found.is_empty() {
        return None;
    }
    let name = context.record.owner.clone();
    let remedy =
        Remedy::Remove { name: name.clone(), record_types: vec![RecordType::Txt], values: found.clone() };
    let defect = Defect::TxtConflicting { name, expected: value.clone(), found };
    Some(context.finding(defect, Severity::Warning, remedy))
}
