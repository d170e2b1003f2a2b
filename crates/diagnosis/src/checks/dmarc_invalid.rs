//! A DMARC record that does not parse.

use super::{Context, dmarc_records};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// There is one DMARC record, and receivers ignore it.
///
/// No policy applies and no reports come. Replace it.
///
/// Source: RFC 9989 §4.7, §5.4.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Dmarc { .. } = context.record.expected else { return None };
    let texts = context.texts();
    let close = |text: &&String| text.trim_start().to_ascii_lowercase().starts_with("v=dmarc1");
    let (record, reason) = match dmarc_records(&texts).as_slice() {
        [one] => (one.clone(), mail::dmarc::PolicyRecord::parse(one).err()?.to_string()),
        // `v=dmarc1` is no DMARC record to a receiver, but somebody meant it to be one.
        [] => {
            let record = texts.iter().find(close)?;
            (record.clone(), mail::dmarc::PolicyRecord::parse(record).err()?.to_string())
        }
        _ => return None,
    };
    let defect = Defect::DmarcInvalid { name: context.record.owner.clone(), record: record.clone(), reason };
    Some(context.finding(defect, context.severity(), context.replace(vec![record])))
}
