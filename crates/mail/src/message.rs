//! Reading a received message for showing it: who, what, when, the bodies and the list of files.
//!
//! Read with `mail-parser`, which takes any octets. Everything is bounded: what does not fit is left out, and a
//! message that cannot be read gives an empty summary. Nothing here judges whether a message is genuine.

use mail_parser::{Address, Message, MessageParser, MimeHeaders, PartType};
use model::Timestamp;
use serde::{Deserialize, Serialize};

/// Header fields and addresses kept.
const MAX_ITEMS: usize = 500;
/// Octets of a header value kept.
const MAX_HEADER: usize = 8 * 1024;
/// Octets of a body kept.
const MAX_BODY: usize = 1024 * 1024;

/// A message as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The authors.
    pub from: Vec<SummaryAddress>,
    /// The recipients in To.
    pub to: Vec<SummaryAddress>,
    /// The subject, decoded.
    pub subject: Option<String>,
    /// The Date field, when it is a date.
    pub date: Option<Timestamp>,
    /// The Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// All header fields in their order: name and value as received, folds undone.
    pub headers: Vec<(String, String)>,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML; it is a stranger's and must be sandboxed when shown.
    pub html: Option<String>,
    /// The files.
    pub attachments: Vec<SummaryAttachment>,
}

/// An address as it is in a header field; it need not be valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryAddress {
    /// The name, decoded.
    pub name: Option<String>,
    /// The address.
    pub address: Option<String>,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryAttachment {
    /// Its name; a stranger's, never to be used as a path.
    pub filename: Option<String>,
    /// Its media type without parameters.
    pub content_type: String,
    /// Its octets once decoded; of a text, its octets in UTF-8.
    pub size: usize,
}

/// Summarises a message.
pub fn summary(raw: &[u8]) -> Summary {
    let Some(message) = MessageParser::new().parse(raw) else { return Summary::default() };
    Summary {
        from: addresses(message.from()),
        to: addresses(message.to()),
        subject: message.subject().map(|subject| clip(subject, MAX_HEADER)),
        date: message
            .date()
            .filter(|date| date.is_valid())
            .and_then(|date| Timestamp::from_second(date.to_timestamp()).ok()),
        message_id: message.message_id().map(|id| clip(id, MAX_HEADER)),
        headers: headers(&message),
        text: message.text_bodies().find_map(|part| match &part.body {
            PartType::Text(text) => Some(clip(text, MAX_BODY)),
            _ => None,
        }),
        html: message.html_bodies().find_map(|part| match &part.body {
            PartType::Html(html) => Some(clip(html, MAX_BODY)),
            _ => None,
        }),
        attachments: attachments(&message),
    }
}

fn addresses(addresses: Option<&Address<'_>>) -> Vec<SummaryAddress> {
    let Some(addresses) = addresses else { return Vec::new() };
    addresses
        .iter()
        .take(MAX_ITEMS)
        .map(|address| SummaryAddress {
            name: address.name().map(|name| clip(name, MAX_HEADER)),
            address: address.address().map(|address| clip(address, MAX_HEADER)),
        })
        .collect()
}

fn headers(message: &Message<'_>) -> Vec<(String, String)> {
    let raw = message.raw_message();
    let fields = message.parts.first().map(|part| part.headers.as_slice()).unwrap_or_default();
    let octets = |start: u32, end: u32| {
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        raw.get(range).map(String::from_utf8_lossy)
    };
    fields
        .iter()
        .take(MAX_ITEMS)
        .filter_map(|field| {
            let value = octets(field.offset_start(), field.offset_end())?;
            let unfolded = value.replace("\r\n", "").replace(['\r', '\n'], "");
            Some((clip(field.name(), MAX_HEADER), clip(unfolded.trim(), MAX_HEADER)))
        })
        .collect()
}

fn attachments(message: &Message<'_>) -> Vec<SummaryAttachment> {
    message
        .attachments()
        .take(MAX_ITEMS)
        .map(|part| SummaryAttachment {
            filename: part.attachment_name().map(|name| clip(name, MAX_HEADER)),
            content_type: part.content_type().map_or_else(
                || "text/plain".to_owned(),
                |content_type| match content_type.subtype() {
                    Some(subtype) => clip(&format!("{}/{subtype}", content_type.ctype()), 200),
                    None => clip(content_type.ctype(), 200),
                },
            ),
            size: part.len(),
        })
        .collect()
}

/// At most `max` octets, cut between characters.
fn clip(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_unfolded_and_kept_in_order() {
        let raw = b"Received: from a\r\n\tby b\r\nFrom: =?utf-8?q?J=C3=B6rg?= <j@example.com>\r\nSubject: Hi\r\nDate: nonsense\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n";
        let summary = summary(raw);
        let names: Vec<&str> = summary.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Received", "From", "Subject", "Date", "Message-ID"]);
        assert_eq!(summary.headers[0].1, "from a\tby b");
        assert_eq!(summary.from[0].name.as_deref(), Some("Jörg"));
        assert_eq!((summary.date, summary.html), (None, None));
        assert_eq!(summary.text.as_deref(), Some("body\r\n"));
    }

    #[test]
    fn long_bodies_are_cut_between_characters() {
        let raw = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{}", "é".repeat(MAX_BODY));
        assert_eq!(summary(raw.as_bytes()).text.unwrap().len(), MAX_BODY);
        let tiny = clip("aé", 2);
        assert_eq!(tiny, "a");
    }

    proptest! {
        #[test]
        fn any_octets_give_a_summary(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = summary(&raw);
        }

        #[test]
        fn any_mime_gives_a_summary(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("Content-Type: multipart/mixed; boundary=\"b\"\r\n"), Just("--b\r\n"), Just("--b--\r\n"),
                    Just("\r\n"), Just("Content-Type: message/rfc822\r\n"), Just("Content-Disposition: attachment\r\n"),
                    Just("Content-Transfer-Encoding: base64\r\n"), Just("AAAA=\r\n"), Just("From: a@b\r\n"),
                    Just("Content-Type: text/html\r\n"), Just("Date: 99 Xyz 0000 99:99:99 +9999\r\n"),
                ],
                0..30,
            ),
        ) {
            let _ = summary(parts.concat().as_bytes());
        }
    }
}
