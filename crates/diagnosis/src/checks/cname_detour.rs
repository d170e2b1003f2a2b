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
    finding::{Defect, Finding, Remedy},
    observation::Reply,
    plan::Expected,
};
use model::{RecordData, Severity};

/// Asked of records that are right: the key at the end is ours.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, .. } = &context.record.expected else { return None };
    let found = context.alias().filter(|found| *found != target)?;
    let mut redirected = context.view.redirected(&context.record.owner).peekable();
    let is_redirected = redirected.peek().is_some();
    let leads_on = |reply: &Reply| {
        reply.answer.iter().any(|record| matches!(&record.data, RecordData::Cname(next) if next == target))
    };
    // What stands at the other name is as planned, and nothing can stand at this one.
    if redirected.any(leads_on) {
        return None;
    }
    let defect = Defect::CnameDetour {
        name: context.record.owner.clone(),
        expected: target.clone(),
        found: found.clone(),
    };
    let remedy = if is_redirected { Remedy::Nothing } else { context.replace(vec![found.to_string()]) };
    Some(context.finding(defect, Severity::Warning, remedy))
}
