//! An SPF record without our mechanism.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};

/// There is one SPF record, and our mechanism is not in it, or stands behind `all` where it is never reached.
///
/// Mail that we send with this domain as envelope sender fails SPF. Replace the record by the merged one; do not
/// add a second record.
///
/// Source: RFC 7208 §4.5, §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules: Some(rules) } = &context.record.expected else { return None };
    let records = spf_records(&context.texts());
    let [current] = records.as_slice() else { return None };
    let defect = Defect::SpfMechanismAbsent {
        name: context.record.owner.clone(),
        current: current.clone(),
        rules: rules.clone(),
    };
    let remedy = Remedy::MergeSpf {
        name: context.record.owner.clone(),
        current: vec![current.clone()],
        replace_with: merged(current, rules),
    };
    Some(context.finding(defect, context.severity(), remedy))
}

/// The record with our mechanisms in it.
pub fn merged(current: &str, rules: &str) -> String {
    match mail::spf::merge(current, rules) {
        mail::spf::Merge::AlreadyThere => current.to_owned(),
        mail::spf::Merge::Merged { record } => record,
    }
}
