//! The alias points at another name
//!
//! A CNAME is at the name, and its target is not the one that was given.
//!
//! # Why it matters
//!
//! The key or address behind the alias is not ours, so verification and signatures fail.
//!
//! # What to do
//!
//! 1. Replace the target by the one shown.
//!
//! # References
//!
//! - RFC 1034 §3.6.2

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, .. } = &context.record.expected else { return None };
    let found = context.alias().filter(|found| *found != target)?;
    let defect = Defect::CnameWrongTarget {
        name: context.record.owner.clone(),
        expected: target.clone(),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(vec![found.to_string()])))
}
