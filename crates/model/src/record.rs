//! Resource records as data (RFC 1035 §3.2).

use crate::{Caa, DomainName, Srv};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt::{self, Write},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

/// A record type; types we do not name keep their number (RFC 3597).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// A name server of a zone.
    Ns,
    /// An alias.
    Cname,
    /// The start of a zone.
    Soa,
    /// A reverse name.
    Ptr,
    /// A mail exchanger.
    Mx,
    /// Text.
    Txt,
    /// An IPv6 address.
    Aaaa,
    /// Where a service is (RFC 2782); its data is read by [`crate::Srv`].
    Srv,
    /// Who may issue certificates (RFC 8659); its data is read by [`crate::Caa`].
    Caa,
    /// Any other, by number.
    Other(u16),
}

/// Why a text is not a record type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a record type; known are A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SPF, SRV, TXT and TYPEnnn"
)]
pub struct RecordTypeError(String);

impl RecordType {
    /// The type of SPF records before RFC 7208 §3.1, which nobody asks for any more. Its data is that of TXT.
    pub const SPF: Self = Self::Other(99);

    /// The number on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Caa => 257,
            Self::Other(code) => code,
        }
    }

    /// The type of a number on the wire.
    pub const fn from_code(code: u16) -> Self {
        match code {
            1 => Self::A,
            2 => Self::Ns,
            5 => Self::Cname,
            6 => Self::Soa,
            12 => Self::Ptr,
            15 => Self::Mx,
            16 => Self::Txt,
            28 => Self::Aaaa,
            33 => Self::Srv,
            257 => Self::Caa,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::Ns => "NS",
            Self::Cname => "CNAME",
            Self::Soa => "SOA",
            Self::Ptr => "PTR",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
            Self::Caa => "CAA",
            Self::Other(99) => "SPF",
            Self::Other(code) => return f.pad(&format!("TYPE{code}")),
        })
    }
}

impl FromStr for RecordType {
    type Err = RecordTypeError;
    fn from_str(text: &str) -> Result<Self, RecordTypeError> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "A" => Self::A,
            "NS" => Self::Ns,
            "CNAME" => Self::Cname,
            "SOA" => Self::Soa,
            "PTR" => Self::Ptr,
            "MX" => Self::Mx,
            "TXT" => Self::Txt,
            "AAAA" => Self::Aaaa,
            "SRV" => Self::Srv,
            "CAA" => Self::Caa,
            "SPF" => Self::SPF,
            other => other
                .strip_prefix("TYPE")
                .and_then(|code| code.parse().ok())
                .map(Self::from_code)
                .ok_or_else(|| RecordTypeError(text.chars().take(20).collect()))?,
        })
    }
}

impl Serialize for RecordType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The character strings of one TXT record, in their order, each at most 255 octets.
///
/// In JSON each string is text with octets outside of printable ASCII, and the backslash, as `\DDD`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TxtData(
    /// As on the wire: an octet with the length in front of each string. Clones share it.
    Arc<[u8]>,
);

impl TxtData {
    /// One TXT record from its character strings; those past 255 octets are split.
    pub fn from_strings(strings: &[impl AsRef<[u8]>]) -> Self {
        let mut octets = Vec::new();
        for string in strings {
            let string = string.as_ref();
            if string.is_empty() {
                octets.push(0);
            }
            for part in string.chunks(MAX_STRING) {
                octets.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                octets.extend_from_slice(part);
            }
        }
        Self(Arc::from(octets))
    }

    /// Splits a text into strings of at most 255 octets, as a DNS host has to (RFC 1035 §3.3).
    pub fn from_text(text: &str) -> Self {
        Self::from_strings(&[text])
    }

    /// One TXT record from its data on the wire (RFC 1035 §3.3.14). `None` when it does not consist of one or more
    /// whole strings.
    pub fn from_wire(octets: &[u8]) -> Option<Self> {
        let mut rest = octets;
        while let Some((&length, behind)) = rest.split_first() {
            rest = behind.get(usize::from(length)..)?;
        }
        (!octets.is_empty()).then(|| Self(Arc::from(octets)))
    }

    /// The data as it is on the wire.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The character strings.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, behind) = rest.split_first()?;
            let (string, behind) = behind.split_at_checked(usize::from(length))?;
            rest = behind;
            Some(string)
        })
    }

    /// As [`TxtData::joined`], without a copy where it is one string, as most are.
    pub fn text(&self) -> Cow<'_, str> {
        match self.0.split_first() {
            Some((&length, string)) if usize::from(length) == string.len() => {
                std::str::from_utf8(string).map_or_else(|_| String::from_utf8_lossy(string), Cow::Borrowed)
            }
            _ => Cow::Owned(self.joined()),
        }
    }

    /// The strings joined with nothing between them (RFC 7208 §3.3, RFC 6376 §3.6.2.2), bytes that are not UTF-8
    /// replaced.
    pub fn joined(&self) -> String {
        let mut octets = Vec::with_capacity(self.0.len());
        for string in self.strings() {
            octets.extend_from_slice(string);
        }
        String::from_utf8(octets)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// The longest character string (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

impl Ord for TxtData {
    /// String by string, as text sorts: the length octets take no part.
    fn cmp(&self, other: &Self) -> Ordering {
        self.strings().cmp(other.strings())
    }
}

impl PartialOrd for TxtData {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for TxtData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.strings().map(escape_octets))
    }
}

impl<'de> Deserialize<'de> for TxtData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let strings = Vec::<String>::deserialize(deserializer)?;
        let strings: Vec<Vec<u8>> = strings.iter().map(|string| unescape_octets(string)).collect();
        Ok(Self::from_strings(&strings))
    }
}

fn escape_octets(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    for &octet in octets {
        if (32..127).contains(&octet) && octet != b'\\' {
            out.push(octet as char);
        } else {
            let _ = write!(out, "\\{octet:03}");
        }
    }
    out
}

fn unescape_octets(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if let Some(octet) = rest.get(..3).and_then(|digits| digits.parse().ok()) {
            out.push(octet);
            rest = &rest[3..];
        } else {
            out.push(b'\\');
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// A zone's SOA fields, times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Soa {
    /// The primary name server.
    pub mname: DomainName,
    /// The responsible mailbox, its `@` as a dot.
    pub rname: DomainName,
    /// The version of the zone.
    pub serial: u32,
    /// How often secondaries ask.
    pub refresh: u32,
    /// How soon secondaries ask again after a failure.
    pub retry: u32,
    /// When secondaries give up.
    pub expire: u32,
    /// Caps the time a negative answer is kept (RFC 2308 §4).
    pub minimum: u32,
}

/// The data of one record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum RecordData {
    /// An IPv4 address.
    #[serde(rename = "A")]
    A(Ipv4Addr),
    /// An IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa(Ipv6Addr),
    /// The canonical name.
    #[serde(rename = "CNAME")]
    Cname(DomainName),
    /// A mail exchanger; the root as exchange is the null MX (RFC 7505).
    #[serde(rename = "MX")]
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The host.
        exchange: DomainName,
    },
    /// A name server.
    #[serde(rename = "NS")]
    Ns(DomainName),
    /// A reverse name.
    #[serde(rename = "PTR")]
    Ptr(DomainName),
    /// The start of a zone.
    #[serde(rename = "SOA")]
    Soa(Soa),
    /// Text.
    #[serde(rename = "TXT")]
    Txt(TxtData),
    /// Any other type, its octets not looked into here (see [`crate::Srv`], [`crate::Caa`]).
    #[serde(rename = "other")]
    Other {
        /// The type's number.
        code: u16,
        /// The octets of the data.
        octets: Vec<u8>,
    },
}

impl RecordData {
    /// The text of a TXT record ([`TxtData::text`]).
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Txt(text) => Some(text.text()),
            _ => None,
        }
    }

    /// About how many octets it holds beyond its own size.
    pub fn octets(&self) -> usize {
        match self {
            Self::A(_) | Self::Aaaa(_) => 0,
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) | Self::Mx { exchange: name, .. } => {
                name.as_str().len()
            }
            Self::Soa(soa) => soa.mname.as_str().len() + soa.rname.as_str().len(),
            Self::Txt(text) => text.as_wire().len(),
            Self::Other { octets, .. } => octets.len(),
        }
    }

    /// The type this data belongs to.
    pub const fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Cname(_) => RecordType::Cname,
            Self::Mx { .. } => RecordType::Mx,
            Self::Ns(_) => RecordType::Ns,
            Self::Ptr(_) => RecordType::Ptr,
            Self::Soa(_) => RecordType::Soa,
            Self::Txt(_) => RecordType::Txt,
            Self::Other { code, .. } => RecordType::from_code(*code),
        }
    }
}

impl fmt::Display for RecordData {
    /// The data as people paste it: names without final dot, TXT joined and without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.fmt(f),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Soa(soa) => write!(
                f,
                "{} {} {} {} {} {} {}",
                soa.mname, soa.rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum
            ),
            Self::Txt(text) => f.write_str(&text.joined()),
            Self::Other { octets, .. } => match (Srv::from_data(self), Caa::from_data(self)) {
                (Some(srv), _) => srv.fmt(f),
                (_, Some(caa)) => caa.fmt(f),
                _ => write!(f, "\\# {}", octets.len()),
            },
        }
    }
}

/// One resource record of class IN.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The name it is at.
    pub owner: DomainName,
    /// How long it may be cached, in seconds; in an answer of a cache, what is left.
    pub ttl: u32,
    /// Type and data.
    #[serde(flatten)]
    pub data: RecordData,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn txt_is_joined_without_spaces_and_survives_json() {
        let txt = TxtData::from_strings(&[b"v=spf1 ".as_slice(), b"a\\\xff\""]);
        assert_eq!(txt.joined(), "v=spf1 a\\\u{fffd}\"");
        let json = serde_json::to_string(&txt).unwrap();
        assert_eq!(serde_json::from_str::<TxtData>(&json).unwrap(), txt);
        assert_eq!(TxtData::from_text(&"x".repeat(300)).strings().count(), 2);
        assert_eq!(TxtData::from_text("").strings().collect::<Vec<_>>(), [b""]);
        assert_eq!(TxtData::from_wire(b"\x01a\x00\x02bc").unwrap().joined(), "abc");
        assert_eq!((TxtData::from_wire(b""), TxtData::from_wire(b"\x02a")), (None, None));
        assert!(TxtData::from_text("b") > TxtData::from_text("aaa"), "sorted as text");
    }

    #[test]
    fn a_record_survives_json() {
        for data in [
            RecordData::Mx { preference: 10, exchange: DomainName::root() },
            RecordData::Txt(TxtData::from_text("x")),
            RecordData::Other { code: 257, octets: vec![0, 1] },
        ] {
            let record = Record { owner: DomainName::parse("a.example").unwrap(), ttl: 60, data };
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        }
    }
}
