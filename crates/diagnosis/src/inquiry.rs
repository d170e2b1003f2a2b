//! What to ask next: a pure function of the plan and of what was answered so far.
//!
//! `dns::observe` puts the asks that [`next`] returns, all at once, adds the outcomes to the observation and calls
//! again, until nothing is left to ask. So an observation is as many rounds deep as the longest chain of things
//! that have to be known first (resolver → zone → name servers → their addresses → each of them → look for what is
//! missing), not as deep as there are records. Scenario tests run the same function against zones in memory.
//!
//! Everything that strangers' DNS can make us ask is bounded here: name servers a zone, addresses a server, asks
//! in all. Addresses that are not public are not asked unless the policy says so.

use crate::{
    diagnose, mail_policy,
    observation::{Ask, Observation, Question, Server},
    plan::{Expected, Plan, PlannedRecord},
    spf_tree,
    view::{Fact, View},
};
use model::{DomainName, RecordData, RecordType};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

/// How much is asked of a domain whose records are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// Everyone who can know: resolvers and every name server of every zone.
    #[default]
    Thorough,
    /// The resolvers first, one question a record; only for records that are not certainly right by what they say
    /// does the inquiry go on as [`Look::Thorough`] does. For many domains at once, most of them good.
    ///
    /// What cannot be seen this way: name servers at fault that resolvers work around, and an alias beside a record
    /// that resolvers still find; whether other organizations take DMARC reports, how domains that differ align, and
    /// CAA. The report names no zone where nothing was wrong.
    ResolversFirst,
}

/// Whom to ask and how far to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The recursive resolvers, the first one preferred.
    pub resolvers: Vec<SocketAddr>,
    /// The port of name servers on loopback; all others are asked at port 53.
    pub loopback_port: u16,
    /// Whether name servers at private and loopback addresses are asked: only in development, since a stranger's
    /// NS record could name any address of the operator's network.
    pub private_addresses: bool,
    /// How many name servers of one zone are asked.
    pub max_name_servers: usize,
    /// How many questions are put in all.
    pub max_asks: usize,
    /// How much is asked of records that are right.
    #[serde(default)]
    pub look: Look,
}

impl Policy {
    /// The usual policy for these resolvers. A resolver on loopback at another port than 53 is a development
    /// instance: name servers on loopback are then asked too, at that port. (At port 53 it is this machine's usual
    /// forwarder, and strangers' name servers have no business on our loopback.)
    pub fn for_resolvers(resolvers: Vec<SocketAddr>) -> Self {
        let is_local = |address: &&SocketAddr| address.ip().is_loopback() && address.port() != 53;
        let local = resolvers.first().filter(is_local).copied();
        Self {
            loopback_port: local.map_or(53, |address| address.port()),
            private_addresses: local.is_some(),
            resolvers,
            max_name_servers: 8,
            max_asks: 600,
            look: Look::Thorough,
        }
    }
}

impl Policy {
    /// The port at which a name server listens.
    fn port_of(&self, address: IpAddr) -> u16 {
        if address.is_loopback() { self.loopback_port } else { 53 }
    }
}

/// The asks that are not answered yet and can be put now. Empty when the inquiry is over.
pub fn next(plan: &Plan, observation: &Observation, policy: &Policy) -> Vec<Ask> {
    let done: BTreeSet<&Ask> = observation.exchanges.iter().map(|exchange| &exchange.ask).collect();
    let room = policy.max_asks.saturating_sub(done.len());
    let mut wanted = Wanted { policy, asks: BTreeSet::new(), order: Vec::new() };
    let view = View::new(observation);
    let records: Vec<&PlannedRecord> = match policy.look {
        Look::Thorough => plan.records.iter().collect(),
        Look::ResolversFirst => {
            plan.records.iter().filter(|record| wanted.at_resolvers(plan, &view, record)).collect()
        }
    };
    if !records.is_empty() {
        wanted.thoroughly(plan, &view, &records);
    }
    wanted.order.into_iter().filter(|ask| !done.contains(ask)).take(room).collect()
}

/// Whether more would have been asked, were it not for the bound.
pub fn is_cut_short(plan: &Plan, observation: &Observation, policy: &Policy) -> bool {
    let unbounded = Policy { max_asks: usize::MAX, ..policy.clone() };
    observation.exchanges.len() >= policy.max_asks && !next(plan, observation, &unbounded).is_empty()
}

/// The questions that tell whether a planned record is there.
pub fn main_questions(record: &PlannedRecord) -> Vec<Question> {
    let of = |record_type| Question { name: record.owner.clone(), record_type };
    match &record.expected {
        // TXT too: it shows a key that was pasted as TXT, a record beside the alias, and the key at its end.
        Expected::Cname { .. } => vec![of(RecordType::Cname), of(RecordType::Txt)],
        Expected::Dkim { .. } => vec![of(RecordType::Txt), of(RecordType::Cname)],
        // CNAME too: nothing may stand beside one, and servers that let it give one or the other by chance.
        Expected::Spf { .. } | Expected::Dmarc { .. } | Expected::Txt { .. } => {
            vec![of(RecordType::Txt), of(RecordType::Cname)]
        }
        Expected::Mx { .. } => vec![of(RecordType::Mx), of(RecordType::Cname)],
        Expected::Address { data } | Expected::Exact { data } => vec![of(data.record_type())],
    }
}

/// The one question whose answer from a resolver shows most of a planned record: for an alias to a key, the key's
/// type, since a resolver answers with alias and key.
fn first_question(record: &PlannedRecord) -> Question {
    let record_type = match &record.expected {
        Expected::Cname { .. } => target_type(record),
        other => other.record_type(),
    };
    Question { name: record.owner.clone(), record_type }
}

/// The name whose zone a record is in. Selectors share `_domainkey`, which may be a zone of its own, and so may
/// `_dmarc` or the bounce host: the cut is looked for from the record's own name.
pub fn zone_question_name(record: &PlannedRecord) -> DomainName {
    let aliases = matches!(record.expected, Expected::Cname { .. } | Expected::Dkim { .. });
    if aliases && let Some(parent) = record.owner.parent() {
        return parent;
    }
    record.owner.clone()
}

/// Where a record may have gone when it is not at its name.
pub fn misplacements(domain: &DomainName, owner: &DomainName, zone: &DomainName) -> Vec<DomainName> {
    let mut names = Vec::new();
    let mut push = |name: Option<DomainName>| {
        if let Some(name) = name.filter(|name| name != owner && !names.contains(name)) {
            names.push(name);
        }
    };
    // The panel appended the zone to a full name.
    push(zone.prepend(owner.as_str()).ok());
    let within_domain = owner.relative_to(domain);
    if let Some(host) = within_domain.as_deref().filter(|host| *host != "@") {
        // The subdomain was left out: the record stands as if the zone's apex were the sender domain.
        push(zone.prepend(host).ok());
        // The sender domain was appended to its own name: mail.mail.example.com.
        if let Some(sub) = domain.relative_to(zone).filter(|sub| sub != "@") {
            push(domain.prepend(&sub).and_then(|name| name.prepend(host)).ok());
        }
    } else if domain != zone {
        push(Some(zone.clone()));
    }
    names
}

fn dmarc_walk(plan: &Plan) -> Vec<DomainName> {
    mail::dmarc::tree_walk_names(&plan.domain).iter().filter_map(|name| name.prepend("_dmarc").ok()).collect()
}

/// Every server of the zone that a name is in, as far as addresses are known.
pub fn authorities(view: &View<'_>, name: &DomainName, policy: &Policy) -> Vec<Server> {
    let Some(zone) = view.zone_of(name) else { return Vec::new() };
    let mut servers = Vec::new();
    for server_name in view.name_servers(&zone).into_iter().take(policy.max_name_servers) {
        for address in view.addresses(&server_name).into_iter().take(2) {
            if policy.private_addresses || is_public(address) {
                servers.push(Server::Authority {
                    zone: zone.clone(),
                    name: server_name.clone(),
                    address: SocketAddr::new(address, policy.port_of(address)),
                });
            }
        }
    }
    servers
}

fn alias_targets(view: &View<'_>, record: &PlannedRecord) -> Vec<DomainName> {
    match &record.expected {
        Expected::Cname { target, .. } if view.aliases(&record.owner).contains(target) => {
            vec![target.clone()]
        }
        _ => Vec::new(),
    }
}

fn target_type(record: &PlannedRecord) -> RecordType {
    match &record.expected {
        Expected::Cname { dkim_key: None, .. } if is_for_the_web(record) => RecordType::A,
        _ => RecordType::Txt,
    }
}

/// Aliases for the web have addresses at their end, those for mail have texts.
fn is_for_the_web(record: &PlannedRecord) -> bool {
    matches!(record.purpose, model::Purpose::Tracking | model::Purpose::Other)
}

/// Questions that are only put when a record is not where it should be.
fn probes(plan: &Plan, view: &View<'_>, record: &PlannedRecord) -> Vec<Question> {
    let record_type = record.expected.record_type();
    if view.has_any(&record.owner, record_type) {
        return Vec::new();
    }
    let mut questions = Vec::new();
    if record_type == RecordType::Cname {
        for other in [RecordType::A, RecordType::Aaaa] {
            questions.push(Question { name: record.owner.clone(), record_type: other });
        }
    } else if record_type != RecordType::Txt {
        questions.push(Question { name: record.owner.clone(), record_type: RecordType::Txt });
    }
    if let Some(zone) = view.zone_of(&zone_question_name(record)) {
        for name in misplacements(&plan.domain, &record.owner, &zone) {
            questions.push(Question { name, record_type });
        }
    }
    questions
}

struct Wanted<'a> {
    policy: &'a Policy,
    asks: BTreeSet<Ask>,
    order: Vec<Ask>,
}

impl Wanted<'_> {
    /// Asks the resolvers for one record and what it needs to be right. Whether that is not enough: the answers are
    /// all there, and the record is not certainly right.
    fn at_resolvers(&mut self, plan: &Plan, view: &View<'_>, record: &PlannedRecord) -> bool {
        let first = first_question(record);
        if !view.is_answered(&first, self.policy, &[]) {
            self.resolvers(&first);
            return false;
        }
        let mut open = Vec::new();
        for target in alias_targets(view, record) {
            let record_type = target_type(record);
            if view.behind_alias(&record.owner, &target, record_type) == Fact::Unknown(Vec::new()) {
                open.push(Question { name: target, record_type });
            }
        }
        open.extend(spf_tree::open_questions(view, record));
        if matches!(record.expected, Expected::Dmarc { .. }) && !view.has_any(&record.owner, RecordType::Txt)
        {
            let walk = dmarc_walk(plan).into_iter();
            open.extend(walk.map(|name| Question { name, record_type: RecordType::Txt }));
        }
        open.retain(|question| !view.is_answered(question, self.policy, &[]));
        for question in &open {
            self.resolvers(question);
        }
        open.is_empty() && !diagnose::is_verified(plan, record, view)
    }

    /// Asks everyone who can know about these records.
    fn thoroughly(&mut self, plan: &Plan, view: &View<'_>, records: &[&PlannedRecord]) {
        for record in records {
            self.zone(view, &zone_question_name(record));
            for question in main_questions(record) {
                self.resolvers(&question);
            }
        }
        self.zone(view, &plan.domain);
        if records.iter().any(|record| matches!(record.expected, Expected::Dmarc { .. })) {
            for name in dmarc_walk(plan) {
                self.resolvers(&Question { name, record_type: RecordType::Txt });
            }
        }
        for record in records {
            self.at_authorities(plan, view, record);
        }
        for question in mail_policy::questions(plan, view) {
            self.resolvers(&question);
        }
    }

    /// Asks a record's name servers, what it needs to be right, and where it may have gone.
    fn at_authorities(&mut self, plan: &Plan, view: &View<'_>, record: &PlannedRecord) {
        let servers = authorities(view, &zone_question_name(record), self.policy);
        for question in main_questions(record) {
            self.all(&question, &servers);
        }
        for target in alias_targets(view, record) {
            self.resolvers(&Question { name: target, record_type: target_type(record) });
        }
        for question in spf_tree::open_questions(view, record) {
            self.resolvers(&question);
        }
        // Only when those questions have their answers is it known whether there is something to look for.
        if main_questions(record).iter().all(|question| view.is_answered(question, self.policy, &servers)) {
            for question in probes(plan, view, record) {
                self.resolvers(&question);
                self.all(&question, servers.get(..1).unwrap_or_default());
            }
        }
    }

    fn push(&mut self, question: &Question, server: Server) {
        let ask = Ask::new(question.clone(), server);
        if self.asks.insert(ask.clone()) {
            self.order.push(ask);
        }
    }

    fn resolvers(&mut self, question: &Question) {
        for &address in &self.policy.resolvers {
            self.push(question, Server::Resolver { address });
        }
    }

    fn all(&mut self, question: &Question, servers: &[Server]) {
        for server in servers {
            self.push(question, server.clone());
        }
    }

    /// Finds the zone of a name, its name servers and their addresses, a round each.
    fn zone(&mut self, view: &View<'_>, name: &DomainName) {
        for candidate in view.zone_candidates(name) {
            self.resolvers(&Question { name: candidate, record_type: RecordType::Soa });
        }
        let Some(zone) = view.zone_of(name) else { return };
        self.resolvers(&Question { name: zone.clone(), record_type: RecordType::Ns });
        for server in view.name_servers(&zone).into_iter().take(self.policy.max_name_servers) {
            for record_type in [RecordType::A, RecordType::Aaaa] {
                self.resolvers(&Question { name: server.clone(), record_type });
            }
        }
    }
}

/// Whether an address may be asked on behalf of a stranger: not private, loopback, link-local or otherwise special
/// (RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(v4));
            }
            // 2000::/3 is all that is global unicast; documentation, 6to4 and Teredo embed or stand for others.
            (segments[0] & 0xe000) == 0x2000
                && !(segments[0] == 0x2001 && (segments[1] == 0xdb8 || segments[1] == 0))
                && segments[0] != 0x2002
        }
    }
}

/// The records of a name server's addresses, out of answers of either family.
pub(crate) fn address_of(data: &RecordData) -> Option<IpAddr> {
    match data {
        RecordData::A(v4) => Some(IpAddr::V4(*v4)),
        RecordData::Aaaa(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
