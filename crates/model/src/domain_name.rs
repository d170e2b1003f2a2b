//! Domain names (RFC 1034 §3.1, RFC 5890).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::{Arc, LazyLock},
};

/// A fully qualified domain name in presentation form: lower case, A-labels, no final dot; the root is empty.
///
/// Names that people type go through [`DomainName::parse`], which accepts U-labels, any case and one final dot.
/// Names seen in DNS answers go through [`DomainName::from_labels`], which keeps octets that no host name may
/// have as `\DDD` escapes (RFC 1035 §5.1), so that nothing observed is lost or mistaken for something else.
/// Names compare without case because they are stored in lower case (RFC 4343).
///
/// A clone shares the text, and so does a name's parent: an observation holds each name dozens of times.
#[derive(Clone)]
pub struct DomainName {
    /// This name, and maybe labels in front of it.
    text: Arc<str>,
    /// Where this name starts.
    start: u16,
    /// Of this name's text: names are compared hundreds of times, and most of them differ.
    digest: u32,
}

/// The root's text, so that no root allocates.
static EMPTY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));

/// Why a text is not a domain name. Positions and lengths are in octets of the A-label form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// Nothing was given.
    #[error("the domain name is empty")]
    Empty,
    /// Two dots in a row, or a dot in front.
    #[error("\"{0}\" has an empty label (two dots in a row, or a dot in front)")]
    EmptyLabel(String),
    /// RFC 1035 §2.3.4: 63 octets a label.
    #[error("the label \"{label}\" has {length} octets, 63 are allowed")]
    LabelTooLong {
        /// The label as it was given.
        label: String,
        /// Its length.
        length: usize,
    },
    /// RFC 1035 §2.3.4: 255 octets on the wire, 253 in text.
    #[error("the name has {0} octets, 253 are allowed")]
    TooLong(usize),
    /// A character that no host or service label may hold.
    #[error("\"{name}\" has the character {character:?}, which a domain name cannot have")]
    BadCharacter {
        /// What was given.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// RFC 5891 §4.2.3.1, RFC 1123 §2.1: a label neither starts nor ends with a hyphen.
    #[error("the label \"{0}\" starts or ends with a hyphen")]
    Hyphen(String),
    /// UTS 46 could not make A-labels of it.
    #[error("\"{0}\" is not a valid internationalised domain name")]
    Idna(String),
    /// A URL, an address or a path was pasted.
    #[error("\"{input}\" is not a domain name; did you mean \"{suggestion}\"?")]
    LooksLikeUrl {
        /// What was given.
        input: String,
        /// Its host part.
        suggestion: String,
    },
    /// An IP address was given.
    #[error("\"{0}\" is an IP address, not a domain name")]
    IpAddress(String),
}

impl DomainName {
    /// The root of the DNS.
    pub fn root() -> Self {
        Self { text: Arc::clone(&EMPTY), start: 0, digest: digest(b"") }
    }

    fn of_text(text: &str) -> Self {
        if text.is_empty() {
            return Self::root();
        }
        Self { text: Arc::from(text), start: 0, digest: digest(text.as_bytes()) }
    }

    /// A digest of the name, by which to look it up: names that are equal have the same, and most others another one.
    /// Nothing that strangers could slow down by names of the same digest may rest on it.
    pub fn digest(&self) -> u32 {
        self.digest
    }

    /// Parses what a person or a program wrote: trims white space and one final dot, lowers the case and turns
    /// U-labels into A-labels (UTS 46, non-transitional). Underscores are allowed (RFC 8552), and a first label
    /// `*` (RFC 4592).
    pub fn parse(input: &str) -> Result<Self, DomainNameError> {
        let text = input.trim();
        if text.is_empty() || text == "." {
            return Err(DomainNameError::Empty);
        }
        // What programs write, and most people.
        if text.len() <= 253 && is_plain(text) {
            return Ok(Self::of_text(text));
        }
        // Bounded before any table is consulted: a U-label never has more characters than its A-label has octets.
        if text.chars().count() > 1_000 {
            return Err(DomainNameError::TooLong(text.len()));
        }
        refuse_look_alikes(text)?;
        let text = text.strip_suffix(['.', '。']).unwrap_or(text);
        // An A-label that stands for nothing is refused as well.
        let plain = text.is_ascii() && !text.to_ascii_lowercase().contains("xn--");
        let ascii = if plain { text.to_ascii_lowercase() } else { to_a_labels(text)? };
        check_text(&ascii, text)?;
        Ok(Self::of_text(&ascii))
    }

    /// Builds the name from the labels of a DNS message. Returns `None` when it is longer than RFC 1035 allows.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        // Each label with a dot in front: as long as on the wire, where nothing has to be escaped.
        let mut text = [0_u8; 256];
        let mut length = 0;
        let mut labels = labels.into_iter().filter(|label| !label.is_empty());
        while let Some(label) = labels.next() {
            let end = length + 1 + label.len();
            let place = text.get_mut(length..end).filter(|_| label.len() <= 63 && end < 255)?;
            let (dot, place) = place.split_first_mut()?;
            *dot = b'.';
            let mut all = true;
            for (place, octet) in place.iter_mut().zip(label) {
                *place = AS_IT_IS[usize::from(*octet)];
                all &= *place != 0;
            }
            if !all {
                let before = text.get(1..length).unwrap_or_default();
                return Self::with_escapes(before, length, std::iter::once(label).chain(labels));
            }
            length = end;
        }
        std::str::from_utf8(text.get(1..length).unwrap_or_default()).ok().map(Self::of_text)
    }

    /// The name from labels of which octets have to be escaped, behind a text that is made; `length` is that of the
    /// labels before, with an octet for each of their lengths.
    fn with_escapes<'a>(
        before: &[u8],
        mut length: usize,
        labels: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let mut text = before.to_vec();
        for label in labels {
            length += label.len() + 1;
            if label.len() > 63 || length > 254 {
                return None;
            }
            if !text.is_empty() {
                text.push(b'.');
            }
            for &octet in label {
                match AS_IT_IS[usize::from(octet)] {
                    0 => {
                        text.push(b'\\');
                        text.extend([octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit));
                    }
                    as_it_is => text.push(as_it_is),
                }
            }
        }
        std::str::from_utf8(&text).ok().map(Self::of_text)
    }

    /// Appends the name in wire format, escapes undone (RFC 1035 §3.1). Whether it could be written: a label of more
    /// than 63 octets cannot.
    pub fn push_wire(&self, out: &mut Vec<u8>) -> bool {
        let text = self.as_str();
        if text.as_bytes().contains(&b'\\') {
            return push_wire_unescaped(self.labels(), out);
        }
        if text.is_empty() {
            out.push(0);
            return true;
        }
        // All labels as they are, a place for the length in front of each: where the dots are.
        let start = out.len();
        out.reserve(text.len() + 2);
        out.push(b'.');
        out.extend_from_slice(text.as_bytes());
        let mut length = 0_u8;
        let mut are_lengths = true;
        for octet in out[start..].iter_mut().rev() {
            if *octet == b'.' {
                *octet = length;
                are_lengths &= matches!(length, 1..=63);
                length = 0;
            } else {
                length = length.saturating_add(1);
            }
        }
        out.push(0);
        are_lengths
    }

    /// The name without a final dot; empty for the root.
    pub fn as_str(&self) -> &str {
        match self.start {
            0 => &self.text,
            start => &self.text[usize::from(start)..],
        }
    }

    /// The name with its final dot, as zone files want it.
    pub fn absolute(&self) -> String {
        format!("{}.", self.as_str())
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The labels, leftmost first; none for the root. Escapes are not undone.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str().split('.').filter(|label| !label.is_empty())
    }

    /// The octets of each label, leftmost first, with escapes undone.
    pub fn wire_labels(&self) -> Vec<Vec<u8>> {
        self.labels().map(unescape).collect()
    }

    /// How many labels the name has.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name one label up, or `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let text = self.as_str().as_bytes();
        let dot = text.iter().position(|octet| *octet == b'.');
        // A name in text has 1,016 octets at the most (every octet of 254 escaped): its positions fit.
        let parent = dot.and_then(|dot| Some((u16::try_from(dot + 1).ok()?, text.get(dot + 1..)?)));
        Some(parent.map_or_else(Self::root, |(further, text)| Self {
            text: Arc::clone(&self.text),
            start: self.start + further,
            digest: digest(text),
        }))
    }

    /// The name that starts with the label at this octet of [`Self::as_str`]; `None` where no label starts there. It shares
    /// the text.
    pub fn from_label_at(&self, octet: usize) -> Option<Self> {
        let text = self.as_str().as_bytes().get(octet..).filter(|text| !text.is_empty())?;
        let is_start = octet == 0 || self.as_str().as_bytes()[octet - 1] == b'.';
        let start = self.start.checked_add(u16::try_from(octet).ok()?)?;
        is_start.then(|| Self { text: Arc::clone(&self.text), start, digest: digest(text) })
    }

    /// This name and all above it, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent).filter(|name| !name.is_root())
    }

    /// Whether this name is `other` or below it.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self == other || self.is_below(other)
    }

    /// Whether this name is truly below `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        if other.is_root() {
            return !self.is_root();
        }
        let (name, other) = (self.as_str(), other.as_str());
        name.len() > other.len()
            && name.ends_with(other)
            && name.as_bytes()[name.len() - other.len() - 1] == b'.'
    }

    /// The labels in front of `zone`, as a DNS host's panel wants them: `@` at the apex, `None` outside of it.
    pub fn relative_to(&self, zone: &Self) -> Option<String> {
        if self == zone {
            return Some("@".to_owned());
        }
        if zone.is_root() {
            return Some(self.as_str().to_owned());
        }
        let name = self.as_str();
        self.is_below(zone).then(|| name[..name.len() - zone.as_str().len() - 1].to_owned())
    }

    /// Puts a prefix of one or more labels in front. Errors when the prefix is not a name or the whole is too long.
    pub fn prepend(&self, prefix: &str) -> Result<Self, DomainNameError> {
        if self.is_root() {
            return Self::parse(prefix);
        }
        let length = prefix.len() + 1 + self.as_str().len();
        if length <= 253 && is_plain(prefix) {
            // Text that is no longer than this is on the stack.
            let mut text = [0_u8; 253];
            let (front, behind) = text[..length].split_at_mut(prefix.len() + 1);
            front[..prefix.len()].copy_from_slice(prefix.as_bytes());
            front[prefix.len()] = b'.';
            behind.copy_from_slice(self.as_str().as_bytes());
            return std::str::from_utf8(&text[..length])
                .map(Self::of_text)
                .map_err(|_| DomainNameError::Idna(clip(prefix)));
        }
        // The part behind the prefix may hold escapes, which people cannot type; only the prefix is judged.
        let prefix = Self::parse(prefix)?;
        let length = prefix.as_str().len() + 1 + self.as_str().len();
        if length > 253 {
            return Err(DomainNameError::TooLong(length));
        }
        Ok(Self::of_text(&format!("{}.{}", prefix.as_str(), self.as_str())))
    }

    /// The name with U-labels, for people; the A-label form where a label does not survive the way back.
    pub fn to_unicode(&self) -> String {
        if !self.as_str().contains("xn--") {
            return self.as_str().to_owned();
        }
        let (unicode, result) = idna::domain_to_unicode(self.as_str());
        if result.is_ok() { unicode } else { self.as_str().to_owned() }
    }
}

fn digest(text: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    for (place, octet) in last.iter_mut().zip(rest) {
        *place = *octet;
    }
    let mix = |digest: u64, word: &[u8; 8]| {
        (digest ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(32)
    };
    let digest = mix(words.iter().fold(text.len() as u64, mix), &last);
    u32::try_from(digest >> 32).unwrap_or_default() ^ u32::try_from(digest & 0xffff_ffff).unwrap_or_default()
}

/// What an octet of a label is in text, where it stands for itself there; zero where it does not.
const AS_IT_IS: [u8; 256] = {
    let mut table = [0; 256];
    let mut octet = 33_u8;
    while octet < 127 {
        if !matches!(octet, b'.' | b'\\' | b'"') {
            table[octet as usize] = octet.to_ascii_lowercase();
        }
        octet += 1;
    }
    table
};

fn push_wire_unescaped<'a>(labels: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) -> bool {
    for label in labels {
        let length_at = out.len();
        out.push(0);
        out.extend(unescape(label));
        match u8::try_from(out.len() - length_at - 1) {
            Ok(length @ 1..=63) => out[length_at] = length,
            _ => return false,
        }
    }
    out.push(0);
    true
}

fn refuse_look_alikes(text: &str) -> Result<(), DomainNameError> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        return Err(DomainNameError::LooksLikeUrl { input: clip(text), suggestion: clip(host) });
    }
    if let Some(at) = text.find(['/', '?']) {
        return Err(DomainNameError::LooksLikeUrl { input: clip(text), suggestion: clip(&text[..at]) });
    }
    if let Some((_, host)) = text.rsplit_once('@') {
        return Err(DomainNameError::LooksLikeUrl { input: clip(text), suggestion: clip(host) });
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Err(DomainNameError::IpAddress(clip(text)));
    }
    Ok(())
}

fn to_a_labels(text: &str) -> Result<String, DomainNameError> {
    // The deny list is left empty so that `_domainkey` passes; `check_text` judges the characters instead.
    idna::uts46::Uts46::new()
        .to_ascii(
            text.as_bytes(),
            idna::AsciiDenyList::EMPTY,
            idna::uts46::Hyphens::Allow,
            idna::uts46::DnsLength::Ignore,
        )
        .map(|ascii| ascii.to_ascii_lowercase())
        .map_err(|_| DomainNameError::Idna(clip(text)))
}

fn check_text(ascii: &str, given: &str) -> Result<(), DomainNameError> {
    for (position, label) in ascii.split('.').enumerate() {
        if label.is_empty() {
            return Err(DomainNameError::EmptyLabel(clip(given)));
        }
        if position == 0 && label == "*" {
            continue;
        }
        if let Some(character) =
            label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_'))
        {
            return Err(DomainNameError::BadCharacter { name: clip(given), character });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(DomainNameError::Hyphen(clip(label)));
        }
        if label.len() > 63 {
            return Err(DomainNameError::LabelTooLong { label: clip(label), length: label.len() });
        }
    }
    if ascii.len() > 253 {
        return Err(DomainNameError::TooLong(ascii.len()));
    }
    Ok(())
}

/// Whether a name is what parsing would leave as it is: no case to lower, nothing international, nothing forbidden in any
/// label. A letter in each, too: digits alone may be an address.
fn is_plain(text: &str) -> bool {
    const LETTER: u8 = 2;
    const OTHER: u8 = 1;
    const PLAIN: [u8; 256] = {
        let mut table = [0; 256];
        let mut octet = 0_u8;
        while octet < 128 {
            table[octet as usize] = match octet {
                b'a'..=b'z' => LETTER,
                b'0'..=b'9' | b'-' | b'_' => OTHER,
                _ => 0,
            };
            octet += 1;
        }
        table
    };
    text.as_bytes().split(|octet| *octet == b'.').all(|label| {
        let (mut all, mut any) = (true, 0);
        for octet in label {
            let kind = PLAIN[usize::from(*octet)];
            all &= kind != 0;
            any |= kind;
        }
        (1..=63).contains(&label.len())
            && all
            && any & LETTER != 0
            && label[0] != b'-'
            && label[label.len() - 1] != b'-'
            && !label.starts_with(b"xn--")
    })
}

/// Error texts never repeat more than this of what a stranger sent.
fn clip(text: &str) -> String {
    const MOST: usize = 100;
    let more = text.chars().nth(MOST).map(|_| '…');
    // What is refused may hold terminal escape sequences, and is shown to whoever gave it.
    let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MOST).map(harmless).chain(more).collect()
}

fn unescape(label: &str) -> Vec<u8> {
    let bytes = label.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'\\'
            && let Some(octet) = label.get(i + 1..i + 4).and_then(|digits| digits.parse::<u8>().ok())
        {
            out.push(octet);
            i += 4;
            continue;
        }
        out.push(bytes[i]);
        i += 1;
    }
    out
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { self.as_str() })
    }
}

impl Default for DomainName {
    fn default() -> Self {
        Self::root()
    }
}

impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
            && (Arc::ptr_eq(&self.text, &other.text) && self.start == other.start
                || self.as_str() == other.as_str())
    }
}

impl Eq for DomainName {}

impl Hash for DomainName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Ord for DomainName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for DomainName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainName({self})")
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for DomainName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DomainName {
    /// Reads back what `Serialize` wrote: the root as `.`, escapes kept. Plain text is parsed as a person's input.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "." {
            return Ok(Self::root());
        }
        if let Ok(name) = Self::parse(&text) {
            return Ok(name);
        }
        let labels: Vec<Vec<u8>> = text.split('.').map(unescape).collect();
        Self::from_labels(labels.iter().map(Vec::as_slice))
            .ok_or_else(|| serde::de::Error::custom("a domain name past 255 octets"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, DomainNameError> {
        DomainName::parse(text).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn case_final_dot_and_u_labels_are_normalised() {
        assert_eq!(parse(" Mail.Example.COM. ").unwrap(), "mail.example.com");
        assert_eq!(parse("post.bücher.example").unwrap(), "post.xn--bcher-kva.example");
        assert_eq!(parse("POST.BÜCHER.example").unwrap(), "post.xn--bcher-kva.example");
        assert_eq!(parse("tok._domainkey.example.com").unwrap(), "tok._domainkey.example.com");
        assert_eq!(DomainName::parse("xn--bcher-kva.example").unwrap().to_unicode(), "bücher.example");
    }

    #[test]
    fn no_refusal_repeats_what_a_terminal_would_obey() {
        for text in ["a\u{1b}[31mb", "https://a\u{1b}]0;x\u{7}.test/", "\u{1b}@a\u{9b}b", "a.\u{1b}..b"] {
            let refusal = DomainName::parse(text).unwrap_err().to_string();
            assert!(!refusal.contains(char::is_control), "{refusal:?}");
        }
        let long = DomainName::parse(&"a b".repeat(50)).unwrap_err().to_string();
        assert!(long.contains('…'), "{long}");
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        assert_eq!(parse(""), Err(DomainNameError::Empty));
        assert!(matches!(parse("a..b"), Err(DomainNameError::EmptyLabel(_))));
        assert!(matches!(parse(".a"), Err(DomainNameError::EmptyLabel(_))));
        assert!(matches!(parse("a b.com"), Err(DomainNameError::BadCharacter { character: ' ', .. })));
        assert!(matches!(parse("-a.com"), Err(DomainNameError::Hyphen(_))));
        assert!(matches!(
            parse(&format!("{}.com", "a".repeat(64))),
            Err(DomainNameError::LabelTooLong { length: 64, .. })
        ));
        assert!(matches!(parse(&["abcdefgh"; 32].join(".")), Err(DomainNameError::TooLong(_))));
        assert!(matches!(parse("192.0.2.1"), Err(DomainNameError::IpAddress(_))));
        assert_eq!(
            parse("https://user@example.com:8080/x"),
            Err(DomainNameError::LooksLikeUrl {
                input: "https://user@example.com:8080/x".into(),
                suggestion: "example.com".into()
            }),
        );
    }

    #[test]
    fn relative_hosts_are_what_a_panel_wants() {
        let zone = DomainName::parse("example.com").unwrap();
        let name = DomainName::parse("a._domainkey.mail.example.com").unwrap();
        assert_eq!(name.relative_to(&zone).as_deref(), Some("a._domainkey.mail"));
        assert_eq!(zone.relative_to(&zone).as_deref(), Some("@"));
        assert_eq!(DomainName::parse("notexample.com").unwrap().relative_to(&zone), None);
    }

    /// The quick way and the one for octets that have to be escaped make the same name of the same labels.
    #[test]
    fn names_are_made_alike_on_both_ways() {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..20_000 {
            let longest = [4, 20, 64, 66][round % 4];
            let mut octet = || u8::try_from(if next(40) == 0 { next(256) } else { 65 + next(58) }).unwrap();
            let mut octets = Vec::new();
            octets.resize_with(300, &mut octet);
            let mut rest = octets.as_slice();
            let labels: Vec<Vec<u8>> = (0..next(7))
                .map(|_| {
                    let (label, behind) =
                        rest.split_at(rest.len().min(usize::try_from(next(longest)).unwrap()));
                    rest = behind;
                    label.to_vec()
                })
                .collect();
            let of = || labels.iter().map(Vec::as_slice);
            let filled = of().filter(|label| !label.is_empty());
            let name = DomainName::from_labels(of());
            assert_eq!(name, DomainName::with_escapes(&[], 0, filled), "{labels:?}");
            let Some(name) = name else { continue };
            let (mut wire, mut by_labels) = (Vec::new(), Vec::new());
            assert!(name.push_wire(&mut wire) && push_wire_unescaped(name.labels(), &mut by_labels));
            assert_eq!(wire, by_labels);
            assert_eq!(DomainName::from_labels(name.wire_labels().iter().map(Vec::as_slice)), Some(name));
        }
    }

    #[test]
    fn octets_of_answers_survive_as_escapes_and_through_json() {
        let name = DomainName::from_labels([b"a.b\"".as_slice(), b"Ex\xffample", b"com"]).unwrap();
        assert_eq!(name.as_str(), "a\\046b\\034.ex\\255ample.com");
        assert_eq!(name.wire_labels()[0], b"a.b\"");
        let mut wire = Vec::new();
        assert!(name.push_wire(&mut wire));
        assert_eq!(wire, b"\x04a.b\"\x08ex\xffample\x03com\0");
        let longest = DomainName::from_labels([[0_u8; 63].as_slice(), &[0; 63], &[0; 63], &[0; 61]]).unwrap();
        assert_eq!(longest.as_str().len(), 250 * 4 + 3);
        assert_eq!(longest.parent().unwrap().wire_labels().concat(), [0; 187]);
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(serde_json::from_str::<DomainName>(&json).unwrap(), name);
        assert_eq!(serde_json::from_str::<DomainName>("\".\"").unwrap(), DomainName::root());
    }
}
