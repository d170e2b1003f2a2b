//! From the octets of a query to the octets of its response: a pure function.

use super::{
    lookup::{Found, Shown, find},
    zone_set::ZoneSet,
};
use crate::wire::UDP_PAYLOAD;
use bytes::Bytes;
use domain::{
    base::{
        CharStr, Message, MessageBuilder, Question, Rtype, StaticCompressor, Ttl,
        iana::{Class, Opcode, OptRcode},
        message_builder::{PushError, RecordSectionBuilder},
        name::{ParsedName, ToName},
        opt::Opt,
        wire::Composer,
    },
    rdata::Hinfo,
};

/// RFC 1035 §4.2.1: what everyone can receive over UDP.
const PLAIN_UDP: u16 = 512;

/// The octets of an OPT record without options.
const OPT_LENGTH: usize = 11;

type Target = StaticCompressor<Vec<u8>>;
type Asked<'a> = Question<ParsedName<&'a [u8]>>;

/// Answers a query. `None` means silence: for what is not even a header, and for responses, so that two servers
/// can never be made to answer each other.
pub fn respond(zones: &ZoneSet, query: &[u8], over_udp: bool) -> Option<Vec<u8>> {
    let message = Message::from_octets(query).ok()?;
    if message.header().qr() {
        return None;
    }
    let asked = match Request::read(&message) {
        Ok(asked) => asked,
        Err(rcode) => return Reply::without_question(&message).write(&nothing(rcode)),
    };
    let limit = match (&asked.edns, over_udp) {
        (_, false) => usize::from(u16::MAX),
        (None, true) => usize::from(PLAIN_UDP),
        (Some(edns), true) => usize::from(edns.payload.clamp(PLAIN_UDP, UDP_PAYLOAD)),
    };
    let reply =
        Reply { message: &message, question: Some(&asked.question), edns: asked.edns.is_some(), limit };
    if let Some(rcode) = asked.refusal() {
        return reply.write(&nothing(rcode));
    }
    let name = asked.question.qname().to_bytes();
    let found = find(zones, &name, asked.question.qtype());
    reply.write(&Said { rcode: OptRcode::from_rcode(found.rcode), found: Some(found) })
}

struct Edns {
    payload: u16,
    version: u8,
}

struct Request<'a> {
    question: Asked<'a>,
    edns: Option<Edns>,
}

impl<'a> Request<'a> {
    fn read(message: &'a Message<&'a [u8]>) -> Result<Self, OptRcode> {
        if message.header().opcode() != Opcode::QUERY {
            return Err(OptRcode::NOTIMP);
        }
        let question = message.sole_question().map_err(|_| OptRcode::FORMERR)?;
        let mut edns = None;
        for record in message.additional().map_err(|_| OptRcode::FORMERR)? {
            let record = record.map_err(|_| OptRcode::FORMERR)?;
            if record.rtype() != Rtype::OPT {
                continue;
            }
            // RFC 6891 §6.1.1: one, at the root.
            if edns.is_some() || !record.owner().is_root() {
                return Err(OptRcode::FORMERR);
            }
            let opt = record.to_record::<Opt<_>>().ok().flatten().ok_or(OptRcode::FORMERR)?;
            let [_, version, ..] = opt.ttl().as_secs().to_be_bytes();
            edns = Some(Edns { payload: opt.class().to_int(), version });
        }
        Ok(Self { question, edns })
    }

    /// Why a well-formed query is not looked up at all.
    fn refusal(&self) -> Option<OptRcode> {
        if self.edns.as_ref().is_some_and(|edns| edns.version > 0) {
            return Some(OptRcode::BADVERS);
        }
        if self.question.qclass() != Class::IN {
            return Some(OptRcode::REFUSED);
        }
        match self.question.qtype().to_int() {
            41 => Some(OptRcode::FORMERR),
            // Zone transfers and other types of queries that are no record types; ANY (255) is answered.
            128..=254 => Some(OptRcode::REFUSED),
            _ => None,
        }
    }
}

/// What is to be said.
struct Said<'a> {
    rcode: OptRcode,
    found: Option<Found<'a>>,
}

fn nothing(rcode: OptRcode) -> Said<'static> {
    Said { rcode, found: None }
}

/// Everything of the response that the query decides.
struct Reply<'a> {
    message: &'a Message<&'a [u8]>,
    question: Option<&'a Asked<'a>>,
    edns: bool,
    limit: usize,
}

impl<'a> Reply<'a> {
    fn without_question(message: &'a Message<&'a [u8]>) -> Self {
        Self { message, question: None, edns: false, limit: usize::from(PLAIN_UDP) }
    }

    fn write(&self, said: &Said<'_>) -> Option<Vec<u8>> {
        // What does not fit as a whole is not sent in part: resolvers throw parts away (RFC 2181 §9).
        self.write_sections(said, false).or_else(|_| self.write_sections(said, true)).ok()
    }

    fn write_sections(&self, said: &Said<'_>, truncated: bool) -> Result<Vec<u8>, PushError> {
        let target = StaticCompressor::new(Vec::with_capacity(self.limit.min(usize::from(UDP_PAYLOAD))));
        let mut builder = MessageBuilder::from_target(target).map_err(|_| PushError::ShortBuf)?;
        let asked = self.message.header();
        let header = builder.header_mut();
        header.set_id(asked.id());
        header.set_qr(true);
        header.set_opcode(asked.opcode());
        header.set_rd(asked.rd());
        header.set_tc(truncated);
        header.set_aa(said.found.as_ref().is_some_and(|found| found.authoritative));
        header.set_rcode(said.rcode.rcode());
        // The builder's limit is the first length that is too long.
        let reserved = if self.edns { OPT_LENGTH } else { 0 };
        builder.set_push_limit(self.limit + 1 - reserved);
        let mut section = builder.question();
        if let Some(question) = self.question {
            // As it was asked, with its case: some resolvers check that.
            section.push(question)?;
        }
        let shown = said.found.as_ref().filter(|_| !truncated);
        let mut answer = section.answer();
        if let Some(found) = shown {
            push_all(&mut answer, &found.answer)?;
            if found.minimal_any
                && let Some(question) = self.question
            {
                answer.push((question.qname(), Class::IN, Ttl::from_secs(3600), minimal_any()))?;
            }
        }
        let mut authority = answer.authority();
        if let Some(found) = shown {
            push_all(&mut authority, &found.authority)?;
        }
        let mut additional = authority.additional();
        if let Some(found) = shown {
            push_all(&mut additional, &found.glue)?;
        }
        additional.set_push_limit(self.limit + 1);
        if self.edns {
            additional.opt(|opt| {
                opt.set_udp_payload_size(UDP_PAYLOAD);
                opt.set_rcode(said.rcode);
                Ok(())
            })?;
        }
        Ok(additional.finish().into_target())
    }
}

fn push_all<S: RecordSectionBuilder<Target>>(section: &mut S, sets: &[Shown<'_>]) -> Result<(), PushError>
where
    Target: Composer,
{
    for shown in sets {
        for data in &shown.set.data {
            section.push((&shown.owner, Class::IN, shown.ttl, data))?;
        }
    }
    Ok(())
}

fn minimal_any() -> Hinfo<Bytes> {
    let word = CharStr::from_octets(Bytes::from_static(b"RFC8482"));
    Hinfo::new(word.unwrap_or_else(|_| CharStr::empty()), CharStr::empty())
}
