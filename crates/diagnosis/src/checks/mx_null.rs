//! A name that takes no mail.

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use model::RecordData;

/// The MX record is `0 .`: the name takes no mail.
///
/// Servers do not even try to hand over bounces and replies, and some refuse mail from a domain that takes none.
/// Replace the record by the planned one.
///
/// Source: RFC 7505 §3, §4.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange, .. } = &context.record.expected else { return None };
    let found = records_of(&context.here);
    let is_null = |data: &RecordData| matches!(data, RecordData::Mx { exchange, .. } if exchange.is_root());
    if !found.iter().any(is_null) {
        return None;
    }
    let defect =
        Defect::MxNull { name: context.record.owner.clone(), expected: format!("{preference} {exchange}") };
    let current = found.iter().map(ToString::to_string).collect();
    Some(context.finding(defect, context.severity(), context.replace(current)))
}
