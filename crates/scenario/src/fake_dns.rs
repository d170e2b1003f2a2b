//! The DNS of a scenario in memory: every server and resolver as a pure function of the question.
//!
//! [`Reaction`] says what a server does; [`FakeDns::answer`] makes of it what a client would have seen. Over the
//! wire the same reactions are packets.

use crate::{
    file::{Cached, Dnssec, Fault, FaultKind, Scenario},
    world::{REGISTRY, Served, World, soa},
    zone::Answer,
    zone_text::{DNAME, records},
};
use diagnosis::observation::{Ask, ExtendedError, Failure, Outcome, Question, Rcode, Reply, Server};
use model::{DomainName, Record, RecordData, RecordType, TxtData};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};

/// All servers and resolvers of a scenario.
#[derive(Debug, Clone)]
pub struct FakeDns {
    scenario: Scenario,
    world: World,
    addresses: BTreeSet<IpAddr>,
    /// Set for the time before the change, as the resolver at this address saw it: name servers still have what it
    /// remembers, and nobody is at fault.
    before: Option<IpAddr>,
}

/// What a server does with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// What it would say if it did as it should.
    pub answer: Answer,
    /// What it does instead of just saying that.
    pub fault: Option<FaultKind>,
    /// How long it takes.
    pub delay: Duration,
}

/// From when on a late answer is none for our client: longer than all its tries.
const TOO_LATE: Duration = Duration::from_secs(4);

/// How many delegations and aliases a resolver follows.
const MAX_STEPS: usize = 16;

/// How deep resolvers look up addresses of servers that have no glue.
const MAX_DEPTH: usize = 4;

impl FakeDns {
    /// The DNS of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        Self::of_world(scenario, World::new(scenario))
    }

    /// The DNS of a scenario with other zones than its own.
    pub fn of_world(scenario: &Scenario, world: World) -> Self {
        Self { scenario: scenario.clone(), addresses: world.addresses(), world, before: None }
    }

    /// The DNS as it was when this resolver filled its cache.
    pub fn before(scenario: &Scenario, resolver: IpAddr) -> Self {
        Self { before: Some(resolver), ..Self::new(scenario) }
    }

    /// Whether a resolver is at an address.
    pub fn is_resolver(&self, address: IpAddr) -> bool {
        self.scenario.resolvers.contains(&address)
    }

    /// Its zones.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What a client sees that puts a question.
    pub fn answer(&self, ask: &Ask) -> Outcome {
        let address = ask.server.address().ip();
        let is_resolver = matches!(ask.server, Server::Resolver { .. });
        let known = if is_resolver { self.is_resolver(address) } else { self.addresses.contains(&address) };
        if !known {
            return Outcome::Failure(Failure::Timeout);
        }
        let reaction = self.react(address, &ask.question, ask.checking_disabled);
        outcome(reaction)
    }

    /// What the server or resolver at an address does with a question.
    pub fn react(&self, address: IpAddr, question: &Question, checking_disabled: bool) -> Reaction {
        let fault = self.fault(address, question);
        let delay = fault.map_or(Duration::ZERO, |fault| Duration::from_millis(fault.ms));
        let past = self.before.and_then(|resolver| self.remembered(self.cached(resolver, question)?));
        let mut answer = if let Some(reply) = past {
            Answer { reply: Reply { authoritative: true, ..reply }, additional: Vec::new() }
        } else if self.is_resolver(address) {
            let reply = self.resolve(address, question, checking_disabled);
            Answer { reply, additional: Vec::new() }
        } else {
            match self.world.zone_at(address, &question.name) {
                Some(served) => served.zone.answer(question),
                None => Answer::rcode(Rcode::Refused),
            }
        };
        let kind = fault.map(|fault| fault.kind);
        match kind {
            Some(FaultKind::Servfail) => answer = Answer::rcode(Rcode::ServFail),
            Some(FaultKind::Refused) => answer = Answer::rcode(Rcode::Refused),
            Some(FaultKind::Notimp) => answer = Answer::rcode(Rcode::NotImp),
            Some(FaultKind::Formerr) => answer = Answer::rcode(Rcode::FormErr),
            Some(FaultKind::Nxdomain) => answer = Answer::rcode(Rcode::NxDomain),
            Some(FaultKind::NotAuthoritative) => answer.reply.authoritative = false,
            Some(FaultKind::NxdomainForEnt) => {
                let is_empty = |served: &Served| !served.zone.has_records(&question.name);
                if self.world.zone_at(address, &question.name).is_some_and(is_empty) {
                    answer.reply.rcode = Rcode::NxDomain;
                }
            }
            Some(FaultKind::NoSoa) => {
                answer.reply.authority.retain(|record| !matches!(record.data, RecordData::Soa(_)));
            }
            Some(FaultKind::NxdomainWithAnswer) if !answer.reply.answer.is_empty() => {
                answer.reply.rcode = Rcode::NxDomain;
            }
            Some(FaultKind::UpwardReferral) => answer = self.upward_referral(),
            Some(FaultKind::ForeignTargets) => {
                let forged = at_target(&answer.reply);
                answer.reply.answer.extend(forged);
            }
            Some(FaultKind::ForeignRecords) => answer.reply.answer.extend(foreign(question)),
            _ => {}
        }
        if let Some(code) = fault.and_then(|fault| fault.extended_error) {
            answer.reply.extended_error = Some(ExtendedError { code, text: String::new() });
        }
        if let Some(cached) = self.before.and_then(|resolver| self.remembered_in(resolver, &question.name)) {
            for record in &mut answer.reply.authority {
                if matches!(record.data, RecordData::Soa(_)) {
                    *record = soa(&record.owner, cached.negative_ttl, 1);
                }
            }
        }
        Reaction { answer, fault: kind, delay }
    }

    fn fault(&self, address: IpAddr, question: &Question) -> Option<&Fault> {
        if self.before.is_some() {
            return None;
        }
        self.scenario.faults.iter().find(|fault| {
            fault.address == address
                && !fault.kind.is_zone_data()
                && fault.name.as_ref().is_none_or(|name| *name == question.name)
                && fault.record_type.is_none_or(|record_type| record_type == question.record_type)
        })
    }

    fn upward_referral(&self) -> Answer {
        let root = Question { name: DomainName::root(), record_type: RecordType::Ns };
        let servers = self.world.zone_at(REGISTRY, &root.name).map(|served| served.zone.answer(&root));
        let authority = servers.map(|answer| answer.reply.answer).unwrap_or_default();
        Answer { reply: Reply { authority, ..Reply::default() }, additional: Vec::new() }
    }

    /// What a resolver answers: from what it remembers, else what it finds out from the root down.
    fn resolve(&self, resolver: IpAddr, question: &Question, checking_disabled: bool) -> Reply {
        let mut reply = Reply::default();
        let mut name = question.name.clone();
        for _ in 0..MAX_STEPS {
            let step = Question { name: name.clone(), record_type: question.record_type };
            let part = match self.cached(resolver, &step) {
                Some(cached) => self.remembered(cached),
                None => self.iterate(&step, 0),
            };
            let is_bogus = self.world.zone_of(&name).is_some_and(|served| served.dnssec == Dnssec::Bogus);
            if is_bogus && !checking_disabled {
                return bogus();
            }
            let Some(part) = part else { return Answer::rcode(Rcode::ServFail).reply };
            let Some(end) = end_of_chain(&part, &name, question.record_type) else {
                return Answer::rcode(Rcode::ServFail).reply;
            };
            let has_records =
                |record: &Record| record.owner == end && record.data.record_type() == question.record_type;
            let is_negative = part.authority.iter().any(|r| matches!(r.data, RecordData::Soa(_)));
            // A name server says how its own zone's end of a chain is; beyond that others have to be asked.
            let is_settled = end == name || is_negative || part.answer.iter().any(has_records);
            reply.answer.extend(part.answer);
            (reply.rcode, reply.authority) = (part.rcode, part.authority);
            if is_settled {
                return reply;
            }
            name = end;
        }
        Answer::rcode(Rcode::ServFail).reply
    }

    fn cached(&self, resolver: IpAddr, question: &Question) -> Option<&Cached> {
        self.scenario.cached.iter().find(|cached| {
            cached.resolver.is_none_or(|address| address == resolver)
                && cached.name == question.name
                && cached.record_type == question.record_type
        })
    }

    /// What a resolver remembers of the zone that a name is in.
    fn remembered_in(&self, resolver: IpAddr, name: &DomainName) -> Option<&Cached> {
        self.scenario.cached.iter().find(|cached| {
            cached.resolver.is_none_or(|address| address == resolver)
                && cached.negative_ttl > 0
                && self.same_zone(&cached.name, name)
        })
    }

    fn same_zone(&self, one: &DomainName, other: &DomainName) -> bool {
        let apex = |name| self.world.zone_of(name).map(|served| served.zone.apex.clone());
        apex(one) == apex(other)
    }

    /// `None` stands for SERVFAIL.
    fn remembered(&self, cached: &Cached) -> Option<Reply> {
        if cached.servfail {
            return None;
        }
        let answer = records(&cached.records, &DomainName::root());
        let zone = self.world.zone_of(&cached.name)?;
        let mut authority = Vec::new();
        if answer.is_empty() {
            authority.push(soa(&zone.zone.apex, cached.negative_ttl, 1));
        }
        Some(Reply { answer, authority, ..Reply::default() })
    }

    /// From the root down to an answer. `None` where no server of a zone gives a usable one.
    fn iterate(&self, question: &Question, depth: usize) -> Option<Reply> {
        let mut servers = vec![REGISTRY];
        let mut zone = DomainName::root();
        for _ in 0..MAX_STEPS {
            let asked = servers.iter().filter(|address| self.addresses.contains(address));
            let answers = asked.map(|&address| outcome_with_glue(self.react(address, question, false)));
            let below =
                |reply: &Reply| referral(reply).is_some_and(|cut| cut != zone && cut.is_at_or_below(&zone));
            let usable = |answer: &Answer| {
                matches!(answer.reply.rcode, Rcode::NoError | Rcode::NxDomain)
                    && (answer.reply.authoritative || below(&answer.reply))
            };
            let answer = answers.flatten().find(usable)?;
            if answer.reply.authoritative {
                return Some(scrubbed(answer.reply, question, &zone));
            }
            zone = referral(&answer.reply)?;
            servers = self.server_addresses(&answer, depth);
        }
        None
    }

    /// Where the servers of a referral listen: by its glue, else by looking them up.
    fn server_addresses(&self, answer: &Answer, depth: usize) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> =
            answer.additional.iter().filter_map(|record| address(&record.data)).collect();
        if !addresses.is_empty() || depth >= MAX_DEPTH {
            return addresses;
        }
        for record in &answer.reply.authority {
            let RecordData::Ns(host) = &record.data else { continue };
            for record_type in [RecordType::A, RecordType::Aaaa] {
                let question = Question { name: host.clone(), record_type };
                let reply = self.iterate(&question, depth + 1).unwrap_or_default();
                addresses.extend(reply.answer.iter().filter_map(|record| address(&record.data)));
            }
        }
        addresses
    }
}

/// What is left of a reaction on its way to a client such as ours.
fn outcome(reaction: Reaction) -> Outcome {
    if reaction.delay >= TOO_LATE {
        return Outcome::Failure(Failure::Timeout);
    }
    match reaction.fault {
        Some(FaultKind::Timeout | FaultKind::WrongId | FaultKind::WrongQuestion | FaultKind::Garbage) => {
            Outcome::Failure(Failure::Timeout)
        }
        Some(FaultKind::TruncatedTcpBlocked) => {
            Outcome::Failure(Failure::TruncatedWithoutTcp("connection refused".to_owned()))
        }
        Some(FaultKind::Malformed) => {
            Outcome::Failure(Failure::Malformed("a record is cut off or malformed".to_owned()))
        }
        _ => {
            let Answer { mut reply, additional } = reaction.answer;
            if !reply.authoritative {
                reply.additional = additional;
            }
            Outcome::Reply(reply)
        }
    }
}

/// What a resolver makes of a reaction: the answer, unless nothing comes of it.
fn outcome_with_glue(reaction: Reaction) -> Option<Answer> {
    let answer = reaction.answer.clone();
    matches!(outcome(reaction), Outcome::Reply(_)).then_some(answer)
}

/// Where the aliases of a reply lead to from a name. `None` where they go in a circle.
fn end_of_chain(reply: &Reply, name: &DomainName, record_type: RecordType) -> Option<DomainName> {
    let mut passed = vec![name];
    loop {
        let end = passed[passed.len() - 1];
        let next = reply.answer.iter().find_map(|record| match &record.data {
            RecordData::Cname(target) if record.owner == *end && record_type != RecordType::Cname => {
                Some(target)
            }
            _ => None,
        });
        match next {
            Some(target) if passed.contains(&target) => return None,
            Some(target) => passed.push(target),
            None => return Some(end.clone()),
        }
    }
}

/// The zone that a reply refers to.
fn referral(reply: &Reply) -> Option<DomainName> {
    let is_ns = |record: &&Record| matches!(record.data, RecordData::Ns(_));
    reply.authority.iter().find(is_ns).map(|record| record.owner.clone())
}

/// Resolvers hand on what belongs to the question and is in the zone that was asked for it, and nothing else
/// (RFC 2181 §5.4.1).
fn scrubbed(mut reply: Reply, question: &Question, zone: &DomainName) -> Reply {
    let mut name = question.name.clone();
    let mut kept = Vec::new();
    for record in std::mem::take(&mut reply.answer) {
        let is_dname = record.data.record_type() == RecordType::from_code(DNAME);
        let is_asked_for = record.owner == name || (is_dname && name.is_below(&record.owner));
        if !is_asked_for || !record.owner.is_at_or_below(zone) {
            continue;
        }
        if let RecordData::Cname(target) = &record.data
            && question.record_type != RecordType::Cname
        {
            name = target.clone();
        }
        kept.push(record);
    }
    Reply { answer: kept, authoritative: false, ..reply }
}

fn address(data: &RecordData) -> Option<IpAddr> {
    match data {
        RecordData::A(v4) => Some(IpAddr::V4(*v4)),
        RecordData::Aaaa(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

/// What nobody asked for.
fn foreign(question: &Question) -> Vec<Record> {
    let owner = DomainName::parse("victim.test").unwrap();
    let text = RecordData::Txt(TxtData::from_text("v=spf1 +all"));
    let alias = RecordData::Cname(question.name.clone());
    [text, alias].map(|data| Record { owner: owner.clone(), ttl: 3600, data }).to_vec()
}

/// A text at the target of an answer's last alias.
fn at_target(reply: &Reply) -> Option<Record> {
    let RecordData::Cname(target) = &reply.answer.last()?.data else { return None };
    let data = RecordData::Txt(TxtData::from_text("v=DKIM1; p="));
    Some(Record { owner: target.clone(), ttl: 3600, data })
}

fn bogus() -> Reply {
    let extended_error = Some(ExtendedError { code: 6, text: String::new() });
    Reply { rcode: Rcode::ServFail, extended_error, ..Reply::default() }
}
