//! Quotation marks inside of the value
//!
//! The TXT value is right but for quotation marks that were pasted with it.
//!
//! # Why it matters
//!
//! Quotation marks belong to the notation of zone files. As part of the value they make SPF, DKIM and DMARC records
//! unreadable.
//!
//! # What to do
//!
//! 1. Enter the value without quotation marks, unless the panel asks for them.
//!
//! # References
//!
//! - RFC 1035 §5.1
//! - RFC 6376 §3.6.2.2

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use model::RecordType;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    if context.record.expected.record_type() != RecordType::Txt {
        return None;
    }
    let (found, expected) = context.texts().iter().find_map(|found| {
        let bare = unquoted(found)?;
        is_meant(&context.record.expected, &bare).then_some((found, bare))
    })?;
    let defect = Defect::TxtQuotesPasted {
        name: context.record.owner.clone(),
        found: found.to_string(),
        expected: expected.clone(),
    };
    let remedy = crate::Remedy::Replace {
        name: context.record.owner.clone(),
        record_type: RecordType::Txt,
        current: vec![found.to_string()],
        value: expected,
        preference: None,
    };
    Some(context.finding(defect, context.severity(), remedy))
}

/// The value without its quotation marks, which may also stand between its parts; `None` when it has none around it.
fn unquoted(text: &str) -> Option<String> {
    // Word processors make curly ones of them.
    let text = text.trim().replace("\\\"", "\"").replace(['“', '”', '„', '‘', '’'], "\"");
    if !text.starts_with('"') && !text.ends_with('"') {
        return None;
    }
    Some(text.replace("\" \"", "").replace("\"\"", "").replace('"', ""))
}

/// Whether a value is what was meant to be at the record's name.
pub fn is_meant(expected: &Expected, bare: &str) -> bool {
    match expected {
        Expected::Spf { .. } => mail::spf::is_spf_record(bare),
        Expected::Dmarc { .. } => bare.starts_with("v=DMARC1"),
        Expected::Dkim { .. } => bare.contains("p="),
        Expected::Txt { value, .. } => bare == value,
        _ => false,
    }
}
