//! An SPF record that does not parse.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    repair, spf_tree,
};
use mail::spf::SpfRecord;

/// There is one SPF record, and it has a syntax error.
///
/// One bad term makes the whole record a permanent error: nobody passes. Mend the term.
///
/// Source: RFC 7208 §4.6.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules } = &context.record.expected else { return None };
    let records = spf_records(&context.texts());
    let [record] = records.as_slice() else { return None };
    let reason = SpfRecord::parse(record).err()?.to_string();
    let name = context.record.owner.clone();
    let (remedy, lost) = match repair::spf_syntax(record) {
        Ok(mended) => {
            let merged = rules.as_deref().map(|rules| spf_tree::merge_one(&mended, rules));
            (context.replace_spf(record, merged.unwrap_or(mended)), Vec::new())
        }
        Err(lost) => (Remedy::Nothing, lost),
    };
    let defect = Defect::SpfInvalid { name, record: record.clone(), reason, lost };
    Some(context.finding(defect, context.severity(), remedy))
}
