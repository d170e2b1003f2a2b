//! Canonicalization of header fields and bodies (RFC 6376 §3.4).

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How much a message may change on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Canonicalization {
    /// Nearly nothing.
    Simple,
    /// White space and the case of field names.
    Relaxed,
}

/// One header field as it stands in the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// The name, without white space in front of the colon.
    pub name: &'a [u8],
    /// Everything behind the colon, folds included, without the final line break.
    pub value: &'a [u8],
    /// The whole field without its final line break.
    pub raw: &'a [u8],
}

/// A message split into its fields and its body.
#[derive(Debug)]
pub(crate) struct SplitMessage<'a> {
    pub fields: Vec<Field<'a>>,
    pub body: &'a [u8],
}

/// Line breaks as SMTP carries them: a bare LF becomes CRLF. A message that is right already is not copied.
pub(crate) fn with_crlf(message: &[u8]) -> Cow<'_, [u8]> {
    let bare = |i: usize| message[i] == b'\n' && (i == 0 || message[i - 1] != b'\r');
    if !(0..message.len()).any(bare) {
        return Cow::Borrowed(message);
    }
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    for (i, &byte) in message.iter().enumerate() {
        if bare(i) {
            out.push(b'\r');
        }
        out.push(byte);
    }
    Cow::Owned(out)
}

/// The message up to its first empty line, which is included: what is enough to read the fields, without a look at
/// the body. Line breaks are CRLF or bare LF, as in [`with_crlf`].
pub(crate) fn header_of(message: &[u8]) -> &[u8] {
    let mut start = 0;
    while let Some(length) = message[start..].iter().position(|byte| *byte == b'\n') {
        let end = start + length + 1;
        if matches!(&message[start..end], b"\n" | b"\r\n") {
            return &message[..end];
        }
        start = end;
    }
    message
}

/// Splits a message with CRLF line breaks. A line that is no field ends nothing; it is passed over, as it cannot be
/// signed by name.
pub(crate) fn split(message: &[u8]) -> SplitMessage<'_> {
    let mut fields = Vec::new();
    let mut start = 0;
    while start < message.len() {
        if message[start..].starts_with(b"\r\n") {
            return SplitMessage { fields, body: &message[start + 2..] };
        }
        let mut end = line_end(message, start);
        // A line that begins with white space continues the field.
        while matches!(message.get(end + 2), Some(b' ' | b'\t')) {
            end = line_end(message, end + 2);
        }
        let raw = &message[start..end.min(message.len())];
        if let Some(colon) = raw.iter().position(|byte| *byte == b':') {
            fields.push(Field { name: raw[..colon].trim_ascii_end(), value: &raw[colon + 1..], raw });
        }
        start = end + 2;
    }
    SplitMessage { fields, body: &[] }
}

/// Where the CRLF of the line is, or where the message ends.
fn line_end(message: &[u8], start: usize) -> usize {
    message[start..].windows(2).position(|pair| pair == b"\r\n").map_or(message.len(), |at| start + at)
}

impl Canonicalization {
    /// The field as it is hashed, without the final CRLF (RFC 6376 §3.4.1, §3.4.2).
    pub(crate) fn field(self, field: &Field<'_>) -> Vec<u8> {
        match self {
            Self::Simple => field.raw.to_vec(),
            Self::Relaxed => {
                let mut out = field.name.to_ascii_lowercase();
                out.push(b':');
                relaxed_text(field.value, &mut out);
                out
            }
        }
    }

    /// The body as it is hashed (RFC 6376 §3.4.3, §3.4.4).
    pub(crate) fn body(self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + 2);
        match self {
            Self::Simple => out.extend_from_slice(body),
            Self::Relaxed => {
                let mut rest = body;
                while !rest.is_empty() {
                    let end = line_end(rest, 0);
                    relaxed_line(&rest[..end], &mut out);
                    if end < rest.len() {
                        out.extend_from_slice(b"\r\n");
                    }
                    rest = rest.get(end + 2..).unwrap_or_default();
                }
            }
        }
        // Empty lines at the end are ignored; after relaxing, lines of white space are empty too.
        while out.ends_with(b"\r\n\r\n") {
            out.truncate(out.len() - 2);
        }
        if out == b"\r\n" {
            out.clear();
        }
        let keep_empty = self == Self::Relaxed && out.is_empty();
        if !keep_empty && !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out
    }
}

/// Unfolds, makes every run of white space one space and drops it at both ends.
fn relaxed_text(value: &[u8], out: &mut Vec<u8>) {
    let mut space = false;
    let begin = out.len();
    for &byte in value {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            space = true;
            continue;
        }
        if space && out.len() > begin {
            out.push(b' ');
        }
        space = false;
        out.push(byte);
    }
}

/// Makes every run of white space one space and drops it at the end; at the beginning of a line it stays.
fn relaxed_line(line: &[u8], out: &mut Vec<u8>) {
    let mut space = false;
    for &byte in line {
        if matches!(byte, b' ' | b'\t') {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(b' ');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_6376_section_3_4_5() {
        let message = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        let message = split(message);
        let fields: Vec<Vec<u8>> =
            message.fields.iter().map(|f| Canonicalization::Relaxed.field(f)).collect();
        assert_eq!(fields, [b"a:X".to_vec(), b"b:Y Z".to_vec()]);
        assert_eq!(Canonicalization::Relaxed.body(message.body), b" C\r\nD E\r\n");
        assert_eq!(Canonicalization::Simple.field(&message.fields[1]), b"B : Y\t\r\n\tZ  ");
        assert_eq!(Canonicalization::Simple.body(message.body), b" C \r\nD \t E\r\n");
    }

    #[test]
    fn empty_bodies_and_white_space_at_the_end() {
        use Canonicalization::{Relaxed, Simple};
        assert_eq!(Simple.body(b""), b"\r\n");
        assert_eq!(Simple.body(b"\r\n\r\n"), b"\r\n");
        assert_eq!(Relaxed.body(b""), b"");
        assert_eq!(Relaxed.body(b"\r\n \t\r\n"), b"");
        assert_eq!(Relaxed.body(b"a\r\n  \r\n\t\r\n"), b"a\r\n");
        assert_eq!(Relaxed.body(b"a"), b"a\r\n");
        assert_eq!(with_crlf(b"a\nb\r\nc\n").as_ref(), b"a\r\nb\r\nc\r\n");
    }

    proptest! {
        #[test]
        fn the_header_alone_has_the_fields_of_the_message(message in "[ab: \t\r\n]{0,60}") {
            let (whole, alone) = (with_crlf(message.as_bytes()), with_crlf(header_of(message.as_bytes())));
            let fields = |message: &[u8]| split(message).fields.iter().map(|f| f.raw.to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(fields(&whole), fields(&alone));
            prop_assert!(split(&alone).body.is_empty());
        }

        #[test]
        fn any_bytes_split_and_canonicalizing_twice_changes_nothing(message in "[ab: \t\r\n]{0,60}") {
            let message = with_crlf(message.as_bytes()).into_owned();
            let message = split(&message);
            for kind in [Canonicalization::Simple, Canonicalization::Relaxed] {
                let once = kind.body(message.body);
                prop_assert_eq!(kind.body(&once), once);
            }
        }
    }
}
