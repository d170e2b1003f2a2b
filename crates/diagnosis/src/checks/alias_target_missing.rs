//! An alias for a name that does not exist.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    observation::{ChainEnd, Says},
    plan::Expected,
};

/// The name is an alias, and what it leads to does not exist.
///
/// An alias stands for everything at its name, so no record of any other type can be found there either. Remove the
/// alias and add the planned record, or make the name that it points at.
///
/// Source: RFC 6604 §3, RFC 1034 §3.6.2.
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
