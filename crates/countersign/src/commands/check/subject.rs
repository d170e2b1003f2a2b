//! The domain that is checked, as people write it.

use model::DomainName;

/// Reads a domain, or takes the domain part of an e-mail address.
pub fn parse(text: &str) -> Result<DomainName, String> {
    DomainName::parse_typed(text).map_err(|error| error.to_string())
}

/// The start of what was typed, without characters that a terminal would obey.
pub fn shown(text: &str) -> String {
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
            ("info@bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(parse(typed).map(|name| name.to_string()), Ok(meant.to_owned()), "{typed}");
        }
        for (typed, words) in [
            ("https://example.com/contact", "did you mean \"example.com\"?"),
            ("jane@", "no domain behind the @"),
            ("*.example.com", "wildcard"),
            ("", "empty"),
            ("192.0.2.1", "IP address"),
            ("two words", "cannot have"),
        ] {
            let problem = parse(typed).unwrap_err();
            assert!(problem.contains(words), "{typed}: {problem}");
        }
    }
}
