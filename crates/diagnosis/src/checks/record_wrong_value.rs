//! A record of the right type with another value.

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The name has records of this type, and ours is not among them.
///
/// What they say is not what the service needs. Put the value there; whether others may stay beside it depends on
/// the type and on who put them there.
///
/// Source: RFC 2782, RFC 8659, RFC 1034 §4.2.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Exact { data } = &context.record.expected else { return None };
    let found: Vec<String> = records_of(&context.here).iter().map(ToString::to_string).collect();
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
