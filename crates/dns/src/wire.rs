//! One DNS message, to and from octets (RFC 1035 §4, EDNS RFC 6891).
//!
//! A [`Query`] encodes itself and decodes its own response, so that no response is ever read without being checked
//! against the question it should answer. What a stranger sends cannot panic, allocates no more than its own size
//! allows, and keeps at most [`MAX_RECORDS`] records.
//!
//! A record whose data is damaged is left out; a message whose framing is damaged is an error, since what follows
//! the damage is unknown. Nothing here knows sockets or retries.
//!
//! The codec is our own since the client's cost is mostly made here: names become [`DomainName`]s in one step, and
//! the name that was asked for, which nearly every answer repeats, is not made again. The tests compare it with the
//! codec of the `domain` crate, octet by octet and on damaged messages.

use diagnosis::observation::{ExtendedError, Question, Rcode, Reply};
use model::{DomainName, Record, RecordData, RecordType, TxtData};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The largest UDP payload we offer and send: fits IPv6's smallest MTU unfragmented (DNS Flag Day 2020).
pub const UDP_PAYLOAD: u16 = 1232;

/// How many records of one response are kept, answer and authority section together.
pub const MAX_RECORDS: usize = 512;

/// How much of an extended error's text is kept, in characters.
const MAX_ERROR_TEXT: usize = 200;

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_OPT: u16 = 41;
/// The option code of an extended error (RFC 8914 §2).
const OPTION_EXTENDED_ERROR: u16 = 15;

/// A question on its way.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Chosen at random by the caller for every query.
    pub id: u16,
    /// What is asked.
    pub question: &'a Question,
    /// RD: a resolver may ask others for us.
    pub recursion_desired: bool,
    /// CD: a resolver may hand out what failed DNSSEC validation (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// Whether an OPT record goes along. A few old servers answer FORMERR to it.
    pub edns: bool,
}

/// A response that answers its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What it says. Without records when it is truncated.
    pub reply: Reply,
    /// TC: the whole has to be fetched over TCP (RFC 7766 §5).
    pub truncated: bool,
}

/// The question cannot be written as a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {0} does not fit into a DNS message")]
pub struct EncodeError(pub DomainName);

/// Why octets are no response to a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Stray or spoofed: the real response may still come.
    #[error("not a response to this query: {0}")]
    Mismatch(&'static str),
    /// It answers this query, and is broken.
    #[error("{0}")]
    Damaged(&'static str),
}

impl Query<'_> {
    /// The octets of the message.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut packet = Vec::with_capacity(64);
        self.encode_into(&mut packet)?;
        Ok(packet)
    }

    /// Puts the octets of the message in the place of what is in the buffer.
    pub fn encode_into(&self, packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        packet.clear();
        packet.reserve(HEADER + self.question.name.as_str().len() + 6 + OPT_LENGTH);
        let [high, low] = self.id.to_be_bytes();
        let checking_disabled = u8::from(self.checking_disabled) << 4;
        let edns = u8::from(self.edns);
        packet.extend_from_slice(&[
            high,
            low,
            u8::from(self.recursion_desired),
            checking_disabled,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            edns,
        ]);
        self.push_question(packet)?;
        if self.edns {
            packet.extend_from_slice(&OPT);
        }
        Ok(())
    }

    fn push_question(&self, packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = packet.len();
        if !self.question.name.push_wire(packet) || packet.len() - start > MAX_NAME {
            return Err(EncodeError(self.question.name.clone()));
        }
        packet.extend_from_slice(&self.question.record_type.code().to_be_bytes());
        packet.extend_from_slice(&CLASS_IN.to_be_bytes());
        Ok(())
    }

    /// Reads the response to this query.
    pub fn decode(&self, octets: &[u8]) -> Result<Response, DecodeError> {
        let mut question = Vec::with_capacity(64);
        // A name that cannot be asked for is answered by nobody.
        self.push_question(&mut question).map_err(|_| DecodeError::Mismatch("another question"))?;
        self.decode_asked(&question, octets)
    }

    /// Reads the response to this query, of which the caller has still the packet that was sent.
    pub(crate) fn decode_sent(&self, packet: &[u8], octets: &[u8]) -> Result<Response, DecodeError> {
        let end = packet.len() - if self.edns { OPT_LENGTH } else { 0 };
        self.decode_asked(packet.get(HEADER..end).unwrap_or_default(), octets)
    }

    fn decode_asked(&self, question: &[u8], octets: &[u8]) -> Result<Response, DecodeError> {
        let header = Header::read(octets).ok_or(DecodeError::Mismatch("it is shorter than a header"))?;
        let start = self.check(&header, question, octets)?;
        let mut reader = Reader::new(octets, start, &self.question.name);
        let mut reply = Reply {
            rcode: rcode(u16::from(header.flags[1] & 0x0f)),
            authoritative: header.flags[0] & 0x04 != 0,
            authentic_data: header.flags[1] & 0x20 != 0,
            ..Reply::default()
        };
        if header.flags[0] & 0x02 != 0 {
            // What arrived of the sections is not to be used (RFC 2181 §9).
            let skipped = reader.skip(header.answers).and_then(|()| reader.skip(header.authorities));
            if skipped.is_some() {
                reader.read_additional(&header, &mut reply);
            }
            return Ok(Response { reply, truncated: true });
        }
        let all = |_: u16| true;
        reply.answer = reader.records(header.answers, MAX_RECORDS, all).ok_or(DAMAGED)?;
        let room = MAX_RECORDS - reply.answer.len();
        // Whom a resolver would have asked says nothing of the answer that it found.
        let leaves_out_ns = self.recursion_desired && !reply.answer.is_empty();
        let is_kept = |record_type: u16| !leaves_out_ns || record_type != TYPE_NS;
        reply.authority = reader.records(header.authorities, room, is_kept).ok_or(DAMAGED)?;
        reader.read_additional(&header, &mut reply);
        Ok(Response { reply, truncated: false })
    }

    /// Whether the message is a response to this query (RFC 5452 §9.1), and where its question ends.
    fn check(&self, header: &Header, question: &[u8], octets: &[u8]) -> Result<usize, DecodeError> {
        if header.id != self.id {
            return Err(DecodeError::Mismatch("another id"));
        }
        // QR, and the opcode of a standard query.
        if header.flags[0] & 0xf8 != 0x80 {
            return Err(DecodeError::Mismatch("it is not a response to a query"));
        }
        // Servers that could not read the query send its id back, and nothing else.
        if header.questions == 0 && !matches!(header.flags[1] & 0x0f, 0 | 3) {
            return Ok(HEADER);
        }
        if header.questions != 1 {
            return Err(DecodeError::Mismatch("no single question"));
        }
        let end = HEADER + question.len();
        let theirs = octets.get(HEADER..end).and_then(<[u8]>::split_last_chunk::<4>);
        let ours = question.split_last_chunk::<4>();
        match (theirs, ours) {
            // The octets with lengths are below the letters: ignoring case in all of it compares names (RFC 4343).
            (Some((their_name, their_type)), Some((name, of_type)))
                if their_type == of_type && their_name.eq_ignore_ascii_case(name) =>
            {
                Ok(end)
            }
            _ => Err(DecodeError::Mismatch("another question")),
        }
    }
}

/// Any response, for what is no question: an update, one message of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: u16,
    /// QUERY is 0, UPDATE 5 (RFC 2136 §1.3).
    pub opcode: u8,
    /// AA.
    pub authoritative: bool,
    /// The response code of the header.
    pub rcode: u8,
    /// The records of class IN in the answer section, without those whose data is damaged.
    pub answer: Vec<Record>,
}

impl Message {
    /// Reads a response. `None` when it is none, is damaged or has more than `most` records.
    pub fn read(octets: &[u8], most: usize) -> Option<Self> {
        let header = Header::read(octets).filter(|header| header.flags[0] & 0x80 != 0)?;
        let mut at = HEADER;
        for _ in 0..header.questions {
            at = Labels::check(octets, at)? + 4;
        }
        let mut reader = Reader { octets, at, known: [const { None }; KNOWN], next_known: 1, asked_end: 0 };
        if usize::from(header.answers) > most {
            return None;
        }
        Some(Self {
            id: header.id,
            opcode: header.flags[0] >> 3 & 0x0f,
            authoritative: header.flags[0] & 0x04 != 0,
            rcode: header.flags[1] & 0x0f,
            answer: reader.records(header.answers, most, |_| true)?,
        })
    }
}

const DAMAGED: DecodeError = DecodeError::Damaged("a record is cut off or malformed");

/// The longest name on the wire, in octets (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// An OPT record without options.
const OPT: [u8; OPT_LENGTH] = {
    let [type_high, type_low] = TYPE_OPT.to_be_bytes();
    let [size_high, size_low] = UDP_PAYLOAD.to_be_bytes();
    [0, type_high, type_low, size_high, size_low, 0, 0, 0, 0, 0, 0]
};

const OPT_LENGTH: usize = 11;

struct Header {
    id: u16,
    flags: [u8; 2],
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Header {
    fn read(octets: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = octets.first_chunk()?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(Self {
            id: number(0),
            flags: [header[2], header[3]],
            questions: number(4),
            answers: number(6),
            authorities: number(8),
            additionals: number(10),
        })
    }
}

/// Goes through a message's records.
struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
    /// Names made before, by where they start: messages repeat them by pointer.
    known: [Option<(usize, DomainName)>; KNOWN],
    next_known: usize,
    /// Where the name that was asked for ends, where its labels are spelled out as in its text.
    asked_end: usize,
}

const KNOWN: usize = 4;

/// A pointer to the name in the question.
const TO_QUESTION: u16 = 0xc00c;

/// The fixed part of a record, and where its data is.
struct Framed {
    /// Where its owner starts.
    owner: usize,
    record_type: u16,
    class: u16,
    ttl: u32,
    data: std::ops::Range<usize>,
}

impl<'a> Reader<'a> {
    /// Starts behind the question, which has been compared with the name that was asked for.
    fn new(octets: &'a [u8], at: usize, asked: &DomainName) -> Self {
        let is_plain = at > HEADER && !asked.as_str().contains('\\');
        let asked_end = if is_plain { HEADER + asked.as_str().len() } else { 0 };
        let asked = (at > HEADER).then(|| (HEADER, asked.clone()));
        Self { octets, at, known: [asked, None, None, None], next_known: 1, asked_end }
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        self.octets.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        self.octets.get(at..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets))
    }

    /// The frame of the next record; `None` when it is cut off or its owner is no name.
    fn frame(&mut self) -> Option<Framed> {
        let owner = self.at;
        let fixed = match self.u16_at(owner)? {
            // To the name that was asked for, and compared.
            TO_QUESTION if self.known[0].is_some() => owner + 2,
            _ => Labels::check(self.octets, owner)?,
        };
        let length = usize::from(self.u16_at(fixed + 8)?);
        let data = fixed + 10..fixed + 10 + length;
        self.octets.get(data.clone())?;
        self.at = data.end;
        Some(Framed {
            owner,
            record_type: self.u16_at(fixed)?,
            class: self.u16_at(fixed + 2)?,
            ttl: self.u32_at(fixed + 4)?,
            data,
        })
    }

    fn skip(&mut self, count: u16) -> Option<()> {
        (0..count).try_for_each(|_| self.frame().map(drop))
    }

    fn records(&mut self, count: u16, room: usize, is_kept: impl Fn(u16) -> bool) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        for done in 0..count {
            let frame = self.frame()?;
            if records.len() < room
                && frame.class == CLASS_IN
                && frame.record_type != TYPE_OPT
                && is_kept(frame.record_type)
                && let Some(record) = self.record(&frame)
            {
                if records.is_empty() {
                    // The count is a stranger's: it reserves nothing that did not come.
                    let fit = 1 + (self.octets.len() - self.at) / 11;
                    records = Vec::with_capacity(usize::from(count - done).min(room).min(fit));
                }
                records.push(record);
            }
        }
        Some(records)
    }

    /// One record, or `None` when its data is damaged.
    fn record(&mut self, frame: &Framed) -> Option<Record> {
        let data = self.data(frame)?;
        Some(Record {
            owner: self.name(frame.owner)?,
            // RFC 2181 §8: a TTL with the highest bit set counts as zero.
            ttl: if frame.ttl > i32::MAX.unsigned_abs() { 0 } else { frame.ttl },
            data,
        })
    }

    fn data(&mut self, frame: &Framed) -> Option<RecordData> {
        let start = frame.data.start;
        let octets = &self.octets[frame.data.clone()];
        Some(match RecordType::from_code(frame.record_type) {
            RecordType::A => RecordData::A(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
            RecordType::Aaaa => RecordData::Aaaa(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
            RecordType::Cname => RecordData::Cname(self.whole_name(start, frame)?),
            RecordType::Ns => RecordData::Ns(self.whole_name(start, frame)?),
            RecordType::Ptr => RecordData::Ptr(self.whole_name(start, frame)?),
            RecordType::Mx => {
                let preference = u16::from_be_bytes(*octets.first_chunk()?);
                RecordData::Mx { preference, exchange: self.whole_name(start + 2, frame)? }
            }
            RecordType::Txt => RecordData::Txt(TxtData::from_wire(octets)?),
            RecordType::Soa => RecordData::Soa(self.soa(frame)?),
            other @ (RecordType::Srv | RecordType::Caa | RecordType::Other(_)) => {
                RecordData::Other { code: other.code(), octets: octets.to_vec() }
            }
        })
    }

    fn soa(&mut self, frame: &Framed) -> Option<model::Soa> {
        let octets = &self.octets[..frame.data.end];
        let rname_at = Labels::check(octets, frame.data.start)?;
        let numbers = Labels::check(octets, rname_at)?;
        if numbers + 20 != frame.data.end {
            return None;
        }
        Some(model::Soa {
            mname: self.name(frame.data.start)?,
            rname: self.name(rname_at)?,
            serial: self.u32_at(numbers)?,
            refresh: self.u32_at(numbers + 4)?,
            retry: self.u32_at(numbers + 8)?,
            expire: self.u32_at(numbers + 12)?,
            minimum: self.u32_at(numbers + 16)?,
        })
    }

    /// A name that ends where the record's data ends.
    fn whole_name(&mut self, at: usize, frame: &Framed) -> Option<DomainName> {
        // Nothing of it may lie behind the record, wherever its pointers lead.
        (Labels::check(&self.octets[..frame.data.end], at)? == frame.data.end).then(|| self.name(at))?
    }

    /// The name at a place, lower-cased, octets that no host name may have escaped.
    fn name(&mut self, at: usize) -> Option<DomainName> {
        let at = match self.u16_at(at) {
            // A pointer in front of all labels leads to where the name was spelled out.
            Some(word) if word >= 0xc000 => usize::from(word & 0x3fff),
            _ => at,
        };
        if let Some((_, name)) = self.known.iter().flatten().find(|(start, _)| *start == at) {
            return Some(name.clone());
        }
        let in_asked = match &self.known[0] {
            // Further up in the name that was asked for: a length stands where its text has a dot.
            Some((start, asked)) if (*start..self.asked_end).contains(&at) => asked.from_label_at(at - start),
            _ => None,
        };
        let name = match in_asked {
            Some(name) => name,
            None => DomainName::from_labels(Labels { octets: self.octets, at })?,
        };
        self.known[self.next_known] = Some((at, name.clone()));
        // The first place stays with the name that was asked for.
        self.next_known = self.next_known % (KNOWN - 1) + 1;
        Some(name)
    }

    /// Response code and extended error of the additional section; of a referral the addresses, too: those that the
    /// zone above gives for name servers of the zone. What is damaged there is not missed.
    fn read_additional(&mut self, header: &Header, reply: &mut Reply) {
        let is_referral = !reply.authoritative && reply.answer.is_empty() && !reply.authority.is_empty();
        let room = MAX_RECORDS - reply.authority.len().min(MAX_RECORDS);
        for _ in 0..header.additionals {
            let Some(frame) = self.frame() else { return };
            if frame.record_type == TYPE_OPT {
                // RFC 6891 §6.1.3: the upper eight bits of the response code.
                let upper = u16::try_from(frame.ttl >> 24).unwrap_or_default();
                reply.rcode = rcode((upper << 4) | u16::from(header.flags[1] & 0x0f));
                reply.extended_error = extended_error(&self.octets[frame.data]);
                if !is_referral {
                    return;
                }
            } else if is_referral && frame.class == CLASS_IN && reply.additional.len() < room {
                let addresses = self
                    .record(&frame)
                    .filter(|record| matches!(record.data, RecordData::A(_) | RecordData::Aaaa(_)));
                reply.additional.extend(addresses);
            }
        }
    }
}

/// The extended error among the options of an OPT record (RFC 8914 §2): of several the first that says whose answer
/// it is, else the first.
fn extended_error(options: &[u8]) -> Option<ExtendedError> {
    let mut found: Option<ExtendedError> = None;
    let mut rest = options;
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some((value, behind)) = behind.split_at_checked(length) else { return found };
        if u16::from_be_bytes([head[0], head[1]]) == OPTION_EXTENDED_ERROR
            && let Some((code, text)) = value.split_first_chunk()
        {
            let error = ExtendedError { code: u16::from_be_bytes(*code), text: printable(text) };
            if error.is_policy() || error.is_stale() {
                return Some(error);
            }
            found.get_or_insert(error);
        }
        rest = behind;
    }
    found
}

/// The labels of a name that [`Labels::check`] has gone through.
struct Labels<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Labels<'_> {
    /// Where the name that starts at `start` ends in place. `None` when it is cut off, has a label of an unknown
    /// kind, is longer than 255 octets, or points anywhere but further back each time.
    fn check(octets: &[u8], start: usize) -> Option<usize> {
        let (mut at, mut length, mut lowest) = (start, 1, start);
        let mut end = None;
        loop {
            match *octets.get(at)? {
                0 => return Some(end.unwrap_or(at + 1)),
                label @ 1..=63 => {
                    length += usize::from(label) + 1;
                    if length > MAX_NAME {
                        return None;
                    }
                    at += usize::from(label) + 1;
                }
                high @ 0xc0..=0xff => {
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, *octets.get(at + 1)?]));
                    end = end.or(Some(at + 2));
                    if target >= lowest {
                        return None;
                    }
                    lowest = target;
                    at = target;
                }
                _ => return None,
            }
        }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Pointers only lead back (see `check`), so this ends.
        while let [high @ 0xc0..=0xff, low, ..] = *self.octets.get(self.at..)? {
            self.at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
        }
        let (&length, behind) = self.octets.get(self.at..)?.split_first()?;
        let label = behind.get(..usize::from(length)).filter(|label| !label.is_empty())?;
        self.at += label.len() + 1;
        Some(label)
    }
}

fn rcode(code: u16) -> Rcode {
    match code {
        0 => Rcode::NoError,
        1 => Rcode::FormErr,
        2 => Rcode::ServFail,
        3 => Rcode::NxDomain,
        4 => Rcode::NotImp,
        5 => Rcode::Refused,
        other => Rcode::Other(other),
    }
}

/// Texts of strangers end up on terminals and pages: no control characters.
fn printable(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).chars().filter(|c| !c.is_control()).take(MAX_ERROR_TEXT).collect()
}
