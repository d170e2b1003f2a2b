//! Records and their syntax (RFC 7208 §4.6 and §12).

use super::{
    is_spf_record,
    macros::{DomainSpec, check_macro_string},
};
use crate::tag_list::clip;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A record without syntax errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfRecord {
    /// Mechanisms and modifiers in the order they are written.
    pub terms: Vec<Term>,
}

/// One mechanism or modifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// As it is written.
    pub text: String,
    /// What it says.
    pub kind: TermKind,
}

/// What a term says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermKind {
    /// A mechanism with its qualifier.
    Directive(Directive),
    /// `redirect=` (RFC 7208 §6.1).
    Redirect(DomainSpec),
    /// `exp=` (RFC 7208 §6.2).
    Explanation(DomainSpec),
    /// A modifier that nobody has defined; it is ignored (RFC 7208 §6).
    UnknownModifier {
        /// Its name, in lower case.
        name: String,
    },
}

/// A mechanism with its qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The result when it matches.
    pub qualifier: Qualifier,
    /// What it matches.
    pub mechanism: Mechanism,
}

/// What a match means (RFC 7208 §4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `+` or nothing.
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// What is matched (RFC 7208 §5). A missing domain is the domain of the record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Always matches.
    All,
    /// The record of another domain passes.
    Include(DomainSpec),
    /// An address of a name.
    A {
        /// The name.
        domain: Option<DomainSpec>,
        /// Prefix length for IPv4.
        v4: u8,
        /// Prefix length for IPv6.
        v6: u8,
    },
    /// An address of a mail exchanger.
    Mx {
        /// The name whose MX records are taken.
        domain: Option<DomainSpec>,
        /// Prefix length for IPv4.
        v4: u8,
        /// Prefix length for IPv6.
        v6: u8,
    },
    /// The reverse name of the client; not to be used (RFC 7208 §5.5).
    Ptr(Option<DomainSpec>),
    /// An IPv4 network.
    Ip4 {
        /// Its address.
        address: Ipv4Addr,
        /// Its prefix length.
        prefix: u8,
    },
    /// An IPv6 network.
    Ip6 {
        /// Its address.
        address: Ipv6Addr,
        /// Its prefix length.
        prefix: u8,
    },
    /// A name has an A record.
    Exists(DomainSpec),
}

impl Mechanism {
    /// Whether evaluating it counts towards the ten DNS lookups (RFC 7208 §4.6.4).
    pub fn costs_lookup(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4 { .. } | Self::Ip6 { .. })
    }
}

/// Why a text is not a valid SPF record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SpfSyntaxError {
    /// It does not begin with `v=spf1`.
    #[error("it does not begin with \"v=spf1\"")]
    NoVersion,
    /// A term is wrong; the whole record is a permanent error then (RFC 7208 §4.6).
    #[error("in \"{term}\": {reason}")]
    Term {
        /// The term as it is written.
        term: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `redirect` or `exp` is there twice (RFC 7208 §6).
    #[error("\"{0}=\" is there twice")]
    RepeatedModifier(String),
}

impl SpfRecord {
    /// Parses the joined text of a TXT record.
    pub fn parse(text: &str) -> Result<Self, SpfSyntaxError> {
        if !is_spf_record(text) {
            return Err(SpfSyntaxError::NoVersion);
        }
        let mut terms: Vec<Term> = Vec::with_capacity(3);
        for text in text[6..].split(' ').filter(|term| !term.is_empty()) {
            let kind =
                parse_term(text).map_err(|reason| SpfSyntaxError::Term { term: clip(text), reason })?;
            let repeated = match kind {
                TermKind::Redirect(_) => {
                    terms.iter().any(|t| matches!(t.kind, TermKind::Redirect(_))).then_some("redirect")
                }
                TermKind::Explanation(_) => {
                    terms.iter().any(|t| matches!(t.kind, TermKind::Explanation(_))).then_some("exp")
                }
                _ => None,
            };
            if let Some(name) = repeated {
                return Err(SpfSyntaxError::RepeatedModifier(name.to_owned()));
            }
            terms.push(Term { text: text.to_owned(), kind });
        }
        Ok(Self { terms })
    }

    /// Whether every rule is in the record and takes effect, as [`super::contains_effective`] says of a text.
    pub fn passes(&self, rules: &str) -> bool {
        super::merge::passes(self, rules)
    }

    /// The mechanisms with their qualifiers, in order.
    pub fn directives(&self) -> impl Iterator<Item = (&Term, &Directive)> + Clone {
        self.terms.iter().filter_map(|term| match &term.kind {
            TermKind::Directive(directive) => Some((term, directive)),
            _ => None,
        })
    }

    /// The target of `redirect=`.
    pub fn redirect(&self) -> Option<&DomainSpec> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Redirect(spec) => Some(spec),
            _ => None,
        })
    }

    /// The target of `exp=`: the name of a text for senders who were refused.
    pub fn explanation(&self) -> Option<&DomainSpec> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Explanation(spec) => Some(spec),
            _ => None,
        })
    }

    /// The qualifier of the first `all`.
    pub fn all(&self) -> Option<Qualifier> {
        self.directives()
            .find(|(_, directive)| directive.mechanism == Mechanism::All)
            .map(|(_, directive)| directive.qualifier)
    }
}

/// Parses one term; the error is the reason, for people.
pub(super) fn parse_term(text: &str) -> Result<TermKind, String> {
    if let Some(at) = text.find([':', '/', '='])
        && text.as_bytes()[at] == b'='
    {
        return parse_modifier(&text[..at], &text[at + 1..]);
    }
    let (qualifier, rest) = match text.as_bytes().first() {
        Some(b'+') => (Qualifier::Pass, &text[1..]),
        Some(b'-') => (Qualifier::Fail, &text[1..]),
        Some(b'~') => (Qualifier::SoftFail, &text[1..]),
        Some(b'?') => (Qualifier::Neutral, &text[1..]),
        _ => (Qualifier::Pass, text),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(end);
    let mechanism = if name.bytes().any(|octet| octet.is_ascii_uppercase()) {
        parse_mechanism(&name.to_ascii_lowercase(), argument)?
    } else {
        parse_mechanism(name, argument)?
    };
    Ok(TermKind::Directive(Directive { qualifier, mechanism }))
}

fn parse_modifier(name: &str, value: &str) -> Result<TermKind, String> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !well_formed {
        return Err(format!("\"{}\" cannot be the name of a modifier", clip(name)));
    }
    match name.to_ascii_lowercase().as_str() {
        "redirect" => DomainSpec::parse(value).map(TermKind::Redirect),
        "exp" => DomainSpec::parse(value).map(TermKind::Explanation),
        name => {
            check_macro_string(value)?;
            Ok(TermKind::UnknownModifier { name: name.to_owned() })
        }
    }
}

/// `argument` is empty or begins with `:` or `/`.
fn parse_mechanism(name: &str, argument: &str) -> Result<Mechanism, String> {
    let required = || argument.strip_prefix(':').ok_or_else(|| format!("\"{name}\" needs \":\" and a value"));
    match name {
        "all" if argument.is_empty() => Ok(Mechanism::All),
        "all" => Err("\"all\" takes no value".to_owned()),
        "include" => DomainSpec::parse(required()?).map(Mechanism::Include),
        "exists" => DomainSpec::parse(required()?).map(Mechanism::Exists),
        "a" => parse_dual(argument).map(|(domain, v4, v6)| Mechanism::A { domain, v4, v6 }),
        "mx" => parse_dual(argument).map(|(domain, v4, v6)| Mechanism::Mx { domain, v4, v6 }),
        "ptr" if argument.is_empty() => Ok(Mechanism::Ptr(None)),
        "ptr" => DomainSpec::parse(required()?).map(|spec| Mechanism::Ptr(Some(spec))),
        "ip4" => {
            let (address, prefix) = split_prefix(required()?, 32)?;
            let address = address.parse().map_err(|_| format!("\"{address}\" is not an IPv4 address"))?;
            Ok(Mechanism::Ip4 { address, prefix })
        }
        "ip6" => {
            let (address, prefix) = split_prefix(required()?, 128)?;
            let address = address.parse().map_err(|_| format!("\"{address}\" is not an IPv6 address"))?;
            Ok(Mechanism::Ip6 { address, prefix })
        }
        _ => Err(format!("\"{}\" is not a mechanism", clip(name))),
    }
}

fn split_prefix(text: &str, max: u8) -> Result<(&str, u8), String> {
    match text.split_once('/') {
        None => Ok((text, max)),
        Some((address, prefix)) => Ok((address, prefix_length(prefix, max)?)),
    }
}

/// `"0" / %x31-39 0*DIGIT`: no leading zeros.
fn prefix_length(text: &str, max: u8) -> Result<u8, String> {
    let digits = !text.is_empty() && text.len() <= 3 && text.chars().all(|c| c.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    match text.parse::<u8>() {
        Ok(length) if digits && !leading_zero && length <= max => Ok(length),
        _ => Err(format!("\"/{}\" is not a prefix length from 0 to {max}", clip(text))),
    }
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]` (RFC 7208 §5.3). A slash that no digits follow to the end belongs to
/// the name.
fn parse_dual(argument: &str) -> Result<(Option<DomainSpec>, u8, u8), String> {
    let mut rest = argument;
    let mut v6 = 128;
    if let Some((before, digits)) = rest.rsplit_once("//")
        && is_digits(digits)
    {
        v6 = prefix_length(digits, 128)?;
        rest = before;
    }
    let mut v4 = 32;
    if let Some((before, digits)) = rest.rsplit_once('/')
        && is_digits(digits)
    {
        v4 = prefix_length(digits, 32)?;
        rest = before;
    }
    let domain = match rest.strip_prefix(':') {
        Some(spec) => Some(DomainSpec::parse(spec)?),
        None if rest.is_empty() => None,
        None => return Err(format!("\"{}\" is not a prefix length", clip(rest))),
    };
    Ok((domain, v4, v6))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> String {
        SpfRecord::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn terms_keep_their_text_and_get_their_meaning() {
        let record = SpfRecord::parse(
            "V=spf1  A/24//64 -MX:mail.example.com ?ip6:2001:db8::/32 x=%{d} redirect=a.example",
        )
        .unwrap();
        let texts: Vec<&str> = record.terms.iter().map(|term| term.text.as_str()).collect();
        assert_eq!(
            texts,
            ["A/24//64", "-MX:mail.example.com", "?ip6:2001:db8::/32", "x=%{d}", "redirect=a.example"]
        );
        assert!(matches!(
            record.terms[0].kind,
            TermKind::Directive(Directive {
                qualifier: Qualifier::Pass,
                mechanism: Mechanism::A { domain: None, v4: 24, v6: 64 }
            })
        ));
        assert_eq!(record.redirect().unwrap().as_str(), "a.example");
        assert_eq!(record.all(), None);
    }

    #[test]
    fn errors_name_the_term_and_the_reason() {
        assert_eq!(reason("v=spf1 a include -all"), "in \"include\": \"include\" needs \":\" and a value");
        assert_eq!(reason("v=spf1 ip4:1.2.3 -all"), "in \"ip4:1.2.3\": \"1.2.3\" is not an IPv4 address");
        assert_eq!(
            reason("v=spf1 ip4:1.2.3.4/33"),
            "in \"ip4:1.2.3.4/33\": \"/33\" is not a prefix length from 0 to 32"
        );
        assert_eq!(
            reason("v=spf1 inlcude:a.example"),
            "in \"inlcude:a.example\": \"inlcude\" is not a mechanism"
        );
        assert_eq!(reason("v=spf1 -all."), "in \"-all.\": \"all.\" is not a mechanism");
        assert_eq!(reason("v=spf1 exp=a.b exp=c.d"), "\"exp=\" is there twice");
        assert_eq!(reason("v=spf2 -all"), "it does not begin with \"v=spf1\"");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(v=spf1 )?[ -~é%{}:/=]{0,80}") {
            let _ = SpfRecord::parse(&text);
        }
    }
}
