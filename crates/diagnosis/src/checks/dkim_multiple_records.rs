//! More than one DKIM record at one selector.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};

/// The selector has several TXT records.
///
/// Which one a verifier takes is undefined. Leave only the planned one.
///
/// Source: RFC 6376 §3.6.2.2.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let texts = context.key_texts()?;
    if texts.len() < 2 {
        return None;
    }
    let defect = Defect::DkimMultipleRecords { name: context.record.owner.clone(), count: texts.len() };
    // Behind an alias they are at the platform's name.
    let remedy = match context.record.expected {
        Expected::Cname { .. } => Remedy::AskOperator,
        _ => context.replace(texts.to_vec()),
    };
    Some(context.finding(defect, context.severity(), remedy))
}
