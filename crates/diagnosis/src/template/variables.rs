//! Variables of the template language: `%name%`, and the built-in `%host%`, `%domain%` and `%fqdn%`.
//!
//! A value is put in as it is: a `%` in it starts no other variable, so that nothing grows without bounds and no
//! value can reach another. `%{` is no variable but the start of a macro of SPF (RFC 7208 §7).

use model::DomainName;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// The values of a profile's variables, by name without the percent signs.
pub type Variables = BTreeMap<String, String>;

/// A longer value fits into no record we know.
pub const MAX_VALUE: usize = 16 * 1024;

/// Longer names are a forgotten `%` somewhere.
const MAX_NAME: usize = 64;

const BUILT_IN: [&str; 3] = ["host", "domain", "fqdn"];

/// Where a template is applied, and with which values.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `%domain%`: usually the zone.
    pub domain: &'a DomainName,
    /// `%host%`: what stands in front of it, empty for the domain itself.
    pub host: &'a str,
    /// `%fqdn%`: both.
    pub fqdn: &'a DomainName,
    /// All others.
    pub values: &'a Variables,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'t> {
    Literal(&'t str),
    Variable(&'t str),
}

/// Takes a text apart; the error is for people.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    take_apart(text, |piece| {
        pieces.push(piece);
        Ok(())
    })?;
    Ok(pieces)
}

/// Gives each piece of a text to a function, whose error ends it.
fn take_apart<'t>(
    text: &'t str,
    mut take: impl FnMut(Piece<'t>) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = text;
    let mut literal = 0;
    let percent = |text: &str| text.bytes().position(|octet| octet == b'%');
    while let Some(at) = percent(&rest[literal..]).map(|at| at + literal) {
        let after = &rest[at + 1..];
        if after.starts_with('{') {
            literal = at + 2;
            continue;
        }
        let end = percent(after).ok_or_else(|| format!("\"{}\" has a % without its partner", clip(text)))?;
        let name = &after[..end];
        let well_formed = !name.is_empty()
            && name.len() <= MAX_NAME
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'));
        if !well_formed {
            return Err(format!("\"%{}%\" is no name of a variable", clip(name)));
        }
        if at > 0 {
            take(Piece::Literal(&rest[..at]))?;
        }
        take(Piece::Variable(name))?;
        rest = &after[end + 1..];
        literal = 0;
    }
    if !rest.is_empty() {
        take(Piece::Literal(rest))?;
    }
    Ok(())
}

/// Adds the variables of a text that need a value. A text that is not well-formed has none.
pub fn collect(text: &str, names: &mut BTreeSet<String>) {
    for piece in pieces(text).unwrap_or_default() {
        match piece {
            Piece::Variable(name) if !BUILT_IN.contains(&name) => {
                names.insert(name.to_owned());
            }
            _ => {}
        }
    }
}

/// Whether a text has variables.
pub fn has_variables(text: &str) -> bool {
    pieces(text).is_ok_and(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Variable(_))))
}

/// The text with something harmless for each variable: what can be judged of it before it is applied.
pub fn sample(text: &str) -> Result<String, String> {
    let of = |piece| match piece {
        Piece::Literal(text) => text,
        Piece::Variable(_) => "x",
    };
    Ok(pieces(text)?.into_iter().map(of).collect())
}

/// Puts the values in; the error is for people.
pub fn substitute<'t>(text: &'t str, scope: &Scope<'_>) -> Result<Cow<'t, str>, String> {
    if text.len() <= MAX_VALUE && !text.as_bytes().contains(&b'%') {
        return Ok(text.into());
    }
    let mut out = String::with_capacity(text.len() + 16);
    take_apart(text, |piece| {
        out.push_str(match piece {
            Piece::Literal(text) => text,
            Piece::Variable("fqdn") => scope.fqdn.as_str(),
            Piece::Variable("domain") => scope.domain.as_str(),
            Piece::Variable("host") => scope.host,
            Piece::Variable(name) => {
                scope.values.get(name).ok_or_else(|| format!("no value for the variable %{name}%"))?
            }
        });
        if out.len() > MAX_VALUE {
            return Err(format!("with the values put in it is longer than {MAX_VALUE} octets"));
        }
        Ok(())
    })?;
    Ok(out.into())
}

/// Messages repeat no more than this of what a stranger wrote.
pub fn clip(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut clipped: String = text.chars().take(60).map(printable).collect();
    if text.chars().nth(60).is_some() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, values: &[(&str, &str)]) -> Result<String, String> {
        let domain = DomainName::parse("acme.test").unwrap();
        let fqdn = DomainName::parse("mail.acme.test").unwrap();
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        substitute(text, &Scope { domain: &domain, host: "mail", fqdn: &fqdn, values: &values })
            .map(Cow::into_owned)
    }

    #[test]
    fn values_are_put_in_once() {
        assert_eq!(filled("%a%.%b%", &[("a", "%b%"), ("b", "c")]).unwrap(), "%b%.c");
        assert_eq!(filled("%fqdn%=%host%.%domain%", &[]).unwrap(), "mail.acme.test=mail.acme.test");
        assert_eq!(
            filled("v=spf1 exists:%{i}._spf.%a% -all", &[("a", "x")]).unwrap(),
            "v=spf1 exists:%{i}._spf.x -all"
        );
        assert_eq!(filled("%{d}%a%%{i}", &[("a", "x")]).unwrap(), "%{d}x%{i}");
    }

    #[test]
    fn what_is_no_variable_is_told() {
        for (text, problem) in [
            ("100% of", "\"100% of\" has a % without its partner"),
            ("%a b%", "\"%a b%\" is no name of a variable"),
            ("%%", "\"%%\" is no name of a variable"),
            ("%b%", "no value for the variable %b%"),
        ] {
            assert_eq!(filled(text, &[]).unwrap_err(), problem);
        }
        let long = "x".repeat(MAX_VALUE);
        assert!(filled("%a%%a%", &[("a", &long)]).unwrap_err().contains("longer than"));
    }
}
