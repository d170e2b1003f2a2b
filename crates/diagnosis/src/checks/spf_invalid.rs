//! An SPF record that does not parse.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// There is one SPF record, and it has a syntax error.
///
/// One bad term makes the whole record a permanent error: nobody passes. Mend the term.
///
/// Source: RFC 7208 §4.6.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { .. } = context.record.expected else { return None };
    let records = spf_records(&context.texts());
    let [record] = records.as_slice() else { return None };
    let reason = mail::spf::SpfRecord::parse(record).err()?.to_string();
    let defect = Defect::SpfInvalid { name: context.record.owner.clone(), record: record.clone(), reason };
    Some(context.finding(defect, context.severity(), context.replace(vec![record.clone()])))
}
