//! Another mail exchanger.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    observation::Says,
    plan::Expected,
};

/// The name has MX records, and ours is missing or not alone.
///
/// Bounces go to another server, at least some of the time, and are not seen. Leave only the planned one.
///
/// Source: RFC 5321 §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange } = &context.record.expected else { return None };
    let Says::Records(found) = &context.here else { return None };
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let defect = Defect::MxWrong {
        name: context.record.owner.clone(),
        expected: format!("{preference} {exchange}"),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(found)))
}
