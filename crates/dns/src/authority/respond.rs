//! From the octets of a query to the octets of its response: a pure function.
//!
//! A response is written once, from the front to the end, into a buffer that is used again: records are copied as they
//! are kept. Every owner in it is in the question already, or in the data of an alias or of a name server before it, so
//! it is a pointer there (RFC 1035 §4.1.4).

use super::{
    cookie::{self, Cookies},
    lookup::{Here, Place, Records, Zone},
    query::{Edns, HEADER, Name, Query, Unread},
    record_set::{RecordSet, types},
    zone_set::{Node, ZoneSet},
};
use crate::wire::UDP_PAYLOAD;
use std::net::IpAddr;

/// RFC 1035 §4.2.1: what everyone can receive over UDP.
const PLAIN_UDP: u16 = 512;

/// How many aliases in a row are followed inside our own zones.
const MAX_ALIASES: usize = 8;

/// The longest name of a server that is told (RFC 5001): what is told always fits beside a question.
pub(super) const MAX_NSID: usize = 64;

const CLASS_IN: u16 = 1;
const POINTER: usize = 0xc000;

const FORMERR: u16 = 1;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const BADVERS: u16 = 16;

const OPTION_NSID: u16 = 3;
const OPTION_COOKIE: u16 = 10;
const OPTION_EXTENDED_ERROR: u16 = 15;
/// "Not Authoritative" (RFC 8914 §4.21).
const NOT_AUTHORITATIVE: u16 = 20;

/// RFC 8482 §4.2.
const MINIMAL_ANY: &[u8] = b"\x07RFC8482\x00";
const MINIMAL_ANY_TTL: u32 = 3600;

/// How a query came, and what the server tells of itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Circumstances<'a> {
    pub(super) over_tcp: bool,
    /// What tells clients from those who pretend to be them: who asks, and the seconds since 1970.
    pub(super) cookies: Option<(&'a Cookies, IpAddr, u32)>,
    /// Which of several servers this one is; nothing is told where it is empty.
    pub(super) nsid: &'a [u8],
}

/// What was answered: for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) kind: Kind,
    /// From where in the message on a name stands for all that gets such an answer: the name asked for, the owner of the
    /// wildcard or delegation, or the zone of what is not there.
    pub(super) subject: (usize, usize),
    /// The client has shown a cookie of ours, so it is at the address that it asks from.
    pub(super) is_known: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Records,
    Nothing,
    Referral,
    Error,
}

/// Answers a query. `None` means silence: for what is not even a header, and for responses, so that two servers
/// can never be made to answer each other.
pub fn respond(zones: &ZoneSet, query: &[u8], over_udp: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(usize::from(PLAIN_UDP));
    let how = Circumstances { over_tcp: !over_udp, ..Circumstances::default() };
    write_response(zones, query, &how, &mut out).map(|_| out)
}

/// The same into a buffer, whatever was in it.
pub(super) fn write_response(
    zones: &ZoneSet,
    octets: &[u8],
    how: &Circumstances<'_>,
    out: &mut Vec<u8>,
) -> Option<Answered> {
    out.clear();
    let error = Answered { kind: Kind::Error, subject: (0, 0), is_known: false };
    let query = match Query::read(octets) {
        Ok(query) => query,
        Err(Unread::Silence) => return None,
        Err(unread) => {
            out.extend_from_slice(octets.get(..4)?);
            out.extend_from_slice(&[0; 8]);
            let rcode = if unread == Unread::NotImp { NOTIMP } else { FORMERR };
            set_flags(out, Flags { rcode, ..Flags::default() });
            return Some(error);
        }
    };
    let mut response = Response::begin(&query, how, out);
    let mut answered = if let Some(rcode) = refusal(&query) {
        response.flags.rcode = rcode;
        error
    } else {
        response.look_up(zones)
    };
    answered.is_known = response.finish(how);
    Some(answered)
}

/// Why a well-formed query is not looked up at all.
fn refusal(query: &Query<'_>) -> Option<u16> {
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Some(BADVERS);
    }
    if query.qclass != CLASS_IN {
        return Some(REFUSED);
    }
    match query.qtype {
        types::OPT => Some(FORMERR),
        // Zone transfers and other types of queries that are no record types; ANY (255) is answered.
        128..=254 => Some(REFUSED),
        _ => None,
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    rcode: u16,
    authoritative: bool,
    truncated: bool,
}

/// Writes them over those of the query: its RD and opcode stay.
fn set_flags(message: &mut [u8], flags: Flags) {
    if let Some([high, low]) = message.get_mut(2..4) {
        *high = *high & 0x79 | 0x80;
        *high |= u8::from(flags.authoritative) << 2 | u8::from(flags.truncated) << 1;
        *low = u8::try_from(flags.rcode & 0x0f).unwrap_or_default();
    }
}

/// A name that is in the message, and where.
#[derive(Clone, Copy)]
struct Owner<'a> {
    at: usize,
    name: &'a [u8],
}

impl<'a> Owner<'a> {
    /// Its last labels.
    fn last(name: &'a Name, at: usize, labels: usize) -> Self {
        Self { at: at + name.start_of(labels), name: name.last(labels) }
    }
}

const ANSWER: usize = 0;
const AUTHORITY: usize = 1;
const ADDITIONAL: usize = 2;

/// A response that is being written.
struct Response<'a> {
    query: &'a Query<'a>,
    out: &'a mut Vec<u8>,
    flags: Flags,
    counts: [u16; 3],
    limit: usize,
    /// It is none of our zones.
    is_elsewhere: bool,
}

impl<'a> Response<'a> {
    fn begin(query: &'a Query<'a>, how: &Circumstances<'_>, out: &'a mut Vec<u8>) -> Self {
        // The question as it was asked, with its case: some resolvers check that.
        out.extend_from_slice(&query.octets[..query.question_end]);
        let limit = match &query.edns {
            _ if how.over_tcp => usize::from(u16::MAX),
            None => usize::from(PLAIN_UDP),
            Some(edns) => usize::from(edns.payload.clamp(PLAIN_UDP, UDP_PAYLOAD)),
        };
        Self { query, out, flags: Flags::default(), counts: [0; 3], limit, is_elsewhere: false }
    }

    fn look_up(&mut self, zones: &ZoneSet) -> Answered {
        let query = self.query;
        let qtype = query.qtype;
        let mut answered = self.answered(Kind::Records, query.name.labels());
        let mut target: Option<Name> = None;
        let mut at = HEADER;
        let mut owners = [0; MAX_ALIASES + 1];
        for hop in 0..=MAX_ALIASES {
            let name = target.as_ref().unwrap_or(&query.name);
            let Some((zone, apex_labels)) = zones.zone_of(name, qtype) else {
                // An alias out of our zones is where the resolver goes on; a question out of them is not for us.
                if hop == 0 {
                    self.flags.rcode = REFUSED;
                    self.is_elsewhere = true;
                    answered = self.answered(Kind::Error, 0);
                }
                break;
            };
            let here = match zone.place(name, apex_labels, qtype) {
                Place::Delegated(node, labels) => {
                    if hop == 0 {
                        self.refer(zone, node, Owner::last(name, at, labels));
                        answered = self.answered(Kind::Referral, labels);
                    }
                    break;
                }
                Place::Missing => {
                    self.flags.rcode = NXDOMAIN;
                    self.negative(zone, Owner::last(name, at, apex_labels));
                    if hop == 0 {
                        answered = self.answered(Kind::Nothing, apex_labels);
                    }
                    break;
                }
                Place::Found(here, wildcard) => {
                    self.flags.authoritative = true;
                    if hop == 0
                        && let Some(labels) = wildcard
                    {
                        answered = self.answered(Kind::Records, labels);
                    }
                    here
                }
            };
            let owner = Owner { at, name: name.as_slice() };
            if self.says(here, owner, qtype) {
                break;
            }
            let Some(alias) = here.alias() else {
                self.negative(zone, Owner::last(name, at, apex_labels));
                if hop == 0 {
                    answered = self.answered(Kind::Nothing, apex_labels);
                }
                break;
            };
            owners[hop] = at;
            let data_at = self.records(ANSWER, owner, alias, alias.ttl);
            let next = alias.data().next().and_then(Name::read);
            match next {
                Some((next, _)) if hop < MAX_ALIASES && !self.has(&owners[..=hop], next.as_slice()) => {
                    target = Some(next);
                    at = data_at;
                }
                _ => break,
            }
        }
        answered
    }

    fn answered(&self, kind: Kind, labels: usize) -> Answered {
        let end = self.query.question_end - 4;
        Answered { kind, subject: (HEADER + self.query.name.start_of(labels), end), is_known: false }
    }

    /// Whether a name has what was asked for; it is answered then.
    fn says(&mut self, here: Here<'_>, owner: Owner<'_>, qtype: u16) -> bool {
        if qtype == types::ANY && !here.is_empty() {
            self.record(ANSWER, owner, types::HINFO, MINIMAL_ANY_TTL);
            self.out.extend_from_slice(&[0, 9]);
            self.out.extend_from_slice(MINIMAL_ANY);
            return true;
        }
        match here.records(qtype) {
            Some(Records::Set(set)) => {
                self.records(ANSWER, owner, set, set.ttl);
            }
            Some(Records::Key(value, ttl)) => {
                self.record(ANSWER, owner, types::TXT, ttl);
                value.write(self.out);
            }
            None => return false,
        }
        true
    }

    /// Aliases that lead back to themselves are shown once. All their owners are written out where they are first.
    fn has(&self, owners: &[usize], name: &[u8]) -> bool {
        owners.iter().any(|&at| {
            self.out.get(at..at + name.len()).is_some_and(|owner| owner.eq_ignore_ascii_case(name))
        })
    }

    fn negative(&mut self, zone: Zone<'_>, apex: Owner<'_>) {
        self.flags.authoritative = true;
        let (soa, ttl) = zone.soa();
        self.records(AUTHORITY, apex, soa, ttl);
    }

    fn refer(&mut self, zone: Zone<'_>, node: &Node, cut: Owner<'_>) {
        let Some(servers) = node.set(types::NS) else { return };
        let mut data_at = self.records(AUTHORITY, cut, servers, servers.ttl);
        for server in servers.data() {
            if let Some((name, _)) = Name::read(server)
                && let Some(glue) = zone.glue(name.as_slice())
            {
                for set in [types::A, types::AAAA].into_iter().filter_map(|rtype| glue.set(rtype)) {
                    self.records(ADDITIONAL, Owner { at: data_at, name: server }, set, set.ttl);
                }
            }
            // Each record of the set is a pointer, ten octets of numbers, and its data.
            data_at += server.len() + 12;
        }
    }

    /// Writes a set; where the data of its first record is.
    fn records(&mut self, section: usize, owner: Owner<'_>, set: &RecordSet, ttl: u32) -> usize {
        let mut first = 0;
        for data in set.data() {
            // More would be thrown away.
            if self.out.len() > self.limit {
                break;
            }
            self.record(section, owner, set.rtype, ttl);
            self.out.extend_from_slice(&u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
            if first == 0 {
                first = self.out.len();
            }
            self.out.extend_from_slice(data);
        }
        first
    }

    /// Begins a record: its length and data come next.
    fn record(&mut self, section: usize, owner: Owner<'_>, rtype: u16, ttl: u32) {
        match u16::try_from(POINTER | owner.at) {
            Ok(pointer) if owner.at < POINTER >> 2 => self.out.extend_from_slice(&pointer.to_be_bytes()),
            _ => self.out.extend_from_slice(owner.name),
        }
        let [type_high, type_low] = rtype.to_be_bytes();
        let [a, b, c, d] = ttl.to_be_bytes();
        self.out.extend_from_slice(&[type_high, type_low, 0, 1, a, b, c, d]);
        self.counts[section] = self.counts[section].saturating_add(1);
    }

    /// Writes what stands at the front and at the end. Whether the client has shown a cookie of ours.
    fn finish(&mut self, how: &Circumstances<'_>) -> bool {
        let is_known = self.opt(how);
        if self.out.len() > self.limit {
            // What does not fit as a whole is not sent in part: resolvers throw parts away (RFC 2181 §9).
            self.out.truncate(self.query.question_end);
            self.counts = [0; 3];
            self.flags.truncated = true;
            self.opt(how);
        }
        set_flags(self.out, self.flags);
        let [answer, authority, additional] = self.counts.map(u16::to_be_bytes);
        if let Some(counts) = self.out.get_mut(4..HEADER) {
            counts.copy_from_slice(&[[0, 1], answer, authority, additional].concat());
        }
        is_known
    }

    fn opt(&mut self, how: &Circumstances<'_>) -> bool {
        let Some(edns) = self.query.edns else { return false };
        let [high, low] = UDP_PAYLOAD.to_be_bytes();
        let extended = u8::try_from(self.flags.rcode >> 4).unwrap_or_default();
        let flags = if edns.dnssec_ok { 0x80 } else { 0 };
        let [type_high, type_low] = types::OPT.to_be_bytes();
        self.out.extend_from_slice(&[0, type_high, type_low, high, low, extended, 0, flags, 0, 0, 0]);
        self.counts[ADDITIONAL] += 1;
        let start = self.out.len();
        let is_known = self.cookie(&edns, how);
        if edns.nsid && !how.nsid.is_empty() {
            self.option(OPTION_NSID, how.nsid);
        }
        if self.is_elsewhere {
            self.option(OPTION_EXTENDED_ERROR, &NOT_AUTHORITATIVE.to_be_bytes());
        }
        let length = u16::try_from(self.out.len() - start).unwrap_or_default();
        if let Some(place) = self.out.get_mut(start - 2..start) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        is_known
    }

    fn cookie(&mut self, edns: &Edns<'_>, how: &Circumstances<'_>) -> bool {
        let (Some(shown), Some((cookies, client, now))) = (edns.cookie, how.cookies) else { return false };
        let Some(theirs) = shown.first_chunk::<{ cookie::CLIENT }>() else { return false };
        let ours = cookies.make(*theirs, client, now);
        self.option(OPTION_COOKIE, &[theirs.as_slice(), &ours].concat());
        cookies.is_ours(shown, client, now)
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.out.extend_from_slice(&code.to_be_bytes());
        self.out.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        self.out.extend_from_slice(value);
    }
}
