//! The name says that it takes no mail
//!
//! The MX record is a dot with the preference 0: a null MX.
//!
//! # Why it matters
//!
//! Bounces and replies are not even tried, and some receivers refuse mail from such a name.
//!
//! # What to do
//!
//! 1. Replace the record by the one shown.
//!
//! # References
//!
//! - RFC 7505 §3
//! - RFC 7505 §4

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use model::RecordData;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange, .. } = &context.record.expected else { return None };
    let found = records_of(context.here);
    let is_null = |data: &RecordData| matches!(data, RecordData::Mx { exchange, .. } if exchange.is_root());
    if !found.iter().any(is_null) {
        return None;
    }
    let defect =
        Defect::MxNull { name: context.record.owner.clone(), expected: format!("{preference} {exchange}") };
    let current = found.iter().map(ToString::to_string).collect();
    Some(context.finding(defect, context.severity(), context.replace(current)))
}
