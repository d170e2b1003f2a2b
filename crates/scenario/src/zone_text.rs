//! Lines of `host [ttl] TYPE data` as records.

use crate::file::keys;
use model::{DomainName, Record, RecordData, RecordType, TxtData};
use std::collections::BTreeMap;

/// The TTL of a record that has none of its own, in seconds.
pub const TTL: u32 = 300;

/// Everything below a name is an alias (RFC 6672).
pub const DNAME: u16 = 39;

/// Vouches for the signatures of a zone below (RFC 4034 §5).
pub const DS: u16 = 43;

/// A name as on the wire.
fn wire_name(name: &DomainName) -> Vec<u8> {
    let mut octets = Vec::new();
    assert!(name.push_wire(&mut octets), "{name}");
    octets
}

/// The records of a zone's text. The crate's documentation says how it is written.
pub fn records(text: &str, apex: &DomainName) -> Vec<Record> {
    let keys = keys();
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(';'))
        .flat_map(ranges)
        .map(|line| record(&line, apex, keys))
        .collect()
}

/// `x{1..3}` as `x1`, `x2`, `x3`. Several ranges of one line run together; the first one says how far.
pub fn ranges(line: &str) -> Vec<String> {
    let Some((_, from, to, _)) = range(line) else { return vec![line.to_owned()] };
    (0..=to.saturating_sub(from))
        .map(|step| {
            let mut line = line.to_owned();
            while let Some((before, from, _, after)) = range(&line) {
                line = format!("{before}{}{after}", from + step);
            }
            line
        })
        .collect()
}

/// The first `{from..to}` of a line, and what is around it.
fn range(line: &str) -> Option<(&str, usize, usize, &str)> {
    line.match_indices('{').find_map(|(start, _)| {
        let (inside, after) = line[start + 1..].split_once('}')?;
        let (from, to) = inside.split_once("..")?;
        Some((&line[..start], from.parse().ok()?, to.parse().ok()?, after))
    })
}

/// `{key1}` is a key, `{x*300}` is a text of 300 times `x`.
fn fill(line: &str, keys: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').unwrap();
        filled.push_str(before);
        match inside.split_once('*') {
            // A macro of SPF is none of ours.
            _ if before.ends_with('%') => filled.extend(["{", inside, "}"]),
            Some((text, times)) => filled.push_str(&text.repeat(times.parse().unwrap())),
            None => filled.push_str(&keys[inside]),
        }
        rest = after;
    }
    filled + rest
}

fn record(line: &str, apex: &DomainName, keys: &BTreeMap<String, String>) -> Record {
    let line = fill(line, keys);
    let (host, rest) = line.trim().split_once(char::is_whitespace).unwrap();
    let (first, value) = rest.trim().split_once(char::is_whitespace).unwrap();
    let (ttl, kind, value) = match first.parse() {
        Ok(ttl) => {
            let (kind, value) = value.trim().split_once(char::is_whitespace).unwrap();
            (ttl, kind, value.trim())
        }
        Err(_) => (TTL, first, value.trim()),
    };
    let name = |text: &str| match text.strip_suffix('.') {
        Some("") => DomainName::root(),
        Some(absolute) if absolute.contains('\\') => escaped_name(absolute, &DomainName::root()),
        Some(absolute) => DomainName::parse(absolute).unwrap(),
        None if text == "@" => apex.clone(),
        None if text.contains('\\') => escaped_name(text, apex),
        None => apex.prepend(text).unwrap(),
    };
    let data = match kind {
        "A" => RecordData::A(value.parse().unwrap()),
        "AAAA" => RecordData::Aaaa(value.parse().unwrap()),
        "CNAME" => RecordData::Cname(name(value)),
        "DNAME" => RecordData::Other { code: DNAME, octets: wire_name(&name(value)) },
        "NS" => RecordData::Ns(name(value)),
        // Key tag, algorithm and digest type of some key; only the digest is given.
        "DS" => RecordData::Other { code: DS, octets: [b"\x30\x39\x0d\x02", value.as_bytes()].concat() },
        "PTR" => RecordData::Ptr(name(value)),
        "MX" => {
            let (preference, exchange) = value.split_once(' ').unwrap();
            RecordData::Mx { preference: preference.parse().unwrap(), exchange: name(exchange.trim()) }
        }
        "TXT" => RecordData::Txt(TxtData::from_strings(&strings(value))),
        // The type of SPF's first years (RFC 7208 §3.1), written as TXT is.
        "SPF" => RecordData::Other { code: 99, octets: character_strings(&strings(value)) },
        "CAA" => RecordData::Other { code: 257, octets: caa(value) },
        other => panic!("a scenario with a {other} record: {line}"),
    };
    Record { owner: name(host), ttl, data }
}

/// A record of a value as a report shows it.
pub fn from_value(
    owner: &DomainName,
    record_type: RecordType,
    value: &str,
    preference: Option<u16>,
) -> Record {
    let data = match record_type {
        RecordType::Txt => RecordData::Txt(TxtData::from_text(value)),
        RecordType::Cname => RecordData::Cname(DomainName::parse(value).unwrap()),
        RecordType::Mx => RecordData::Mx {
            preference: preference.unwrap(),
            exchange: if value == "." { DomainName::root() } else { DomainName::parse(value).unwrap() },
        },
        other => return record(&format!("{owner}. {other} {value}"), &DomainName::root(), keys()),
    };
    Record { owner: owner.clone(), ttl: TTL, data }
}

/// A name whose labels hold dots, spaces or other octets: `a\.b`, `a\032`.
fn escaped_name(text: &str, apex: &DomainName) -> DomainName {
    let mut labels = vec![Vec::new()];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => labels.last_mut().unwrap().push(escaped(&mut bytes)),
            _ => labels.last_mut().unwrap().push(byte),
        }
    }
    labels.extend(apex.wire_labels());
    DomainName::from_labels(labels.iter().map(Vec::as_slice)).unwrap()
}

/// `"a" "b\"c\255"` → the character strings, each cut at 255 octets.
fn strings(text: &str) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let mut inside = None::<Vec<u8>>;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, &mut inside) {
            (b'"', None) => inside = Some(Vec::new()),
            (b'"', Some(_)) => match inside.take().unwrap() {
                empty if empty.is_empty() => strings.push(empty),
                string => strings.extend(string.chunks(255).map(<[u8]>::to_vec)),
            },
            (b'\\', Some(string)) => string.push(escaped(&mut bytes)),
            (_, Some(string)) => string.push(byte),
            (_, None) => {}
        }
    }
    strings
}

/// What comes after a backslash: three digits, or the character itself (RFC 1035 §5.1).
fn escaped(bytes: &mut std::str::Bytes<'_>) -> u8 {
    let first = bytes.next().unwrap();
    if !first.is_ascii_digit() {
        return first;
    }
    let digits = [first, bytes.next().unwrap(), bytes.next().unwrap()];
    str::from_utf8(&digits).unwrap().parse().unwrap()
}

fn character_strings(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|string| [&[u8::try_from(string.len()).unwrap()], &string[..]].concat()).collect()
}

/// `0 issue "ca.test"` (RFC 8659 §4.1).
fn caa(value: &str) -> Vec<u8> {
    let mut words = value.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let (flags, tag, value): (u8, _, _) = (word().parse().unwrap(), word(), word().trim_matches('"'));
    [&[flags, u8::try_from(tag.len()).unwrap()], tag.as_bytes(), value.as_bytes()].concat()
}
