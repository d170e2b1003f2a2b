//! White space around the value.

use super::{Context, is_right, txt_quotes_pasted::is_meant};
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
};
use model::{RecordData, RecordType, TxtData};

/// The value begins or ends with white space, or with a character that is not seen.
///
/// SPF and DMARC records count only when they begin with their version; a space in front, or one of the invisible
/// characters that come along when text is copied from a page, makes them something else. Type the beginning anew.
///
/// Source: RFC 7208 §4.5, RFC 9989 §4.10.
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
            .then(|| (found.clone(), bare.to_owned()))
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
