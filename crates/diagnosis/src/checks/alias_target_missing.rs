//! The name is an alias for nothing
//!
//! A CNAME is at the name where another record belongs, and the name that it leads to does not exist.
//!
//! # Why it matters
//!
//! An alias stands for everything at its name. Whoever asks for the record finds nothing (NXDOMAIN).
//!
//! # What to do
//!
//! 1. Delete the CNAME.
//! 2. Add the record shown.
//!
//! # References
//!
//! - RFC 1034 §3.6.2
//! - RFC 6604 §3

use super::Context;
use crate::{
    finding::{Defect, Finding},
    observation::{ChainEnd, Says},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    if matches!(context.record.expected, Expected::Cname { .. }) {
        return None;
    }
    let Says::Alias { target, end: ChainEnd::NxDomain(missing), .. } = &context.here else { return None };
    let defect = Defect::AliasTargetMissing {
        name: context.record.owner.clone(),
        target: target.clone(),
        missing: missing.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(vec![target.to_string()])))
}
