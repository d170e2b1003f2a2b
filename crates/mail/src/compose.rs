//! Composing messages (RFC 5322, MIME) with `mail-builder`.
//!
//! The same composition gives the same octets: Message-ID, Date and every MIME boundary come from the arguments, so
//! that `mail-builder` never draws its own from the clock. Lines end in CRLF; text outside of ASCII is encoded (RFC
//! 2047, RFC 2231); Bcc recipients are left out. Signing, the envelope and the trace fields are not made here.

mod mailbox;

pub use mailbox::{Mailbox, MailboxError};

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use mail_builder::{
    MessageBuilder,
    headers::{
        HeaderType, address::Address, content_type::ContentType, date::Date, message_id::MessageId, raw::Raw,
        text::Text,
    },
    mime::MimePart,
};
use model::Timestamp;
use serde::{Deserialize, Serialize};

/// A line may have 998 octets (RFC 5322 §2.1.1); folding happens at spaces only, so no word may be longer.
const MAX_WORD: usize = 900;
/// Longer header values are refused.
const MAX_VALUE: usize = 16 * 1024;

/// Fields that are made from the composition, by the signer or on the way.
const OWNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "Sender",
    "Return-Path",
    "Received",
    "DKIM-Signature",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Authentication-Results",
];

/// What to compose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// The author.
    pub from: Mailbox,
    /// Shown recipients.
    pub to: Vec<Mailbox>,
    /// Shown recipients of a copy.
    pub cc: Vec<Mailbox>,
    /// Recipients that are not shown; they are for the envelope and never written.
    pub bcc: Vec<Mailbox>,
    /// Where answers go, when not to the author.
    pub reply_to: Vec<Mailbox>,
    /// The subject.
    pub subject: String,
    /// The plain text, when there is one.
    pub text: Option<String>,
    /// The HTML, when there is one.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// Further header fields in their order.
    pub headers: Vec<(String, String)>,
    /// `left@right`, with or without angle brackets.
    pub message_id: String,
    /// The Date field, to the second, in UTC.
    pub date: Timestamp,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name.
    pub filename: String,
    /// Its media type, parameters allowed.
    pub content_type: String,
    /// Its octets.
    pub content: Vec<u8>,
    /// When set, the part is shown inside the HTML that refers to it as `cid:` (RFC 2392).
    pub content_id: Option<String>,
}

/// Why a message cannot be composed, and which field of the [`Composition`] is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ComposeError {
    field: String,
    problem: ComposeProblem,
}

impl ComposeError {
    /// The field: `subject`, `message_id`, `from`, `to[0]`, `cc[0]`, `reply_to[0]`, `attachments[0]`, or `headers.`
    /// with the name of the header field as it was given.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &ComposeProblem {
        &self.problem
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeProblem {
    /// A line break would begin another header field.
    #[error("\"{0}\" has a control character, such as a line break; remove it")]
    ControlCharacter(String),
    /// RFC 5322 §2.2.
    #[error("\"{0}\" is not the name of a header field; use printable ASCII without a colon")]
    HeaderName(String),
    /// A field of [`Composition`], of the signer or of the way.
    #[error("the header field \"{0}\" cannot be set here; use its own field of the message if it has one")]
    OwnedHeader(String),
    /// A value or a word in it that does not fit into lines.
    #[error("\"{0}\" is too long for a header field")]
    TooLong(String),
    /// Not `left@right`.
    #[error("\"{0}\" is not a message identifier of the form left@right")]
    MessageId(String),
    /// Not `type/subtype`, or a composite type.
    #[error("\"{0}\" is not a media type for a file; use one such as application/pdf")]
    ContentType(String),
}

/// Composes a message.
pub fn compose(composition: &Composition) -> Result<Vec<u8>, ComposeError> {
    let message_id = composition.message_id.trim_start_matches('<').trim_end_matches('>');
    check_message_id(message_id).map_err(|problem| problem.at("message_id"))?;
    check_value("Subject", &composition.subject).map_err(|problem| problem.at("subject"))?;
    let from = address(&composition.from).map_err(|problem| problem.at("from"))?;
    let mut builder = MessageBuilder::new().from(from);
    for (name, field, mailboxes) in [
        ("To", "to", &composition.to),
        ("Cc", "cc", &composition.cc),
        ("Reply-To", "reply_to", &composition.reply_to),
    ] {
        let mut list = Vec::with_capacity(mailboxes.len());
        for (index, mailbox) in mailboxes.iter().enumerate() {
            list.push(address(mailbox).map_err(|problem| problem.at(format!("{field}[{index}]")))?);
        }
        if !list.is_empty() {
            builder = builder.header(name, Address::new_list(list));
        }
    }
    builder = builder
        .subject(composition.subject.as_str())
        .date(Date::new(composition.date.as_second()))
        .message_id(message_id);
    for (name, value) in &composition.headers {
        check_header(name, value, !composition.reply_to.is_empty())
            .map_err(|problem| problem.at(format!("headers.{}", shown(name))))?;
        // Values in ASCII are structured as often as not, so they are folded and otherwise left alone.
        let value: HeaderType<'_> =
            if value.is_ascii() { Raw::new(value.as_str()).into() } else { Text::new(value.as_str()).into() };
        builder = builder.header(name.as_str(), value);
    }
    let mut out = Vec::new();
    builder.body(body(composition)?).serialize(&mut out);
    Ok(out)
}

impl ComposeProblem {
    fn at(self, field: impl Into<String>) -> ComposeError {
        ComposeError { field: field.into(), problem: self }
    }
}

fn address(mailbox: &Mailbox) -> Result<Address<'_>, ComposeProblem> {
    let name = mailbox.name.as_deref().filter(|name| !name.trim().is_empty());
    if let Some(name) = name {
        check_value("the name of a mailbox", name)?;
    }
    Ok(Address::new_address(name, mailbox.address.to_string()))
}

/// `alternative` of text and HTML, `related` with what the HTML shows, `mixed` with the files (RFC 2046 §5.1,
/// RFC 2387).
fn body(composition: &Composition) -> Result<MimePart<'static>, ComposeError> {
    let mut inline = Vec::new();
    let mut files = Vec::new();
    for (index, attachment) in composition.attachments.iter().enumerate() {
        let part = file(attachment).map_err(|problem| problem.at(format!("attachments[{index}]")))?;
        // Without HTML there is nothing that could show it.
        let shown = attachment.content_id.is_some() && composition.html.is_some();
        if shown { inline.push(part) } else { files.push(part) }
    }
    let boundaries = Boundaries::new(composition);
    let mut texts = Vec::new();
    if composition.text.is_some() || composition.html.is_none() {
        texts.push(MimePart::new("text/plain", text_lines(composition.text.as_deref().unwrap_or_default())));
    }
    if let Some(html) = &composition.html {
        let html = MimePart::new("text/html", text_lines(html));
        texts.push(boundaries.group("related", html, inline));
    }
    let first = texts.remove(0);
    let content = boundaries.group("alternative", first, texts);
    Ok(boundaries.group("mixed", content, files))
}

fn file(attachment: &Attachment) -> Result<MimePart<'static>, ComposeProblem> {
    check_value("the name of a file", &attachment.filename)?;
    let content_type = content_type(&attachment.content_type)?;
    let disposition = if attachment.content_id.is_some() { "inline" } else { "attachment" };
    let disposition = ContentType::new(disposition).attribute("filename", attachment.filename.clone());
    // Encoded here, so that files of text keep their line ends.
    let part = MimePart::new(content_type, base64_lines(&attachment.content).into_bytes())
        .header("Content-Disposition", disposition)
        .transfer_encoding("base64");
    match &attachment.content_id {
        None => Ok(part),
        Some(id) => {
            let id = id.trim_start_matches('<').trim_end_matches('>');
            if id.is_empty() || id.len() > MAX_WORD || !id.chars().all(is_id_char) {
                return Err(ComposeProblem::MessageId(shown(id)));
            }
            Ok(part.header("Content-ID", MessageId::new(id.to_owned())))
        }
    }
}

/// Boundaries made of the content: whoever writes the content cannot know one beforehand, and `=_` does not occur in
/// quoted-printable or base64 (RFC 2045 §6.7).
struct Boundaries(String);

impl Boundaries {
    fn new(composition: &Composition) -> Self {
        let mut hash = Context::new(&SHA256);
        let texts =
            [Some(composition.message_id.as_str()), composition.text.as_deref(), composition.html.as_deref()];
        for text in texts.into_iter().flatten() {
            hash.update(&text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        let hex: Vec<String> =
            hash.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(hex.concat())
    }

    /// The first part alone, or a multipart of all.
    fn group(&self, kind: &str, first: MimePart<'static>, rest: Vec<MimePart<'static>>) -> MimePart<'static> {
        if rest.is_empty() {
            return first;
        }
        let content_type = ContentType::new(format!("multipart/{kind}"))
            .attribute("boundary", format!("=_{kind}_{}", self.0));
        MimePart::new(content_type, std::iter::once(first).chain(rest).collect::<Vec<_>>())
    }
}

/// Every line break, written in whatever way, as CRLF.
fn text_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let mut rest = text;
    while let Some(at) = rest.find(['\r', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str("\r\n");
        rest = rest[at..].strip_prefix("\r\n").unwrap_or(&rest[at + 1..]);
    }
    out.push_str(rest);
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out
}

fn base64_lines(content: &[u8]) -> String {
    let mut out = String::with_capacity(content.len() * 3 / 2);
    for line in content.chunks(57) {
        STANDARD.encode_string(line, &mut out);
        out.push_str("\r\n");
    }
    out
}

/// A token of RFC 2045 §5.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c))
}

fn content_type(text: &str) -> Result<ContentType<'static>, ComposeProblem> {
    let invalid = || ComposeProblem::ContentType(shown(text));
    let mut pieces = text.split(';').map(str::trim);
    let essence = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').ok_or_else(invalid)?;
    // Composite types may not be encoded in base64 (RFC 2045 §6.4).
    if !is_token(kind) || !is_token(subtype) || matches!(kind, "multipart" | "message") || text.len() > 200 {
        return Err(invalid());
    }
    let mut out = ContentType::new(essence.clone());
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').ok_or_else(invalid)?;
        let value = value.trim().trim_matches('"');
        if !is_token(name.trim()) || value.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
            return Err(invalid());
        }
        out = out.attribute(name.trim().to_owned(), value.to_owned());
    }
    Ok(out)
}

fn check_header(name: &str, value: &str, has_reply_to: bool) -> Result<(), ComposeProblem> {
    let ftext = |c: char| c.is_ascii_graphic() && c != ':';
    if name.is_empty() || name.len() > 76 || !name.chars().all(ftext) {
        return Err(ComposeProblem::HeaderName(shown(name)));
    }
    let owned = OWNED.iter().any(|owned| owned.eq_ignore_ascii_case(name))
        || (has_reply_to && name.eq_ignore_ascii_case("Reply-To"));
    if owned {
        return Err(ComposeProblem::OwnedHeader(shown(name)));
    }
    check_value(name, value)
}

fn check_value(name: &str, value: &str) -> Result<(), ComposeProblem> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(ComposeProblem::ControlCharacter(shown(name)));
    }
    let long_word = value.is_ascii() && value.split([' ', '\t']).any(|word| word.len() > MAX_WORD);
    if value.len() > MAX_VALUE || long_word {
        return Err(ComposeProblem::TooLong(shown(name)));
    }
    Ok(())
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_graphic() && !"<>()[]\\,;:\"".contains(c)
}

fn check_message_id(id: &str) -> Result<(), ComposeProblem> {
    match id.split_once('@') {
        Some((left, right))
            if !left.is_empty()
                && !right.is_empty()
                && !right.contains('@')
                && id.len() <= 250
                && id.chars().all(is_id_char) =>
        {
            Ok(())
        }
        _ => Err(ComposeProblem::MessageId(shown(id))),
    }
}

fn shown(text: &str) -> String {
    crate::tag_list::clip(text)
}

#[cfg(test)]
mod tests;
