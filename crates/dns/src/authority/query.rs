//! A query as it arrives, read without taking it apart: what is needed of it are numbers and places.

/// The header of a message (RFC 1035 §4.1.1).
pub(super) const HEADER: usize = 12;

/// The longest name in wire format (RFC 1035 §2.3.4), and the most labels that one has.
const LONGEST_NAME: usize = 255;
const MOST_LABELS: usize = 127;

const OPCODE_QUERY: u8 = 0;

/// EDNS options: RFC 5001, RFC 7873.
const OPTION_NSID: u16 = 3;
const OPTION_COOKIE: u16 = 10;

/// A name in wire format and lower case, on the stack, with the places of its labels.
#[derive(Clone)]
pub(super) struct Name {
    octets: [u8; LONGEST_NAME],
    length: usize,
    starts: [u8; MOST_LABELS],
    labels: usize,
}

impl Name {
    /// Reads an uncompressed name; also tells how long it is.
    pub(super) fn read(octets: &[u8]) -> Option<(Self, usize)> {
        let mut name = Self { octets: [0; LONGEST_NAME], length: 0, starts: [0; MOST_LABELS], labels: 0 };
        let mut at = 0;
        loop {
            let length = usize::from(*octets.get(at)?);
            if length == 0 {
                break;
            }
            // What is longer than a label points elsewhere: nowhere, in a first name.
            if length > 63 || at + length + 2 > LONGEST_NAME {
                return None;
            }
            *name.starts.get_mut(name.labels)? = u8::try_from(at).ok()?;
            name.labels += 1;
            at += length + 1;
        }
        name.length = at + 1;
        let target = name.octets.get_mut(..name.length)?;
        target.copy_from_slice(octets.get(..name.length)?);
        // The lengths of labels are below all letters.
        target.make_ascii_lowercase();
        Some((name, at + 1))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// Where the part begins that has so many labels: 0 for all, the root for none.
    pub(super) fn start_of(&self, labels: usize) -> usize {
        let skipped = self.labels.saturating_sub(labels);
        if skipped == self.labels { self.length - 1 } else { usize::from(self.starts[skipped]) }
    }

    /// The part that has so many labels.
    pub(super) fn last(&self, labels: usize) -> &[u8] {
        &self.octets[self.start_of(labels)..self.length]
    }
}

/// One question and what came along with it.
pub(super) struct Query<'a> {
    pub(super) octets: &'a [u8],
    pub(super) name: Name,
    /// Behind the question.
    pub(super) question_end: usize,
    pub(super) qtype: u16,
    pub(super) qclass: u16,
    pub(super) edns: Option<Edns<'a>>,
}

/// The OPT record of a query (RFC 6891 §6.1).
#[derive(Clone, Copy, Default)]
pub(super) struct Edns<'a> {
    pub(super) payload: u16,
    pub(super) version: u8,
    /// DO, which is copied into the response (RFC 3225 §3).
    pub(super) dnssec_ok: bool,
    pub(super) nsid: bool,
    /// 8 octets of the client, and then perhaps 8 to 32 of ours.
    pub(super) cookie: Option<&'a [u8]>,
}

/// Why a message is not looked into further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Not to be answered at all.
    Silence,
    FormErr,
    NotImp,
}

pub(super) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

impl<'a> Query<'a> {
    pub(super) fn read(octets: &'a [u8]) -> Result<Self, Unread> {
        let header: &[u8; HEADER] = octets.first_chunk().ok_or(Unread::Silence)?;
        // Two servers can never be made to answer each other.
        if header[2] & 0x80 != 0 {
            return Err(Unread::Silence);
        }
        if header[2] >> 3 & 0x0f != OPCODE_QUERY {
            return Err(Unread::NotImp);
        }
        Self::questioned(octets).ok_or(Unread::FormErr)
    }

    fn questioned(octets: &'a [u8]) -> Option<Self> {
        let counts = [4, 6, 8, 10].map(|at| u16_at(octets, at).unwrap_or_default());
        if counts[0] != 1 {
            return None;
        }
        let (name, length) = Name::read(octets.get(HEADER..)?)?;
        let end = HEADER + length;
        let (qtype, qclass) = (u16_at(octets, end)?, u16_at(octets, end + 2)?);
        let question_end = end + 4;
        let mut query = Self { octets, name, question_end, qtype, qclass, edns: None };
        let mut at = question_end;
        for _ in 0..u32::from(counts[1]) + u32::from(counts[2]) {
            at = Other::read(octets, at)?.end;
        }
        for _ in 0..counts[3] {
            let record = Other::read(octets, at)?;
            at = record.end;
            if record.rtype != super::record_set::types::OPT {
                continue;
            }
            // RFC 6891 §6.1.1: one, at the root.
            if query.edns.is_some() || !record.is_root {
                return None;
            }
            query.edns = Some(Edns::read(&record)?);
        }
        Some(query)
    }
}

/// The data of the first record in the authority section, of a query with one question and no answer: where a secondary
/// says what it has (RFC 1995 §3).
pub(super) fn first_authority(octets: &[u8]) -> Option<&[u8]> {
    if u16_at(octets, 6)? != 0 || u16_at(octets, 8)? == 0 {
        return None;
    }
    let question_end = skip_name(octets, HEADER)? + 4;
    Some(Other::read(octets, question_end)?.data)
}

/// A record of a query.
struct Other<'a> {
    is_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
    end: usize,
}

impl<'a> Other<'a> {
    fn read(octets: &'a [u8], at: usize) -> Option<Self> {
        let name_end = skip_name(octets, at)?;
        let rtype = u16_at(octets, name_end)?;
        let class = u16_at(octets, name_end + 2)?;
        let ttl = *octets.get(name_end + 4..name_end + 8)?.first_chunk()?;
        let length = usize::from(u16_at(octets, name_end + 8)?);
        let start = name_end + 10;
        let data = octets.get(start..start + length)?;
        Some(Self { is_root: octets.get(at) == Some(&0), rtype, class, ttl, data, end: start + length })
    }
}

fn skip_name(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            // A pointer ends a name; where it leads is of no interest here.
            0xc0.. => return octets.get(at + 1).map(|_| at + 2),
            length @ 1..=63 => at += usize::from(length) + 1,
            _ => return None,
        }
    }
}

impl<'a> Edns<'a> {
    fn read(record: &Other<'a>) -> Option<Self> {
        let [_, version, flags, _] = record.ttl;
        let mut edns =
            Self { payload: record.class, version, dnssec_ok: flags & 0x80 != 0, ..Self::default() };
        let mut rest = record.data;
        while !rest.is_empty() {
            let (code, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
            let value = rest.get(4..4 + length)?;
            rest = &rest[4 + length..];
            match code {
                OPTION_NSID => edns.nsid = true,
                OPTION_COOKIE => {
                    // RFC 7873 §5.2.2: other lengths are malformed. Of several the first counts (§5.2).
                    if !(value.len() == 8 || (16..=40).contains(&value.len())) {
                        return None;
                    }
                    edns.cookie = edns.cookie.or(Some(value));
                }
                _ => {}
            }
        }
        Some(edns)
    }
}
