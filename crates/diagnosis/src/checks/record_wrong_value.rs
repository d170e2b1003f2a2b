//! The record has another value
//!
//! The name has a record of the right type, and its value is not the one the service asked for.
//!
//! # Why it matters
//!
//! The service is not found, or may not do what it needs to, until the record with its value is there.
//!
//! # What to do
//!
//! 1. Add the record with the value shown.
//! 2. Keep records that belong to other services: several may stand at one name.
//!
//! # References
//!
//! - RFC 2782
//! - RFC 8659 §4
//! - RFC 1034 §4.2.1

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// Whether others may stay beside it depends on the type and on who put them there.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Exact { data } = &context.record.expected else { return None };
    let found: Vec<String> = records_of(context.here).iter().map(ToString::to_string).collect();
    if found.is_empty() {
        return None;
    }
    let defect = Defect::RecordWrongValue {
        name: context.record.owner.clone(),
        record_type: data.record_type(),
        expected: data.to_string(),
        found,
    };
    // Certificates of others and further hosts of a service stay as they are: ours goes beside them.
    Some(context.finding(defect, context.severity(), context.add()))
}
