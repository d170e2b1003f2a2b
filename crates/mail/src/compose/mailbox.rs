//! Mailboxes: an address with the name that is shown for it (RFC 5322 §3.4).

use model::{EmailAddress, EmailAddressError};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An address and, optionally, a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The name, decoded.
    pub name: Option<String>,
    /// The address.
    pub address: EmailAddress,
}

/// Why a text is not a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// The address.
    #[error(transparent)]
    Address(#[from] EmailAddressError),
    /// A control character, such as a line break.
    #[error("the name of the mailbox has a control character; remove it")]
    ControlCharacter,
    /// Angle brackets that do not pair up, or something behind them.
    #[error("\"{0}\" is not a mailbox; write \"Name <user@example.com>\" or \"user@example.com\"")]
    Form(String),
}

impl Mailbox {
    /// A mailbox without a name.
    pub fn new(address: EmailAddress) -> Self {
        Self { name: None, address }
    }

    /// Parses `Name <user@example.com>`, `"Name, Quoted" <user@example.com>` or a bare address.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        let text = text.trim_matches([' ', '\t']);
        if text.chars().any(char::is_control) {
            return Err(MailboxError::ControlCharacter);
        }
        let form = || MailboxError::Form(text.chars().take(100).collect());
        let Some(inside) = text.strip_suffix('>') else {
            return if text.contains('<') { Err(form()) } else { Ok(Self::new(EmailAddress::parse(text)?)) };
        };
        let (name, address) = inside.rsplit_once('<').ok_or_else(form)?;
        let name = unquote(name.trim()).ok_or_else(form)?;
        Ok(Self { name: (!name.is_empty()).then_some(name), address: EmailAddress::parse(address)? })
    }
}

/// The text of a quoted string, or the text itself; `None` when quotes or brackets do not pair up.
fn unquote(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        return (!text.contains(['"', '<', '>'])).then(|| text.to_owned());
    };
    let mut out = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '\\' => out.push(chars.next()?),
            '"' => return chars.next().is_none().then_some(out),
            c => out.push(c),
        }
    }
}

impl FromStr for Mailbox {
    type Err = MailboxError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Mailbox {
    /// As people write it; [`Mailbox::parse`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            None => self.address.fmt(f),
            Some(name) => {
                let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "\"{escaped}\" <{}>", self.address)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_quotes_and_bare_addresses() {
        let name = |text: &str| Mailbox::parse(text).map(|mailbox| mailbox.name);
        assert_eq!(name("Ann <a@b.example>"), Ok(Some("Ann".into())));
        assert_eq!(name("\"Doe, \\\"J\\\"\" <a@b.example>"), Ok(Some("Doe, \"J\"".into())));
        assert_eq!(name("<a@b.example>"), Ok(None));
        assert_eq!(name(" a@b.example "), Ok(None));
        assert_eq!(name("Ann\r\nBcc: <a@b.example>"), Err(MailboxError::ControlCharacter));
        for text in ["Ann <a@b.example", "Ann a@b.example>", "\"Ann <a@b.example>", "a <b> <c@d.example>"] {
            assert!(matches!(name(text), Err(MailboxError::Form(_))), "{text}");
        }
        assert!(matches!(name("Ann <nobody>"), Err(MailboxError::Address(_))));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(name in "[!-~é][ -~é]{0,20}[!-~é]") {
            let mailbox = Mailbox { name: Some(name), address: EmailAddress::parse("a@b.example").unwrap() };
            prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a@.<>\" \\\\é\r]{0,30}") {
            let _ = Mailbox::parse(&text);
        }
    }
}
