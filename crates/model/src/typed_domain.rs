//! A domain as people type it into a field, to have it looked at. What may be *added* is [`crate::SenderDomain`].

use crate::{DomainName, DomainNameError};
use psl::Psl;

/// Why a text names no domain to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedDomainError {
    /// It is no domain name.
    #[error(transparent)]
    Name(#[from] DomainNameError),
    /// An address that ends with its @.
    #[error("\"{0}\" has no domain behind the @")]
    NothingBehindAt(String),
    /// The owner name of a wildcard.
    #[error("{0} is a wildcard; give a domain that mail comes from")]
    Wildcard(DomainName),
    /// The owner name of a record that stands below a domain, such as `_dmarc.example.com` (RFC 8552).
    #[error("{name} is the name of a record, and no mail comes from it; did you mean \"{suggestion}\"?")]
    RecordName {
        /// What was given.
        name: DomainName,
        /// What is behind the last label with an underscore in front.
        suggestion: DomainName,
    },
}

impl DomainName {
    /// Reads a domain, or takes the domain part of an e-mail address: `Mail.Example.COM.`, `jane@example.com`,
    /// `Jane <jane@example.com>`. A URL and the name of a record (`_dmarc.example.com`) are refused with the domain that
    /// was probably meant.
    pub fn parse_typed(text: &str) -> Result<Self, TypedDomainError> {
        let text = text.trim();
        let domain = text.rsplit('@').next().unwrap_or_default();
        let domain = if text.contains('@') { domain.trim_end_matches('>') } else { domain };
        if domain.is_empty() && text.contains('@') {
            return Err(TypedDomainError::NothingBehindAt(shown(text)));
        }
        let domain = Self::parse(domain).map_err(|error| meant(domain, error))?;
        if domain.as_str().starts_with('*') {
            return Err(TypedDomainError::Wildcard(domain));
        }
        let is_of_a_record = |name: &Self| name.as_str().starts_with('_');
        // Nothing behind it: a name like `_dmarc` is looked at as it is, and found not to exist.
        if let Some(suggestion) =
            domain.ancestors().filter(is_of_a_record).last().and_then(|name| name.parent())
            && !suggestion.is_root()
        {
            return Err(TypedDomainError::RecordName { name: domain, suggestion });
        }
        Ok(domain)
    }

    /// Whether the public suffix list knows the name's ending: one without is in nobody's public DNS (`printer.corp`),
    /// or under a top-level domain younger than the list.
    pub fn has_known_suffix(&self) -> bool {
        psl::List.suffix(self.as_str().as_bytes()).is_some_and(|suffix| suffix.is_known())
    }
}

/// What is left of a field of a list, of quotation marks or of an address with a port: the name in it, as a question.
fn meant(typed: &str, error: DomainNameError) -> DomainNameError {
    let DomainNameError::BadCharacter { name, character: ':' | ',' | ';' | '"' | '\'' | '\t' } = &error
    else {
        return error;
    };
    let is_around = |c: char| matches!(c, '"' | '\'') || c.is_whitespace();
    let first = typed.split([':', ',', ';', '\t']).next().unwrap_or_default().trim_matches(is_around);
    match DomainName::parse(first) {
        Ok(meant) if meant.label_count() > 1 => {
            DomainNameError::LooksLikeUrl { input: name.clone(), suggestion: meant.to_string() }
        }
        _ => error,
    }
}

/// The start of what was typed, without characters that a terminal would obey.
fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(80).collect();
    if text.chars().count() > 80 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read_as_people_write_them() {
        for (typed, meant) in [
            ("example.com", "example.com"),
            (" Mail.EXAMPLE.com. ", "mail.example.com"),
            ("jane@Example.com", "example.com"),
            ("Jane Doe <jane@news.example.com>", "news.example.com"),
            ("mailto:jane@example.com", "example.com"),
            ("\"odd@local\"@example.com", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("odd_name.example.com", "odd_name.example.com"),
        ] {
            assert_eq!(DomainName::parse_typed(typed).unwrap().as_str(), meant, "{typed}");
        }
        for (typed, words) in [
            ("https://example.com/contact", "did you mean \"example.com\"?"),
            ("jane@", "no domain behind the @"),
            ("*.example.com", "wildcard"),
            ("", "empty"),
            ("192.0.2.1", "IP address"),
            ("two words", "cannot have"),
            ("_dmarc.Example.com", "did you mean \"example.com\"?"),
            ("s1._domainkey.mail.example.com.", "did you mean \"mail.example.com\"?"),
            ("example.com._report._dmarc.example.org", "did you mean \"example.org\"?"),
            ("www.example.com:443", "did you mean \"www.example.com\"?"),
            ("example.com,2024-01-01", "did you mean \"example.com\"?"),
            ("example.com;", "did you mean \"example.com\"?"),
            ("\"example.com\"", "did you mean \"example.com\"?"),
            ("one,two words", "cannot have"),
        ] {
            let problem = DomainName::parse_typed(typed).unwrap_err().to_string();
            assert!(problem.contains(words), "{typed}: {problem}");
        }
        let long = DomainName::parse_typed(&format!("{}\x1b@", "a".repeat(5_000))).unwrap_err().to_string();
        assert!(long.len() < 200 && !long.contains('\x1b'), "{long}");
    }

    #[test]
    fn endings_that_nobody_registers_under_are_told() {
        let known = |text: &str| DomainName::parse(text).unwrap().has_known_suffix();
        for name in ["mail.example.com", "example.co.uk", "com", "acme.github.io", "xn--bcher-kva.de"] {
            assert!(known(name), "{name}");
        }
        for name in ["localhost", "printer.corp", "acme.test", "db.internal", "nas.local"] {
            assert!(!known(name), "{name}");
        }
    }
}
