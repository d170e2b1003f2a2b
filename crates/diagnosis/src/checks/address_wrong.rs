//! An address record with other addresses.

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The name has addresses, and ours is not among them.
///
/// Whoever uses the name reaches another machine. Replace the address.
///
/// Source: RFC 1035 §3.4.1, RFC 3596.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Address { data } = &context.record.expected else { return None };
    let found: Vec<String> = records_of(&context.here).iter().map(ToString::to_string).collect();
    if found.is_empty() {
        return None;
    }
    let defect = Defect::AddressWrong {
        name: context.record.owner.clone(),
        expected: data.to_string(),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(found)))
}
