//! More than one DKIM record at one selector.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The selector has several TXT records.
///
/// Which one a verifier takes is undefined. Leave only the planned one.
///
/// Source: RFC 6376 §3.6.2.2.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !matches!(context.record.expected, Expected::Dkim { .. }) {
        return None;
    }
    let texts = context.texts();
    if texts.len() < 2 {
        return None;
    }
    let defect = Defect::DkimMultipleRecords { name: context.record.owner.clone(), count: texts.len() };
    Some(context.finding(defect, context.severity(), context.replace(texts)))
}
