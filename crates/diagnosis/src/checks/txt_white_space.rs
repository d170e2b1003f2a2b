//! White space around the value
//!
//! The TXT value begins or ends with a space, a line break or a character that is not seen.
//!
//! # Why it matters
//!
//! An SPF or DMARC record has to begin with its version. With anything in front it is another text, and is not looked
//! at.
//!
//! # What to do
//!
//! 1. Enter the value again, without anything in front of it or behind it.
//!
//! # References
//!
//! - RFC 7208 §4.5
//! - RFC 9989 §4.10

use super::{Context, is_right, txt_quotes_pasted::is_meant};
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
};
use model::{RecordData, RecordType, TxtData};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    if context.record.expected.record_type() != RecordType::Txt {
        return None;
    }
    let (found, expected) = context.texts().iter().find_map(|found| {
        let bare = found.trim_matches(is_blank);
        let would_be_right = || {
            is_right(context.record, &Says::Records(vec![RecordData::Txt(TxtData::from_text(bare))]))
                == Some(true)
        };
        (bare.len() < found.len() && is_meant(&context.record.expected, bare) && would_be_right())
            .then(|| (found.to_string(), bare.to_owned()))
    })?;
    let name = context.record.owner.clone();
    let remedy = Remedy::Replace {
        name: name.clone(),
        record_type: RecordType::Txt,
        current: vec![found.clone()],
        value: expected.clone(),
        preference: None,
    };
    Some(context.finding(Defect::TxtWhiteSpace { name, found, expected }, context.severity(), remedy))
}

/// White space, zero-width characters, the byte order mark.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}
