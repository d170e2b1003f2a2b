//! What DNS said, kept as it was said: every question, whom it was put to, when, and the whole answer.
//!
//! An observation is data. It can be stored, and the same report can be made from it again at any time. Nothing
//! here judges; [`crate::view`] reads it, the checks judge it.

use model::{DomainName, Record, RecordData, RecordType, Timestamp};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};

pub use mail::lookup::Question;

/// Whom a question is put to. One observation holds many perspectives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Server {
    /// A recursive resolver, asked with RD=1: it may answer from its cache.
    Resolver {
        /// Where it listens.
        address: SocketAddr,
    },
    /// A name server of a zone, asked with RD=0: it tells what is in the zone now.
    Authority {
        /// The apex of the zone that it should be authoritative for.
        zone: DomainName,
        /// Its name in the NS record.
        name: DomainName,
        /// Where it listens.
        address: SocketAddr,
    },
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Resolver { address } | Self::Authority { address, .. } => *address,
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resolver { address } => write!(f, "resolver {address}"),
            Self::Authority { name, address, .. } => write!(f, "{name} ({address})"),
        }
    }
}

/// One question to one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    /// What is asked.
    pub question: Question,
    /// Who is asked.
    pub server: Server,
    /// Whether the CD bit is set: a resolver then hands out what failed DNSSEC validation as well (RFC 4035 §3.2.2),
    /// which tells broken signatures from broken servers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checking_disabled: bool,
}

impl Ask {
    /// A usual ask, with DNSSEC validation where the server does it.
    pub fn new(question: Question, server: Server) -> Self {
        Self { question, server, checking_disabled: false }
    }
}

/// One question, whom it was put to, and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The question and the server.
    #[serde(flatten)]
    pub ask: Ask,
    /// When the outcome was known.
    pub at: Timestamp,
    /// What came back.
    pub outcome: Outcome,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A well-formed answer to this question.
    Reply(Reply),
    /// Nothing usable, after all retries.
    Failure(Failure),
}

/// A DNS response, without its question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reply {
    /// The response code.
    pub rcode: Rcode,
    /// The AA bit: the server calls itself authoritative for the name.
    pub authoritative: bool,
    /// The AD bit: the resolver validated the answer by DNSSEC.
    pub authentic_data: bool,
    /// The answer section.
    pub answer: Vec<Record>,
    /// The authority section; of a resolver's answer that has records without the name servers that stand beside them.
    pub authority: Vec<Record>,
    /// The addresses in the additional section of a referral; left out of every other response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<Record>,
    /// The extended error (RFC 8914), where the server sent one.
    pub extended_error: Option<ExtendedError>,
}

/// An extended DNS error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedError {
    /// Its INFO-CODE.
    pub code: u16,
    /// Its EXTRA-TEXT, at most 200 characters of it.
    pub text: String,
}

impl Reply {
    /// About how much memory it takes, in octets.
    pub fn octets(&self) -> usize {
        let records = [&self.answer, &self.authority, &self.additional];
        let text = self.extended_error.as_ref().map_or(0, |error| error.text.len());
        size_of::<Exchange>() + text + records.into_iter().flatten().map(octets_of).sum::<usize>()
    }
}

fn octets_of(record: &Record) -> usize {
    size_of::<Record>() + record.owner.as_str().len() + record.data.octets()
}

impl ExtendedError {
    /// Whether the answer is one of the resolver's policy and not of the zone: forged, blocked, censored, filtered,
    /// prohibited (RFC 8914 §4.5, §4.16 to §4.19).
    pub fn is_policy(&self) -> bool {
        matches!(self.code, 4 | 15..=18)
    }

    /// Whether the answer has run out: stale answer, stale NXDOMAIN answer (RFC 8914 §4.4, §4.20).
    pub fn is_stale(&self) -> bool {
        matches!(self.code, 3 | 19)
    }
}

/// A response code (RFC 1035 §4.1.1, RFC 6895).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rcode {
    /// 0.
    #[default]
    NoError,
    /// 1: the server did not understand the query.
    FormErr,
    /// 2: the server could not find out.
    ServFail,
    /// 3: the name does not exist.
    NxDomain,
    /// 4.
    NotImp,
    /// 5: the server will not answer this.
    Refused,
    /// Any other.
    Other(u16),
}

impl std::fmt::Display for Rcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoError => f.write_str("NOERROR"),
            Self::FormErr => f.write_str("FORMERR"),
            Self::ServFail => f.write_str("SERVFAIL"),
            Self::NxDomain => f.write_str("NXDOMAIN"),
            Self::NotImp => f.write_str("NOTIMP"),
            Self::Refused => f.write_str("REFUSED"),
            Self::Other(code) => write!(f, "RCODE {code}"),
        }
    }
}

/// Why there is no usable answer. Always temporary: none of these says that a record is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nothing came in time.
    Timeout,
    /// The address cannot be reached; the operating system's words.
    Unreachable(String),
    /// What came was no answer to this question, or was damaged.
    Malformed(String),
    /// Truncated over UDP, and TCP did not work (RFC 7766).
    TruncatedWithoutTcp(String),
    /// The address is private or otherwise not to be asked.
    Forbidden,
    /// The name cannot be in the public DNS, and is not asked for where strangers choose what is.
    NotPublic,
    /// It was answered, with more than is kept of one domain.
    TooMuch,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unreachable(why) => write!(f, "unreachable ({why})"),
            Self::Malformed(why) => write!(f, "damaged answer ({why})"),
            Self::TruncatedWithoutTcp(why) => write!(f, "answer too long for UDP, and TCP failed ({why})"),
            Self::Forbidden => f.write_str("its address is private and is not asked"),
            Self::NotPublic => f.write_str("the name is not in the public DNS and is not asked for"),
            Self::TooMuch => f.write_str("the answers are more than is kept of one domain"),
        }
    }
}

/// All that was asked and answered for one plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observation {
    /// Every exchange, in the order of the questions, not of the answers' arrival.
    pub exchanges: Vec<Arc<Exchange>>,
    /// Set when a bound on questions, rounds, octets or time cut the inquiry short.
    pub cut_short: bool,
    /// Set with it where the bound was the time.
    #[serde(default)]
    pub out_of_time: bool,
}

impl Observation {
    /// About how much memory its answers take, in octets.
    pub fn octets(&self) -> usize {
        self.exchanges.iter().map(|exchange| exchange.octets()).sum()
    }

    /// The outcome of one ask, if it was put already.
    pub fn outcome(&self, ask: &Ask) -> Option<&Arc<Exchange>> {
        self.exchanges.iter().find(|exchange| exchange.ask == *ask)
    }

    /// All exchanges for one question.
    pub fn of<'a>(
        &'a self,
        name: &'a DomainName,
        record_type: RecordType,
    ) -> impl Iterator<Item = &'a Exchange> {
        self.exchanges
            .iter()
            .map(AsRef::as_ref)
            .filter(move |e| e.ask.question.record_type == record_type && e.ask.question.name == *name)
    }
}

/// What one reply says about one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The name has records of the type. Sorted, so that two servers' answers compare.
    Records(Vec<RecordData>),
    /// The name is an alias. Where the server gave the chain, it is followed; the first target is kept.
    Alias {
        /// The first target.
        target: DomainName,
        /// The records of the asked type at the end of the chain, as far as this answer shows them.
        at_end: Vec<RecordData>,
        /// What is known of the end.
        end: ChainEnd,
    },
    /// The name is an alias, and its chain comes back to where it was: nobody finds anything behind it.
    AliasLoop(DomainName),
    /// More than one alias stands at the name, where there may be one (RFC 2181 §10.1): their targets, sorted. Which one
    /// is followed is left to chance.
    SeveralAliases(Vec<DomainName>),
    /// The name exists, without this type; how long that may be cached, in seconds (RFC 2308 §5).
    NoData(u32),
    /// The name does not exist; how long that may be cached, in seconds.
    NxDomain(u32),
    /// Nothing certain; the reason for people.
    Nothing(String),
    /// A name server that is listed but does not serve the zone.
    Lame(String),
}

/// What an answer shows of the end of a chain of aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEnd {
    /// Records of the asked type.
    Records,
    /// The last name exists, without the asked type.
    NoData,
    /// The last name, which does not exist (RFC 6604 §3).
    NxDomain(DomainName),
    /// Not shown: a name server stops where its zone ends.
    Unseen,
}

impl Says {
    /// Whether it says that there is no such record, and no alias either.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::NoData(_) | Self::NxDomain(_))
    }

    /// Whether it says that something is there.
    pub fn is_positive(&self) -> bool {
        matches!(self, Self::Records(_) | Self::Alias { .. } | Self::AliasLoop(_) | Self::SeveralAliases(_))
    }
}

/// How long a chain of aliases is followed inside one answer.
const MAX_CHAIN: usize = 16;

impl Exchange {
    /// Reads the outcome. Records for names that were not asked for are ignored.
    pub fn says(&self) -> Says {
        let reply = match &self.outcome {
            Outcome::Reply(reply) => reply,
            Outcome::Failure(failure) => return Says::Nothing(failure.to_string()),
        };
        let authority_asked = matches!(self.ask.server, Server::Authority { .. });
        match reply.rcode {
            Rcode::NoError | Rcode::NxDomain => {}
            Rcode::Refused if authority_asked => return Says::Lame("REFUSED".to_owned()),
            rcode => return Says::Nothing(describe(rcode, reply.extended_error.as_ref())),
        }
        if authority_asked && !reply.authoritative {
            return Says::Lame("it answers without authority".to_owned());
        }
        let Some(error) = &reply.extended_error else {
            return read_answer(reply, &self.ask.question, authority_asked);
        };
        if error.is_policy() {
            return Says::Nothing(describe(reply.rcode, Some(error)));
        }
        match read_answer(reply, &self.ask.question, authority_asked) {
            Says::NoData(_) | Says::NxDomain(_) if error.is_stale() => {
                Says::Nothing(describe(reply.rcode, Some(error)))
            }
            Says::Alias { target, end: ChainEnd::NoData | ChainEnd::NxDomain(_), .. } if error.is_stale() => {
                Says::Alias { target, at_end: Vec::new(), end: ChainEnd::Unseen }
            }
            says => says,
        }
    }

    /// About how much memory its answer takes, in octets.
    pub fn octets(&self) -> usize {
        match &self.outcome {
            Outcome::Reply(reply) => reply.octets(),
            Outcome::Failure(_) => 0,
        }
    }

    /// Whether it is an answer that has run out, handed out because the zone's servers give no newer one (RFC 8767).
    /// What it shows was there; that something is not in it proves nothing.
    pub fn is_stale(&self) -> bool {
        let Outcome::Reply(reply) = &self.outcome else { return false };
        reply.extended_error.as_ref().is_some_and(ExtendedError::is_stale)
    }

    /// The smallest TTL of the answer's records, or of the negative answer, in seconds.
    pub fn ttl(&self) -> u32 {
        match &self.outcome {
            Outcome::Reply(reply) if !reply.answer.is_empty() => {
                reply.answer.iter().map(|record| record.ttl).min().unwrap_or(0)
            }
            Outcome::Reply(reply) => negative_ttl(reply),
            Outcome::Failure(_) => 0,
        }
    }
}

fn describe(rcode: Rcode, extended: Option<&ExtendedError>) -> String {
    match extended {
        Some(ExtendedError { code, text }) if text.is_empty() => format!("{rcode}, extended error {code}"),
        Some(ExtendedError { code, text }) => format!("{rcode}, extended error {code}: {text}"),
        None => rcode.to_string(),
    }
}

fn read_answer(reply: &Reply, question: &Question, authority_asked: bool) -> Says {
    let mut name = &question.name;
    let mut first_target = None;
    // Each name on the way, this one last.
    let mut passed = [name; MAX_CHAIN];
    for step in 0..MAX_CHAIN {
        passed[step] = name;
        let mut here: Vec<RecordData> = reply
            .answer
            .iter()
            .filter(|record| record.data.record_type() == question.record_type && record.owner == *name)
            .map(|record| record.data.clone())
            .collect();
        if !here.is_empty() {
            here.sort();
            here.dedup();
            return match (question.record_type, first_target) {
                (RecordType::Cname, _) if here.len() > 1 => Says::SeveralAliases(targets(here)),
                (RecordType::Cname, _) => match here.swap_remove(0) {
                    RecordData::Cname(target) => {
                        Says::Alias { target, at_end: Vec::new(), end: ChainEnd::Unseen }
                    }
                    _ => Says::Nothing("damaged answer".to_owned()),
                },
                (_, Some(target)) => {
                    Says::Alias { target: DomainName::clone(target), at_end: here, end: ChainEnd::Records }
                }
                (_, None) => Says::Records(here),
            };
        }
        let mut aliases = reply.answer.iter().filter_map(|record| match &record.data {
            RecordData::Cname(target) if record.owner == *name => Some(target),
            _ => None,
        });
        let next = aliases.next();
        if aliases.any(|other| next != Some(other)) {
            if let Some(target) = first_target {
                // They stand somewhere behind the first alias: which one is followed from there is left to chance.
                return unseen_behind(target);
            }
            let all = reply.answer.iter().filter(|record| record.owner == *name);
            return Says::SeveralAliases(targets(all.map(|record| record.data.clone()).collect()));
        }
        let Some(next) = next else {
            return match first_target {
                Some(target) => {
                    let end = end_without_records(reply, name, authority_asked);
                    Says::Alias { target: target.clone(), at_end: Vec::new(), end }
                }
                None => nothing_here(reply),
            };
        };
        let first = *first_target.get_or_insert(next);
        if passed[..=step].contains(&next) {
            return Says::AliasLoop(first.clone());
        }
        name = next;
    }
    // Longer than anybody follows.
    first_target.map_or_else(|| nothing_here(reply), unseen_behind)
}

fn unseen_behind(target: &DomainName) -> Says {
    Says::Alias { target: target.clone(), at_end: Vec::new(), end: ChainEnd::Unseen }
}

/// The targets of aliases, each once, sorted.
fn targets(aliases: Vec<RecordData>) -> Vec<DomainName> {
    let target = |data| if let RecordData::Cname(target) = data { Some(target) } else { None };
    let mut targets: Vec<DomainName> = aliases.into_iter().filter_map(target).collect();
    targets.sort();
    targets.dedup();
    targets
}

fn nothing_here(reply: &Reply) -> Says {
    match reply.rcode {
        Rcode::NxDomain => Says::NxDomain(negative_ttl(reply)),
        // A referral is NOERROR with NS and no SOA: it says nothing of the name itself.
        _ if is_referral(reply) => Says::Lame("it refers to other servers".to_owned()),
        _ => Says::NoData(negative_ttl(reply)),
    }
}

/// A resolver has gone to the end of the chain; what a name server says of it may be of another's zone.
fn end_without_records(reply: &Reply, last: &DomainName, authority_asked: bool) -> ChainEnd {
    let has_soa = reply.authority.iter().any(|record| matches!(record.data, RecordData::Soa(_)));
    match reply.rcode {
        _ if authority_asked => ChainEnd::Unseen,
        Rcode::NxDomain => ChainEnd::NxDomain(last.clone()),
        // Without the SOA record of a negative answer (RFC 2308 §2.2) the chain may have been given up half way.
        _ if has_soa => ChainEnd::NoData,
        _ => ChainEnd::Unseen,
    }
}

fn is_referral(reply: &Reply) -> bool {
    !reply.authoritative
        && reply.authority.iter().any(|record| matches!(record.data, RecordData::Ns(_)))
        && !reply.authority.iter().any(|record| matches!(record.data, RecordData::Soa(_)))
}

/// RFC 2308 §5: the smaller of the SOA record's own TTL and its MINIMUM field.
fn negative_ttl(reply: &Reply) -> u32 {
    reply
        .authority
        .iter()
        .find_map(|record| match &record.data {
            RecordData::Soa(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TxtData;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn record(owner: &str, data: RecordData) -> Record {
        Record { owner: name(owner), ttl: 60, data }
    }

    fn says(record_type: RecordType, answer: Vec<Record>) -> Says {
        let question = Question { name: name("tok1._domainkey.acme.test"), record_type };
        let server = Server::Resolver { address: "192.0.2.53:53".parse().unwrap() };
        let outcome = Outcome::Reply(Reply { answer, ..Reply::default() });
        Exchange { ask: Ask::new(question, server), at: Timestamp::UNIX_EPOCH, outcome }.says()
    }

    /// A DNAME above the name moves all that is below it (RFC 6672): a server shows it with the alias that it makes of
    /// it, and that alias is what counts.
    #[test]
    fn what_a_dname_moves_is_found_by_the_alias_that_is_made_of_it() {
        // `_domainkey.acme.test` DNAME `_domainkey.service.test`
        let octets = b"\x0a_domainkey\x07service\x04test\0".to_vec();
        let dname = || record("_domainkey.acme.test", RecordData::Other { code: 39, octets });
        let target = name("tok1._domainkey.service.test");
        let alias = record("tok1._domainkey.acme.test", RecordData::Cname(target.clone()));
        let text = RecordData::Txt(TxtData::from_text("v=DKIM1; p="));
        let answer = vec![dname(), alias, record(target.as_str(), text.clone())];
        assert_eq!(
            says(RecordType::Txt, answer.clone()),
            Says::Alias { target: target.clone(), at_end: vec![text], end: ChainEnd::Records }
        );
        let asked_for_alias = says(RecordType::Cname, answer[..2].to_vec());
        assert_eq!(asked_for_alias, Says::Alias { target, at_end: Vec::new(), end: ChainEnd::Unseen });
        // Without the alias nothing is known to be at the name.
        assert_eq!(says(RecordType::Txt, answer[..1].to_vec()), Says::NoData(0));
    }

    #[test]
    fn aliases_that_come_back_or_never_end_lead_nowhere() {
        let alias = |owner: &str, target: &str| record(owner, RecordData::Cname(name(target)));
        let back = vec![
            alias("tok1._domainkey.acme.test", "one.test"),
            alias("one.test", "two.test"),
            alias("two.test", "one.test"),
        ];
        assert_eq!(says(RecordType::Txt, back), Says::AliasLoop(name("one.test")));
        let hop = |number: usize| alias(&format!("n{number}.test"), &format!("n{}.test", number + 1));
        let mut long = vec![alias("tok1._domainkey.acme.test", "n0.test")];
        long.extend((0..MAX_CHAIN + 4).map(hop));
        let end = Says::Alias { target: name("n0.test"), at_end: Vec::new(), end: ChainEnd::Unseen };
        assert_eq!(says(RecordType::Txt, long), end);
    }
}
