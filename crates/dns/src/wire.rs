//! One DNS message, to and from octets (RFC 1035 §4, EDNS RFC 6891).
//!
//! A [`Query`] encodes itself and decodes its own response, so that no response is ever read without being checked
//! against the question it should answer. What a stranger sends cannot panic, allocates no more than its own size
//! allows, and keeps at most [`MAX_RECORDS`] records.
//!
//! A record whose data is damaged is left out; a message whose framing is damaged is an error, since what follows
//! the damage is unknown. Nothing here knows sockets or retries.

use crate::name;
use diagnosis::observation::{ExtendedError, Question, Rcode, Reply};
use domain::{
    base::{
        Message, MessageBuilder, Rtype, StaticCompressor,
        iana::{Class, Opcode},
        message::RecordSection,
        name::ToName,
        rdata::{ParseRecordData, UnknownRecordData},
        record::ParsedRecord,
    },
    rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Txt},
};
use model::{Record, RecordData, RecordType, TxtData};

/// The largest UDP payload we offer and send: fits IPv6's smallest MTU unfragmented (DNS Flag Day 2020).
pub const UDP_PAYLOAD: u16 = 1232;

/// How many records of one response are kept, answer and authority section together.
pub const MAX_RECORDS: usize = 512;

/// How much of an extended error's text is kept, in characters.
const MAX_ERROR_TEXT: usize = 200;

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
pub struct EncodeError(pub model::DomainName);

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
        let too_long = || EncodeError(self.question.name.clone());
        let name = name::to_wire(&self.question.name).ok_or_else(too_long)?;
        let rtype = Rtype::from_int(self.question.record_type.code());
        let mut builder = MessageBuilder::from_target(StaticCompressor::new(Vec::with_capacity(64)))
            .map_err(|_| too_long())?;
        let header = builder.header_mut();
        header.set_id(self.id);
        header.set_rd(self.recursion_desired);
        header.set_cd(self.checking_disabled);
        let mut section = builder.question();
        section.push((name, rtype)).map_err(|_| too_long())?;
        let mut additional = section.additional();
        if self.edns {
            additional
                .opt(|opt| {
                    opt.set_udp_payload_size(UDP_PAYLOAD);
                    Ok(())
                })
                .map_err(|_| too_long())?;
        }
        Ok(additional.finish().into_target())
    }

    /// Reads the response to this query.
    pub fn decode(&self, octets: &[u8]) -> Result<Response, DecodeError> {
        let message =
            Message::from_slice(octets).map_err(|_| DecodeError::Mismatch("it is shorter than a header"))?;
        self.check(message)?;
        let header = message.header();
        let mut reply = Reply {
            rcode: rcode(message.opt_rcode().to_int()),
            authoritative: header.aa(),
            authentic_data: header.ad(),
            ..Reply::default()
        };
        if let Some(opt) = message.opt() {
            reply.extended_error = opt.opt().extended_error().map(|error| ExtendedError {
                code: error.code().to_int(),
                text: printable(error.text_slice().unwrap_or_default()),
            });
        }
        if header.tc() {
            // What arrived of the sections is not to be used (RFC 2181 §9).
            return Ok(Response { reply, truncated: true });
        }
        let damaged = |_| DecodeError::Damaged("its sections are cut off or malformed");
        reply.answer = records(message.answer().map_err(damaged)?, MAX_RECORDS)?;
        let room = MAX_RECORDS.saturating_sub(reply.answer.len());
        reply.authority = records(message.authority().map_err(damaged)?, room)?;
        Ok(Response { reply, truncated: false })
    }

    /// Whether the message is a response to this query (RFC 5452 §9.1).
    fn check(&self, message: &Message<[u8]>) -> Result<(), DecodeError> {
        let header = message.header();
        if header.id() != self.id {
            return Err(DecodeError::Mismatch("another id"));
        }
        if !header.qr() || header.opcode() != Opcode::QUERY {
            return Err(DecodeError::Mismatch("it is not a response to a query"));
        }
        // Servers that could not read the query send its id back, and nothing else.
        let refused = rcode(u16::from(header.rcode().to_int()));
        if message.header_counts().qdcount() == 0 && !matches!(refused, Rcode::NoError | Rcode::NxDomain) {
            return Ok(());
        }
        let question = message.sole_question().map_err(|_| DecodeError::Mismatch("no single question"))?;
        let same_name = name::to_wire(&self.question.name).is_some_and(|name| name.name_eq(question.qname()));
        let same_type = question.qtype().to_int() == self.question.record_type.code();
        if same_name && same_type && question.qclass() == Class::IN {
            Ok(())
        } else {
            Err(DecodeError::Mismatch("another question"))
        }
    }
}

fn records(section: RecordSection<'_, [u8]>, room: usize) -> Result<Vec<Record>, DecodeError> {
    let mut records = Vec::new();
    for parsed in section {
        let parsed = parsed.map_err(|_| DecodeError::Damaged("a record is cut off or malformed"))?;
        if records.len() < room
            && parsed.class() == Class::IN
            && let Some(record) = record(&parsed)
        {
            records.push(record);
        }
    }
    Ok(records)
}

/// One record, or `None` when its data is damaged.
fn record(parsed: &ParsedRecord<'_, [u8]>) -> Option<Record> {
    let ttl = parsed.ttl().as_secs();
    Some(Record {
        owner: name::from_wire(&parsed.owner())?,
        // RFC 2181 §8: a TTL with the highest bit set counts as zero.
        ttl: if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl },
        data: data(parsed)?,
    })
}

fn data(parsed: &ParsedRecord<'_, [u8]>) -> Option<RecordData> {
    Some(match RecordType::from_code(parsed.rtype().to_int()) {
        RecordType::A => RecordData::A(read::<A>(parsed)?.addr()),
        RecordType::Aaaa => RecordData::Aaaa(read::<Aaaa>(parsed)?.addr()),
        RecordType::Cname => RecordData::Cname(name::from_wire(read::<Cname<_>>(parsed)?.cname())?),
        RecordType::Ns => RecordData::Ns(name::from_wire(read::<Ns<_>>(parsed)?.nsdname())?),
        RecordType::Ptr => RecordData::Ptr(name::from_wire(read::<Ptr<_>>(parsed)?.ptrdname())?),
        RecordType::Mx => {
            let mx = read::<Mx<_>>(parsed)?;
            RecordData::Mx { preference: mx.preference(), exchange: name::from_wire(mx.exchange())? }
        }
        RecordType::Txt => {
            let txt = read::<Txt<_>>(parsed)?;
            RecordData::Txt(TxtData::from_strings(txt.iter().map(<[u8]>::to_vec).collect()))
        }
        RecordType::Soa => {
            let soa = read::<Soa<_>>(parsed)?;
            RecordData::Soa(model::Soa {
                mname: name::from_wire(soa.mname())?,
                rname: name::from_wire(soa.rname())?,
                serial: soa.serial().into_int(),
                refresh: soa.refresh().as_secs(),
                retry: soa.retry().as_secs(),
                expire: soa.expire().as_secs(),
                minimum: soa.minimum().as_secs(),
            })
        }
        other @ (RecordType::Srv | RecordType::Caa | RecordType::Other(_)) => RecordData::Other {
            code: other.code(),
            octets: read::<UnknownRecordData<_>>(parsed)?.data().to_vec(),
        },
    })
}

fn read<'a, D: ParseRecordData<'a, [u8]>>(parsed: &ParsedRecord<'a, [u8]>) -> Option<D> {
    Some(parsed.to_record::<D>().ok()??.into_data())
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
