//! Another mail exchanger.

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use model::RecordData;

/// The name has MX records, and ours is missing or not alone.
///
/// Bounces go to another server, at least some of the time, and are not seen. Leave only the planned one.
///
/// Source: RFC 5321 §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange, beside } = &context.record.expected else { return None };
    // The plan's other exchangers have findings of their own.
    let is_planned =
        |data: &&RecordData| matches!(data, RecordData::Mx { exchange, .. } if beside.contains(exchange));
    let found: Vec<String> =
        records_of(&context.here).iter().filter(|data| !is_planned(data)).map(ToString::to_string).collect();
    if found.is_empty() {
        return None;
    }
    let defect = Defect::MxWrong {
        name: context.record.owner.clone(),
        expected: format!("{preference} {exchange}"),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(found)))
}
