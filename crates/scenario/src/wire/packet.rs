//! Queries from octets, and answers to octets (RFC 1035 §4.1).
//!
//! Without compression, and apart from the codec under test.

use crate::{fake_dns::Reaction, file::FaultKind, zone::Answer};
use diagnosis::observation::{ExtendedError, Question, Rcode};
use model::{DomainName, Record, RecordData, RecordType};

/// How much a client takes over UDP that does not say so (RFC 1035 §2.3.4).
const PLAIN_LIMIT: usize = 512;

/// A query as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    id: u16,
    /// What is asked.
    pub question: Question,
    /// The question section as it came, so that its case goes back unchanged.
    section: Vec<u8>,
    recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
    /// The UDP payload that the client takes, where it sent an OPT record.
    payload: Option<u16>,
}

/// Over what the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// With a limit and truncation.
    Udp,
    /// With neither.
    Tcp,
}

impl Query {
    /// Reads a query with one question, and at most an OPT record behind it.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let (header, body) = octets.split_at_checked(12)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if header[2] & 0xf8 != 0 || word(4) != 1 {
            return None;
        }
        let mut labels = Vec::new();
        let mut rest = body;
        loop {
            let (&length, after) = rest.split_first()?;
            if length > 63 {
                return None;
            }
            let (label, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            if label.is_empty() {
                break;
            }
            labels.push(label);
        }
        let (fixed, behind) = rest.split_at_checked(4)?;
        let section = body[..body.len() - behind.len()].to_vec();
        let record_type = RecordType::from_code(u16::from_be_bytes([fixed[0], fixed[1]]));
        let payload = match behind {
            [0, 0, 41, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        };
        Some(Self {
            id: word(0),
            question: Question { name: DomainName::from_labels(labels)?, record_type },
            section,
            recursion_desired: header[2] & 1 != 0,
            checking_disabled: header[3] & 0x10 != 0,
            payload,
        })
    }

    /// Every packet that goes back, in order.
    pub fn respond(&self, reaction: &Reaction, transport: Transport, recursive: bool) -> Vec<Vec<u8>> {
        let right = || {
            let whole = self.encode(&reaction.answer, recursive, reaction.fault);
            let limit = usize::from(self.payload.unwrap_or(0)).max(PLAIN_LIMIT);
            if transport == Transport::Udp && whole.len() > limit { self.truncated(recursive) } else { whole }
        };
        let other_id = || Self { id: self.id ^ 0x5555, ..self.clone() };
        let other_question =
            || Self { section: b"\x06victim\x04test\0\0\x10\0\x01".to_vec(), ..self.clone() };
        match (reaction.fault, transport) {
            (Some(FaultKind::Timeout), _) | (Some(FaultKind::TruncatedTcpBlocked), Transport::Tcp) => {
                Vec::new()
            }
            (Some(FaultKind::Truncated | FaultKind::TruncatedTcpBlocked), Transport::Udp) => {
                vec![self.truncated(recursive)]
            }
            (Some(FaultKind::LongLost), Transport::Udp) => {
                let answer = right();
                if answer.len() > PLAIN_LIMIT { Vec::new() } else { vec![answer] }
            }
            (Some(FaultKind::FormerrToEdns), _) if self.payload.is_some() => {
                let plain = Self { payload: None, ..self.clone() };
                vec![plain.encode(&Answer::rcode(Rcode::FormErr), recursive, None)]
            }
            (Some(FaultKind::WrongId), _) => vec![other_id().encode(&reaction.answer, recursive, None)],
            (Some(FaultKind::WrongQuestion), _) => {
                vec![other_question().encode(&reaction.answer, recursive, None)]
            }
            (Some(FaultKind::StrayFirst), _) => {
                let forged = other_id().encode(&Answer::rcode(Rcode::NxDomain), recursive, None);
                vec![forged.clone(), forged, right()]
            }
            (Some(FaultKind::Malformed), _) => {
                let mut whole = self.encode(&reaction.answer, recursive, None);
                // Into the last record before the OPT record, whatever that is.
                whole.truncate(whole.len().saturating_sub(if self.payload.is_some() { 11 + 3 } else { 3 }));
                vec![whole]
            }
            (Some(FaultKind::Garbage), _) => vec![b"this is no DNS message".to_vec()],
            _ => vec![right()],
        }
    }

    fn truncated(&self, recursive: bool) -> Vec<u8> {
        let mut empty = self.encode(&Answer::rcode(Rcode::NoError), recursive, None);
        empty[2] |= 0x02;
        empty
    }

    fn encode(&self, answer: &Answer, recursive: bool, fault: Option<FaultKind>) -> Vec<u8> {
        let reply = &answer.reply;
        let mut octets = self.id.to_be_bytes().to_vec();
        let authoritative = u8::from(reply.authoritative) << 2;
        octets.push(0x80 | authoritative | u8::from(self.recursion_desired));
        let flags = (u8::from(recursive) << 7) | (u8::from(self.checking_disabled) << 4);
        octets.push(flags | rcode(reply.rcode));
        let additional = answer.additional.len() + usize::from(self.payload.is_some());
        for count in [1, reply.answer.len(), reply.authority.len(), additional] {
            octets.extend(u16::try_from(count).unwrap().to_be_bytes());
        }
        octets.extend(&self.section);
        let mixed_case = fault == Some(FaultKind::MixedCase);
        for each in reply.answer.iter().chain(&reply.authority).chain(&answer.additional) {
            record(&mut octets, each, mixed_case);
        }
        if self.payload.is_some() {
            opt(&mut octets, reply.extended_error.as_ref());
        }
        octets
    }
}

fn rcode(rcode: Rcode) -> u8 {
    match rcode {
        Rcode::NoError => 0,
        Rcode::FormErr => 1,
        Rcode::ServFail => 2,
        Rcode::NxDomain => 3,
        Rcode::NotImp => 4,
        Rcode::Refused => 5,
        Rcode::Other(code) => u8::try_from(code & 0xf).unwrap(),
    }
}

fn record(octets: &mut Vec<u8>, record: &Record, mixed_case: bool) {
    let owner = octets.len();
    name(octets, &record.owner);
    if mixed_case {
        for octet in octets[owner..].iter_mut().step_by(2) {
            octet.make_ascii_uppercase();
        }
    }
    octets.extend(record.data.record_type().code().to_be_bytes());
    octets.extend(1_u16.to_be_bytes());
    octets.extend(record.ttl.to_be_bytes());
    let length = octets.len();
    octets.extend([0, 0]);
    data(octets, &record.data);
    let written = u16::try_from(octets.len() - length - 2).unwrap();
    octets[length..length + 2].copy_from_slice(&written.to_be_bytes());
}

fn name(octets: &mut Vec<u8>, name: &DomainName) {
    for label in name.wire_labels() {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label);
    }
    octets.push(0);
}

fn data(octets: &mut Vec<u8>, data: &RecordData) {
    match data {
        RecordData::A(v4) => octets.extend(v4.octets()),
        RecordData::Aaaa(v6) => octets.extend(v6.octets()),
        RecordData::Cname(target) | RecordData::Ns(target) | RecordData::Ptr(target) => name(octets, target),
        RecordData::Mx { preference, exchange } => {
            octets.extend(preference.to_be_bytes());
            name(octets, exchange);
        }
        RecordData::Txt(text) => {
            for string in text.strings() {
                octets.push(u8::try_from(string.len()).unwrap());
                octets.extend(string);
            }
        }
        RecordData::Soa(soa) => {
            name(octets, &soa.mname);
            name(octets, &soa.rname);
            for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                octets.extend(number.to_be_bytes());
            }
        }
        RecordData::Other { octets: data, .. } => octets.extend(data),
    }
}

/// OPT (RFC 6891 §6.1.2), with an extended error where there is one (RFC 8914 §2).
fn opt(octets: &mut Vec<u8>, error: Option<&ExtendedError>) {
    octets.extend([0, 0, 41]);
    octets.extend(1232_u16.to_be_bytes());
    octets.extend([0; 4]);
    let option = error.map_or_else(Vec::new, |error| {
        let length = u16::try_from(2 + error.text.len()).unwrap();
        let head = [15, length, error.code].map(u16::to_be_bytes).concat();
        [head.as_slice(), error.text.as_bytes()].concat()
    });
    octets.extend(u16::try_from(option.len()).unwrap().to_be_bytes());
    octets.extend(option);
}
