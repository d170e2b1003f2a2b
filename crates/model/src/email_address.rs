//! Mailbox addresses as an envelope carries them (RFC 5321 §4.1.2).

use crate::{DomainName, DomainNameError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// `local-part@domain`, the domain in A-labels. The local part keeps its case (RFC 5321 §2.4) and is ASCII
/// (no SMTPUTF8); quoted local parts and address literals are not taken.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    local: String,
    domain: DomainName,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailAddressError {
    /// No `@`.
    #[error("\"{0}\" is not an e-mail address: it has no @")]
    NoAt(String),
    /// Nothing before the `@`, more than 64 octets, or an empty dot-atom part.
    #[error("the part before the @ in \"{0}\" is empty, longer than 64 octets or has a misplaced dot")]
    BadLocalPart(String),
    /// A control character (a line break would inject headers or SMTP commands), a space or a non-ASCII letter.
    #[error("the part before the @ has the character {0:?}, which is not accepted")]
    BadCharacter(char),
    /// The part behind the `@`.
    #[error("the part behind the @ is not a domain name: {0}")]
    Domain(#[from] DomainNameError),
}

impl EmailAddress {
    /// Parses a bare address; a display name or angle brackets are not taken here.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let shown = || text.chars().take(100).map(harmless).collect::<String>();
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(EmailAddressError::NoAt(shown()));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        if let Some(bad) = local.chars().find(|c| !allowed(*c)) {
            return Err(EmailAddressError::BadCharacter(bad));
        }
        if local.is_empty() || local.len() > 64 || local.split('.').any(str::is_empty) {
            return Err(EmailAddressError::BadLocalPart(shown()));
        }
        if domain.chars().any(char::is_whitespace) {
            return Err(EmailAddressError::Domain(DomainNameError::BadCharacter {
                name: shown(),
                character: ' ',
            }));
        }
        Ok(Self { local: local.to_owned(), domain: DomainName::parse(domain)? })
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        &self.local
    }

    /// The part behind the `@`.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({self})")
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idn_domains_become_a_labels_and_injection_is_refused() {
        assert_eq!(
            EmailAddress::parse("Anna.B@Bücher.example").unwrap().to_string(),
            "Anna.B@xn--bcher-kva.example"
        );
        assert_eq!(EmailAddress::parse("a\r\nRCPT TO:<b@c.d>"), Err(EmailAddressError::BadCharacter('\r')));
        assert!(matches!(EmailAddress::parse("a@b.example\r\nX: y"), Err(EmailAddressError::Domain(_))));
        assert!(matches!(EmailAddress::parse("a..b@c.d"), Err(EmailAddressError::BadLocalPart(_))));
        assert!(matches!(EmailAddress::parse("nobody"), Err(EmailAddressError::NoAt(_))));
    }
}
