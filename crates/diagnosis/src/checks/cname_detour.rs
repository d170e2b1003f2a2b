//! The alias reaches our key by way of another name
//!
//! The CNAME points at another name than the one that was given, and what is at its end is our key all the same.
//!
//! # Why it matters
//!
//! Signatures verify today. Where the other name holds a copy of the key, they stop to with the next key, and where it is
//! an alias itself, it is one more that can be lost.
//!
//! # What to do
//!
//! 1. Point the alias at the name shown.
//!
//! # References
//!
//! - RFC 1034 §3.6.2
//! - RFC 6376 §3.6.2

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use model::Severity;

/// Asked of records that are right: the key at the end is ours.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, .. } = &context.record.expected else { return None };
    let found = context.alias().filter(|found| *found != target)?;
    let defect = Defect::CnameDetour {
        name: context.record.owner.clone(),
        expected: target.clone(),
        found: found.clone(),
    };
    Some(context.finding(defect, Severity::Warning, context.replace(vec![found.to_string()])))
}
