//! Macro strings and their expansion (RFC 7208 §7).

use model::DomainName;
use std::{
    fmt::Write as _,
    hash::{Hash, Hasher},
    net::IpAddr,
};

/// The `domain-spec` of a term: its text, and the pieces it expands from. Valid by construction.
///
/// Two specs are equal when they name the same thing: case and a final dot do not count.
#[derive(Debug, Clone)]
pub struct DomainSpec {
    text: String,
    /// Empty where the text has no macros: it then stands for itself.
    pieces: Vec<Piece>,
    /// The name that the text stands for where it has no macros, and can stand for one.
    name: Option<DomainName>,
}

impl PartialEq for DomainSpec {
    fn eq(&self, other: &Self) -> bool {
        if self.pieces.is_empty() && other.pieces.is_empty() {
            return without_dot(&self.text).eq_ignore_ascii_case(without_dot(&other.text));
        }
        let same = |(position, (one, other)): (usize, (&Piece, &Piece))| match (one, other) {
            (Piece::Literal(one), Piece::Literal(other)) if position + 1 == self.pieces.len() => {
                one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
            }
            (Piece::Literal(one), Piece::Literal(other)) => one.eq_ignore_ascii_case(other),
            // The case of a macro's letter counts: it asks for escaping.
            (one, other) => one == other,
        };
        self.pieces.len() == other.pieces.len() && self.pieces.iter().zip(&other.pieces).enumerate().all(same)
    }
}

impl Eq for DomainSpec {}

impl Hash for DomainSpec {
    /// Equal specs are hashed alike.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pieces.len().hash(state);
        if self.pieces.is_empty() {
            without_dot(&self.text).bytes().for_each(|octet| octet.to_ascii_lowercase().hash(state));
        }
        for (position, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Literal(text) if position + 1 == self.pieces.len() => {
                    text.trim_end_matches('.').to_ascii_lowercase().hash(state);
                }
                Piece::Literal(text) => text.to_ascii_lowercase().hash(state),
                other => other.hash(state),
            }
        }
    }
}

fn without_dot(text: &str) -> &str {
    text.trim_end_matches('.')
}

impl DomainSpec {
    /// Parses `macro-string domain-end` (RFC 7208 §7.1); the error is the reason, for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the domain name is missing".to_owned());
        }
        let mut pieces = Vec::new();
        let mut name = None;
        if text.contains('%') {
            pieces = parse_macro_string(text, Use::Name)?;
            if let Some(Piece::Literal(literal)) = pieces.last() {
                check_domain_end(literal)?;
            }
        } else {
            check_literal(text, Use::Name)?;
            check_domain_end(text)?;
            name = name_from_text(text);
        }
        Ok(Self { text: text.to_owned(), pieces, name })
    }

    /// The spec as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it depends on the message: such a name cannot be looked up ahead of time.
    pub fn has_macros(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Macro(_)))
    }

    /// The name it stands for when it has no macros.
    pub fn literal_name(&self) -> Option<DomainName> {
        if self.has_macros() {
            return None;
        }
        if self.pieces.is_empty() {
            return self.name.clone();
        }
        name_from_text(&expand_pieces(&self.pieces, |_| String::new()))
    }

    /// Whether `%{p}` occurs, which costs reverse lookups.
    pub(super) fn needs_validated_name(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Macro(m) if m.letter == 'p'))
    }

    /// Expands to a name; `None` when the outcome is no domain name.
    pub(super) fn expand(&self, context: &MacroContext<'_>) -> Option<DomainName> {
        if self.pieces.is_empty() {
            return self.name.clone();
        }
        name_from_text(&expand_pieces(&self.pieces, |m| context.value(m)))
    }
}

/// A text for senders who were refused (RFC 7208 §6.2): macros and spaces.
pub(super) struct ExplainString(Vec<Piece>);

impl ExplainString {
    /// Parses `explain-string` (RFC 7208 §6.2).
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_macro_string(text, Use::Explanation).map(Self)
    }

    /// Whether `%{p}` occurs, which costs reverse lookups.
    pub fn needs_validated_name(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Macro(m) if m.letter == 'p'))
    }

    /// Expands to the text; `None` when it is longer than `max` octets.
    pub fn expand(&self, context: &MacroContext<'_>, seen_by: &SeenBy<'_>, max: usize) -> Option<String> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Escape(text) => out.push_str(text),
                Piece::Macro(m) => out.push_str(&match m.letter {
                    'c' => transform(&context.ip.to_string(), m),
                    'r' => transform(seen_by.receiver, m),
                    't' => transform(&seen_by.seconds.to_string(), m),
                    _ => context.value(m),
                }),
            }
            if out.len() > max {
                return None;
            }
        }
        Some(out)
    }
}

/// What only explanations may tell: who judged the message, and when.
pub(super) struct SeenBy<'a> {
    /// The judging host's name.
    pub receiver: &'a str,
    /// Seconds since 1970.
    pub seconds: i64,
}

/// Where a macro string stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Name,
    Explanation,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Piece {
    Literal(String),
    /// `%%`, `%_` and `%-`, and what they stand for.
    Escape(&'static str),
    Macro(Macro),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Macro {
    /// In lower case.
    letter: char,
    /// An upper-case letter asks for URL escaping (RFC 7208 §7.3).
    url_escape: bool,
    /// How many right-hand parts are kept.
    keep: Option<usize>,
    reverse: bool,
    delimiters: String,
}

/// Checks the value of an unknown modifier, which is a `macro-string` (RFC 7208 §6).
pub(super) fn check_macro_string(text: &str) -> Result<(), String> {
    parse_macro_string(text, Use::Name).map(|_| ())
}

fn parse_macro_string(text: &str, place: Use) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (literal, behind) = rest.split_at(rest.find('%').unwrap_or(rest.len()));
        check_literal(literal, place)?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        rest = behind;
        if rest.is_empty() {
            break;
        }
        let (piece, length) = match rest.as_bytes().get(1) {
            Some(b'%') => (Piece::Escape("%"), 2),
            Some(b'_') => (Piece::Escape(" "), 2),
            Some(b'-') => (Piece::Escape("%20"), 2),
            Some(b'{') => {
                let Some(end) = rest.find('}') else {
                    return Err("a macro has no closing \"}\"".to_owned());
                };
                (Piece::Macro(parse_macro(&rest[2..end], place)?), end + 1)
            }
            _ => return Err("\"%\" must be followed by \"{\", \"%\", \"_\" or \"-\"".to_owned()),
        };
        pieces.push(piece);
        rest = &rest[length..];
    }
    Ok(pieces)
}

/// What stands between macros has visible characters only (RFC 7208 §7.1), and spaces in explanations.
fn check_literal(text: &str, place: Use) -> Result<(), String> {
    let is_allowed = |c: char| matches!(c, '\u{21}'..='\u{7e}') || (c == ' ' && place == Use::Explanation);
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(format!("the character {c:?} is not allowed")),
        None => Ok(()),
    }
}

fn parse_macro(inside: &str, place: Use) -> Result<Macro, String> {
    let invalid = || format!("\"%{{{inside}}}\" is not a macro");
    let letter = inside.chars().next().ok_or_else(invalid)?;
    let lower = letter.to_ascii_lowercase();
    match lower {
        's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'h' | 'v' => {}
        'c' | 'r' | 't' if place == Use::Explanation => {}
        'c' | 'r' | 't' => {
            return Err(format!("the macro \"%{{{inside}}}\" is allowed in explanations only"));
        }
        _ => return Err(invalid()),
    }
    let rest = &inside[1..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = rest.split_at(digits);
    let keep = match number {
        "" => None,
        // More digits than any name has labels keep everything.
        number => match number.parse::<u64>() {
            Ok(0) => return Err(format!("the macro \"%{{{inside}}}\" keeps 0 labels")),
            Ok(keep) => Some(usize::try_from(keep).unwrap_or(usize::MAX)),
            Err(_) => Some(usize::MAX),
        },
    };
    let (reverse, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
        return Err(invalid());
    }
    let url_escape = letter.is_ascii_uppercase();
    Ok(Macro { letter: lower, url_escape, keep, reverse, delimiters: delimiters.to_owned() })
}

/// `domain-end = ( "." toplabel [ "." ] ) / macro-expand`: the literal end of a spec that does not end in a macro.
fn check_domain_end(literal: &str) -> Result<(), String> {
    let literal = literal.strip_suffix('.').unwrap_or(literal);
    let Some((_, top)) = literal.rsplit_once('.') else {
        return Err(format!("\"{literal}\" is not a domain name with at least one dot"));
    };
    let well_formed = !top.is_empty()
        && top.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !top.starts_with('-')
        && !top.ends_with('-')
        && !top.chars().all(|c| c.is_ascii_digit());
    if well_formed { Ok(()) } else { Err(format!("\"{top}\" cannot be the last label of a domain name")) }
}

/// What macros stand for in one evaluation.
#[derive(Debug, Clone, Copy)]
pub(super) struct MacroContext<'a> {
    pub ip: IpAddr,
    pub local_part: &'a str,
    pub sender_domain: &'a DomainName,
    pub helo: &'a str,
    pub domain: &'a DomainName,
    /// The validated name of the client (RFC 7208 §7.3); `None` stands for "unknown".
    pub validated_name: Option<&'a DomainName>,
}

impl MacroContext<'_> {
    fn value(&self, m: &Macro) -> String {
        let value = match m.letter {
            's' => format!("{}@{}", self.local_part, self.sender_domain.as_str()),
            'l' => self.local_part.to_owned(),
            'o' => self.sender_domain.as_str().to_owned(),
            'd' => self.domain.as_str().to_owned(),
            'i' => dotted(self.ip),
            'p' => self.validated_name.map_or("unknown", DomainName::as_str).to_owned(),
            'v' => if self.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            _ => self.helo.to_owned(),
        };
        transform(&value, m)
    }
}

/// Splits on the delimiters, reverses, keeps the right-hand parts and joins with dots (RFC 7208 §7.3).
fn transform(value: &str, m: &Macro) -> String {
    let delimiters = if m.delimiters.is_empty() { "." } else { &m.delimiters };
    let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
    if m.reverse {
        parts.reverse();
    }
    let kept = m.keep.map_or(0, |keep| parts.len().saturating_sub(keep));
    let joined = parts[kept..].join(".");
    if !m.url_escape {
        return joined;
    }
    let mut escaped = String::with_capacity(joined.len());
    for byte in joined.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte as char);
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// `%{i}`: dotted octets of IPv4, dotted nibbles of IPv6 (RFC 7208 §7.3).
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles: Vec<String> = ip
                .octets()
                .iter()
                .flat_map(|o| [o >> 4, o & 15])
                .map(|nibble| format!("{nibble:x}"))
                .collect();
            nibbles.join(".")
        }
    }
}

fn expand_pieces(pieces: &[Piece], value: impl Fn(&Macro) -> String) -> String {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Escape(text) => out.push_str(text),
            Piece::Macro(m) => out.push_str(&value(m)),
        }
    }
    out
}

/// The name of an expanded text. Labels are dropped from the left until 253 octets are left (RFC 7208 §7.3).
fn name_from_text(text: &str) -> Option<DomainName> {
    let mut text = text.strip_suffix('.').unwrap_or(text);
    while text.len() > 253 {
        text = text.split_once('.')?.1;
    }
    // An empty label inside cannot be put on the wire; `from_labels` would leave it out.
    if text.is_empty() || text.split('.').any(str::is_empty) {
        return None;
    }
    DomainName::from_labels(text.split('.').map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(spec: &str, ip: &str) -> String {
        let sender = DomainName::parse("email.example.com").unwrap();
        let context = MacroContext {
            ip: ip.parse().unwrap(),
            local_part: "strong-bad",
            sender_domain: &sender,
            helo: "mx.example.org",
            domain: &sender,
            validated_name: None,
        };
        DomainSpec::parse(spec).unwrap().expand(&context).unwrap().to_string()
    }

    #[test]
    fn the_examples_of_rfc_7208_section_7_4() {
        for (spec, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{p}.%{h}", "unknown.mx.example.org"),
        ] {
            assert_eq!(expand(spec, "192.0.2.3"), expected, "{spec}");
        }
        assert_eq!(
            expand("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01"),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
    }

    #[test]
    fn what_is_no_domain_spec_is_refused() {
        for spec in
            ["", "example", "example.123", "a.-b", "%{x}.a.b", "%{d0}.a.b", "%{d", "%a.b.c", "%{c}", "é.b.c"]
        {
            assert!(DomainSpec::parse(spec).is_err(), "{spec}");
        }
        assert!(DomainSpec::parse("a.%{d}").is_ok());
        assert!(DomainSpec::parse("foo:bar/baz.example.com.").is_ok());
    }
}
