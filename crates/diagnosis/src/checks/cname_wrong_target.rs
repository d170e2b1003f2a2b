//! The alias points somewhere else.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The alias is there and points at another name.
///
/// Receivers find another key or none. Set the target to the planned one.
///
/// Source: RFC 1034 §3.6.2.
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
