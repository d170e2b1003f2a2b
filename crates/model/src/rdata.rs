//! Data of types that are kept as octets ([`RecordData::Other`]) and read only where somebody asks: SRV and CAA.

use crate::{DomainName, RecordData, RecordType};
use std::fmt;

/// Where a service is (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; the root says that there is no such service.
    pub target: DomainName,
}

impl Srv {
    /// The record data. The name is not compressed (RFC 2782).
    pub fn to_data(&self) -> RecordData {
        let mut octets: Vec<u8> =
            [self.priority, self.weight, self.port].into_iter().flat_map(u16::to_be_bytes).collect();
        for label in self.target.wire_labels() {
            // A label of a domain name has 63 octets at most.
            octets.push(u8::try_from(label.len()).unwrap_or(63));
            octets.extend_from_slice(&label);
        }
        octets.push(0);
        RecordData::Other { code: RecordType::Srv.code(), octets }
    }

    /// Reads record data; `None` when it is of another type or damaged.
    pub fn from_data(data: &RecordData) -> Option<Self> {
        let RecordData::Other { code, octets } = data else { return None };
        if *code != RecordType::Srv.code() || octets.len() < 7 {
            return None;
        }
        let number = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let mut labels = Vec::new();
        let mut rest = &octets[6..];
        loop {
            let (&length, after) = rest.split_first()?;
            match usize::from(length) {
                0 if after.is_empty() => break,
                length @ 1..=63 if length <= after.len() => {
                    labels.push(&after[..length]);
                    rest = &after[length..];
                }
                _ => return None,
            }
        }
        let target = DomainName::from_labels(labels)?;
        Some(Self { priority: number(0), weight: number(2), port: number(4), target })
    }
}

impl fmt::Display for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.priority, self.weight, self.port, self.target)
    }
}

/// Who may issue certificates for a name (RFC 8659 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caa {
    /// 128: an issuer that does not know the property must not issue.
    pub flags: u8,
    /// The property, in lower case: `issue`, `issuewild`, `iodef`, …
    pub tag: String,
    /// Its value.
    pub value: String,
}

impl Caa {
    /// Parses what stands in a zone file: `0 issue "ca.example"`, the quotation marks not needed where the value
    /// has no space.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.trim().splitn(3, char::is_whitespace);
        let flags = words.next()?.parse().ok()?;
        let tag = words.next()?.to_ascii_lowercase();
        let rest = words.next()?.trim();
        let value = match rest.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => rest,
        };
        let well_formed = (1..=15).contains(&tag.len())
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
        well_formed.then(|| Self { flags, tag, value: value.to_owned() })
    }

    /// The record data.
    pub fn to_data(&self) -> RecordData {
        let mut octets = vec![self.flags, u8::try_from(self.tag.len()).unwrap_or(u8::MAX)];
        octets.extend_from_slice(self.tag.as_bytes());
        octets.extend_from_slice(self.value.as_bytes());
        RecordData::Other { code: RecordType::Caa.code(), octets }
    }

    /// Reads record data; `None` when it is of another type or damaged. Octets of the value that are no text are
    /// replaced.
    pub fn from_data(data: &RecordData) -> Option<Self> {
        let RecordData::Other { code, octets } = data else { return None };
        let (&[flags, length], rest) = octets.split_first_chunk()?;
        let length = usize::from(length);
        if *code != RecordType::Caa.code() || length == 0 || length > rest.len() {
            return None;
        }
        let (tag, value) = rest.split_at(length);
        let tag =
            std::str::from_utf8(tag).ok().filter(|tag| tag.bytes().all(|b| b.is_ascii_alphanumeric()))?;
        let value = String::from_utf8_lossy(value).into_owned();
        Some(Self { flags, tag: tag.to_ascii_lowercase(), value })
    }
}

impl fmt::Display for Caa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} \"{}\"", self.flags, self.tag, self.value)
    }
}

/// Whether two pieces of data mean the same: names and CAA tags compare without case, all else exactly.
pub fn same_data(one: &RecordData, other: &RecordData) -> bool {
    one == other
        || Srv::from_data(one).is_some_and(|srv| Srv::from_data(other) == Some(srv))
        || Caa::from_data(one).is_some_and(|caa| Caa::from_data(other) == Some(caa))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srv_and_caa_survive_their_octets() {
        for target in [DomainName::parse("sip.example.net").unwrap(), DomainName::root()] {
            let srv = Srv { priority: 10, weight: 60, port: 5060, target };
            assert_eq!(Srv::from_data(&srv.to_data()), Some(srv));
        }
        let caa = Caa::parse("0 Issue \"ca.example; account=1\"").unwrap();
        assert_eq!(Caa::from_data(&caa.to_data()), Some(caa.clone()));
        assert_eq!(caa.to_data().to_string(), "0 issue \"ca.example; account=1\"");
        assert_eq!(Caa::parse("128 iodef mailto:a@b.example").unwrap().flags, 128);
        for text in
            ["", "0", "0 issue", "x issue a", "300 issue a", "0 is-sue a", "0 issue \"a", "0 issue \"a\"b\""]
        {
            assert_eq!(Caa::parse(text), None, "{text}");
        }
    }

    #[test]
    fn damaged_octets_are_nothing() {
        let srv = |octets: &[u8]| Srv::from_data(&RecordData::Other { code: 33, octets: octets.to_vec() });
        assert_eq!(srv(&[0, 1, 0, 2, 0, 3]), None);
        assert_eq!(srv(&[0, 1, 0, 2, 0, 3, 5, b'a']), None);
        assert_eq!(srv(&[0, 1, 0, 2, 0, 3, 0xc0, 12]), None);
        assert_eq!(srv(&[0, 1, 0, 2, 0, 3, 1, b'a', 0, 0]), None);
        let caa = |octets: &[u8]| Caa::from_data(&RecordData::Other { code: 257, octets: octets.to_vec() });
        assert_eq!(caa(&[0]), None);
        assert_eq!(caa(&[0, 9, b'a']), None);
        assert_eq!(caa(&[0, 0, b'a']), None);
    }

    #[test]
    fn case_does_not_count_in_names() {
        let data = |name: &[u8]| RecordData::Other {
            code: 33,
            octets: [&[0, 1, 0, 2, 0, 3, 1], name, &[0]].concat(),
        };
        assert!(same_data(&data(b"a"), &data(b"A")));
        assert!(!same_data(&data(b"a"), &data(b"b")));
    }
}
