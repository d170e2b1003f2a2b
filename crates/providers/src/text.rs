//! Names and data as hosts write them: zone file form (RFC 1035 §5.1), with escapes that some write octal.

use model::{Caa, DomainName, RecordData, RecordType, Srv, TxtData};
use std::fmt::Write as _;

/// The types that adapters write, and ask for where a zone cannot be had as a whole.
pub(crate) const TYPES: &[RecordType] = &[
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Caa,
    RecordType::Cname,
    RecordType::Mx,
    RecordType::Ns,
    RecordType::Ptr,
    RecordType::Srv,
    RecordType::Txt,
];

/// How an octet is written that cannot stand for itself: a backslash and three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// Decimal, as in zone files.
    Decimal,
    /// Octal, as at Route 53.
    Octal,
}

impl Escapes {
    fn push(self, out: &mut String, octet: u8) {
        let _ = match self {
            Self::Decimal => write!(out, "\\{octet:03}"),
            Self::Octal => write!(out, "\\{octet:03o}"),
        };
    }

    /// The octet behind a backslash, and what is left.
    fn read(self, text: &[u8]) -> Option<(u8, &[u8])> {
        let digits = text.first_chunk::<3>().filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let Some(digits) = digits else {
            return text.split_first().map(|(&octet, rest)| (octet, rest));
        };
        let radix = if self == Self::Decimal { 10 } else { 8 };
        let digits = std::str::from_utf8(digits).ok()?;
        u8::from_str_radix(digits, radix).ok().map(|octet| (octet, &text[3..]))
    }

    /// A name with or without its final dot.
    pub(crate) fn name(self, text: &str) -> Option<DomainName> {
        let mut labels = vec![Vec::new()];
        let mut rest = text.trim().as_bytes();
        if rest == b"." || rest.is_empty() {
            return Some(DomainName::root());
        }
        while let Some((&octet, behind)) = rest.split_first() {
            rest = behind;
            match octet {
                b'\\' => {
                    let (octet, behind) = self.read(rest)?;
                    rest = behind;
                    labels.last_mut()?.push(octet);
                }
                b'.' if rest.is_empty() => break,
                b'.' => labels.push(Vec::new()),
                octet => labels.last_mut()?.push(octet),
            }
        }
        if labels.iter().any(|label| label.is_empty() || label.len() > 63) {
            return None;
        }
        DomainName::from_labels(labels.iter().map(Vec::as_slice))
    }

    /// A name with its final dot.
    pub(crate) fn absolute(self, name: &DomainName) -> String {
        let mut out = String::with_capacity(name.as_str().len() + 1);
        for label in name.wire_labels() {
            for octet in label {
                let is_plain = octet.is_ascii_alphanumeric()
                    || matches!(octet, b'-' | b'_')
                    || (octet == b'*' && self == Self::Decimal);
                if is_plain { out.push(char::from(octet)) } else { self.push(&mut out, octet) }
            }
            out.push('.');
        }
        if out.is_empty() { ".".to_owned() } else { out }
    }

    /// The strings of a text in quotation marks, with a space between them.
    pub(crate) fn quoted(self, text: &TxtData) -> String {
        let mut out = String::new();
        for string in text.strings() {
            out.push_str(if out.is_empty() { "\"" } else { " \"" });
            for &octet in string {
                match octet {
                    b'"' | b'\\' => {
                        out.push('\\');
                        out.push(char::from(octet));
                    }
                    b' '..=b'~' => out.push(char::from(octet)),
                    _ => self.push(&mut out, octet),
                }
            }
            out.push('"');
        }
        out
    }

    /// Reads strings in quotation marks; words without them are strings too. `None` where a mark is not closed.
    pub(crate) fn strings(self, text: &str) -> Option<TxtData> {
        let mut strings: Vec<Vec<u8>> = Vec::new();
        let mut rest = text.trim().as_bytes();
        while let Some(&first) = rest.first() {
            let is_quoted = first == b'"';
            if is_quoted {
                rest = &rest[1..];
            }
            let mut string = Vec::new();
            loop {
                let Some((&octet, behind)) = rest.split_first() else {
                    if is_quoted {
                        return None;
                    }
                    break;
                };
                rest = behind;
                match octet {
                    b'"' if is_quoted => break,
                    b' ' | b'\t' if !is_quoted => break,
                    b'\\' => {
                        let (octet, behind) = self.read(rest)?;
                        rest = behind;
                        string.push(octet);
                    }
                    octet => string.push(octet),
                }
            }
            strings.push(string);
            rest = rest.trim_ascii_start();
        }
        (!strings.is_empty()).then(|| TxtData::from_strings(&strings))
    }

    /// Record data as it stands behind the type in a zone file, names with their final dot. `None` for types whose
    /// data is not written by us.
    pub(crate) fn render(self, data: &RecordData) -> Option<String> {
        Some(match data {
            RecordData::A(address) => address.to_string(),
            RecordData::Aaaa(address) => address.to_string(),
            RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => self.absolute(name),
            RecordData::Mx { preference, exchange } => format!("{preference} {}", self.absolute(exchange)),
            RecordData::Txt(text) => self.quoted(text),
            RecordData::Other { .. } => match (Srv::from_data(data), Caa::from_data(data)) {
                (Some(srv), _) => {
                    format!("{} {} {} {}", srv.priority, srv.weight, srv.port, self.absolute(&srv.target))
                }
                (_, Some(caa)) => caa.to_string(),
                _ => return None,
            },
            RecordData::Soa(_) => return None,
        })
    }

    /// Reads record data. `None` for what is damaged, and for types whose data is not read here.
    pub(crate) fn parse(self, record_type: RecordType, text: &str) -> Option<RecordData> {
        let mut words = text.split_ascii_whitespace();
        let data = match record_type {
            RecordType::Txt => return self.strings(text).map(RecordData::Txt),
            RecordType::Caa => return Caa::parse(text).map(|caa| caa.to_data()),
            RecordType::A => RecordData::A(words.next()?.parse().ok()?),
            RecordType::Aaaa => RecordData::Aaaa(words.next()?.parse().ok()?),
            RecordType::Cname => RecordData::Cname(self.name(words.next()?)?),
            RecordType::Ns => RecordData::Ns(self.name(words.next()?)?),
            RecordType::Ptr => RecordData::Ptr(self.name(words.next()?)?),
            RecordType::Mx => RecordData::Mx {
                preference: words.next()?.parse().ok()?,
                exchange: self.name(words.next()?)?,
            },
            RecordType::Srv => {
                let mut number = || words.next()?.parse().ok();
                let (priority, weight, port) = (number()?, number()?, number()?);
                Srv { priority, weight, port, target: self.name(words.next()?)? }.to_data()
            }
            RecordType::Soa => {
                let (mname, rname) = (self.name(words.next()?)?, self.name(words.next()?)?);
                let mut number = || words.next()?.parse().ok();
                RecordData::Soa(model::Soa {
                    mname,
                    rname,
                    serial: number()?,
                    refresh: number()?,
                    retry: number()?,
                    expire: number()?,
                    minimum: number()?,
                })
            }
            RecordType::Other(_) => return None,
        };
        words.next().is_none().then_some(data)
    }
}

/// The numbers of types that hosts name and [`RecordType`] does not (the registry of DNS parameters).
const OTHER_TYPES: &[(&str, u16)] = &[
    ("HINFO", 13),
    ("LOC", 29),
    ("NAPTR", 35),
    ("CERT", 37),
    ("DNAME", 39),
    ("DS", 43),
    ("SSHFP", 44),
    ("DNSKEY", 48),
    ("TLSA", 52),
    ("SMIMEA", 53),
    ("OPENPGPKEY", 61),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("SPF", 99),
    ("URI", 256),
];

/// What stands for a type of which not even the number is known: of those that nobody may give out (RFC 6895 §3.1).
const UNKNOWN_TYPE: u16 = 0xff00;

/// The type that a host names.
pub(crate) fn record_type(name: &str) -> RecordType {
    if let Ok(known) = name.parse() {
        return known;
    }
    let upper = name.to_ascii_uppercase();
    let known = OTHER_TYPES.iter().find(|(known, _)| *known == upper);
    RecordType::from_code(known.map_or(UNKNOWN_TYPE, |(_, code)| *code))
}

/// Data that is there and that we do not read: enough to tell whether it is still the same.
pub(crate) fn unread(record_type: RecordType, text: &str) -> RecordData {
    RecordData::Other { code: record_type.code(), octets: text.as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Escapes::{Decimal, Octal};
    use proptest::prelude::*;

    #[test]
    fn names_are_read_as_hosts_write_them() {
        let name = |text| Decimal.name(text).unwrap();
        assert_eq!(name("A.Acme.test.").as_str(), "a.acme.test");
        assert_eq!(name("_dmarc.acme.test").as_str(), "_dmarc.acme.test");
        assert!(name(".").is_root());
        assert_eq!(Octal.name("\\052.acme.test.").unwrap(), name("*.acme.test"));
        assert_eq!(Octal.absolute(&name("*.acme.test")), "\\052.acme.test.");
        assert_eq!(Decimal.absolute(&name("*.acme.test")), "*.acme.test.");
        assert_eq!(Decimal.absolute(&DomainName::root()), ".");
        for broken in ["a..test", ".a", "a\\", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(Decimal.name(broken), None, "{broken}");
        }
    }

    #[test]
    fn data_is_read_as_hosts_write_it() {
        for (record_type, text) in [
            (RecordType::A, "192.0.2.1"),
            (RecordType::Aaaa, "2001:db8::1"),
            (RecordType::Cname, "a.test."),
            (RecordType::Mx, "10 mx.a.test."),
            (RecordType::Mx, "0 ."),
            (RecordType::Txt, "\"v=spf1 -all\""),
            (RecordType::Txt, "\"a\" \"b\\\"\\\\;\""),
            (RecordType::Txt, "\"\""),
            (RecordType::Srv, "1 2 3 a.test."),
            (RecordType::Caa, "0 issue \"ca.test\""),
        ] {
            let data = Decimal.parse(record_type, text).unwrap();
            assert_eq!(Decimal.render(&data).unwrap(), text);
        }
        assert_eq!(Decimal.strings("two words").unwrap(), TxtData::from_strings(&["two", "words"]));
        assert_eq!(Octal.strings("\"\\303\\244\"").unwrap().joined(), "ä");
        assert_eq!(Decimal.strings("\"open"), None);
        assert_eq!(Decimal.parse(RecordType::Mx, "10"), None);
        assert_eq!(Decimal.parse(RecordType::A, "1.2.3.4 5"), None);
        assert_eq!((record_type("https").code(), record_type("ALIAS").code()), (65, UNKNOWN_TYPE));
    }

    proptest! {
        #[test]
        fn any_text_comes_back(strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..255), 1..4)) {
            let text = TxtData::from_strings(&strings);
            for escapes in [Decimal, Octal] {
                prop_assert_eq!(escapes.strings(&escapes.quoted(&text)), Some(text.clone()));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in ".{0,80}") {
            for escapes in [Decimal, Octal] {
                let _ = (escapes.name(&text), escapes.strings(&text), escapes.parse(RecordType::Mx, &text));
            }
        }
    }
}
