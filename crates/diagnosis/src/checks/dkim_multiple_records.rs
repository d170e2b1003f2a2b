//! Several DKIM records at one selector
//!
//! More than one TXT record is at the selector.
//!
//! # Why it matters
//!
//! Which of them a receiver takes is undefined, so signatures pass or fail by chance.
//!
//! # What to do
//!
//! 1. Delete all but the one with our key. A long key is one record of several strings, not several records.
//!
//! # References
//!
//! - RFC 6376 §3.6.2.2

use super::{Context, kept};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    if texts.len() < 2 {
        return None;
    }
    let defect = Defect::DkimMultipleRecords { name: context.record.owner.clone(), count: texts.len() };
    // Behind an alias they are at the platform's name.
    let remedy = match context.record.expected {
        Expected::Cname { .. } => Remedy::AskOperator,
        _ => context.replace(kept(texts)),
    };
    Some(context.finding(defect, context.severity(), remedy))
}
