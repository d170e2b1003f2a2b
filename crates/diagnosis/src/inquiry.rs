//! What to ask next: a pure function of the plan and of what was answered so far.
//!
//! `dns::observe` puts the asks that [`next`] returns, all at once, adds the outcomes to the observation and calls
//! again, until nothing is left to ask. So an observation is as many rounds deep as the longest chain of things
//! that have to be known first (resolver → zone → name servers → their addresses → each of them → look for what is
//! missing), not as deep as there are records. Scenario tests run the same function against zones in memory.
//!
//! Beside the records themselves it asks
//! - the servers of the parent zone whom they delegate the zone to, which need not be those that the zone names;
//! - what a resolver answered SERVFAIL once more with CD=1: data then means that DNSSEC is what is broken;
//! - names that nobody has made ([`crate::wildcard`]), where a wildcard could have given an answer;
//! - selectors that many have, where none is known ([`crate::well_known`]);
//! - names where a missing record may have gone ([`crate::slip`]).
//!
//! Everything that strangers' DNS can make us ask is bounded here: name servers a zone, addresses a server, asks
//! in all. Addresses that are not public are not asked unless the policy says so.

mod asked;
mod policy;

use crate::{
    checks,
    diagnose::{self, Judged},
    mail_policy,
    observation::{Ask, Exchange, Observation, Outcome, Question, Rcode, Server},
    plan::{Expected, Plan, PlannedRecord},
    readings::Readings,
    slip, spf_tree,
    sub_zone::{self, DS},
    view::{self, Fact, View},
    well_known,
    wildcard::{self, Origin},
};
use model::{DomainName, RecordType};
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
};

pub use crate::address::is_public;
pub use policy::{AddressFamily, Look, Policy};

use asked::{Asked, Done, digest_of};

/// An inquiry under way. What it has found out in one round is not found out again in the next.
pub struct Inquiry<'p> {
    plan: &'p Plan,
    policy: &'p Policy,
    /// What has been put so far.
    done: Done,
    /// Whether only resolvers were asked, in the usual way.
    only_resolvers: bool,
    /// Each record, as far as the resolvers' answers go.
    stages: Vec<Stage>,
    /// What resolvers said, as long as a record is judged by them alone.
    by_resolvers: View,
    /// What everyone said, once more than resolvers are asked.
    by_all: View,
    /// How many exchanges are in it.
    taken_by_all: usize,
}

/// How far a record is with [`Look::ResolversFirst`].
enum Stage {
    /// Resolvers have not said everything.
    Open,
    /// They have, and it is not judged yet.
    Answered,
    /// It is right by what they say.
    Right(Box<Judged>),
    /// It is not certainly right: everyone who can know is asked.
    Closer,
}

impl<'p> Inquiry<'p> {
    /// An inquiry in which nothing was asked yet.
    pub fn new(plan: &'p Plan, policy: &'p Policy) -> Self {
        Self::reading(plan, policy, &Arc::default())
    }

    /// The same, which keeps what texts were read as with others.
    pub fn reading(plan: &'p Plan, policy: &'p Policy, readings: &Arc<Readings>) -> Self {
        let stage = || match policy.look {
            // Only the servers of the zone above know of a delegation.
            Look::ResolversFirst if plan.delegation().is_some() => Stage::Closer,
            Look::Thorough => Stage::Closer,
            Look::ResolversFirst => Stage::Open,
        };
        let stages = plan.records.iter().map(|_| stage()).collect();
        Self {
            plan,
            policy,
            done: Done::default(),
            only_resolvers: true,
            stages,
            by_resolvers: View::reading(readings),
            by_all: View::reading(readings),
            taken_by_all: 0,
        }
    }

    /// The asks that are not answered yet and can be put now. Empty when the inquiry is over. The observation holds
    /// what it held at the last call and what has come since.
    pub fn next(&mut self, observation: &Observation) -> Vec<Ask> {
        let policy = self.policy;
        let with_found = match policy.look {
            Look::Thorough => well_known::with_found(self.plan, observation),
            Look::ResolversFirst => Cow::Borrowed(self.plan),
        };
        let plan = &*with_found;
        let new = observation.exchanges.get(self.done.len()..).unwrap_or_default();
        self.done.add(new);
        self.only_resolvers &= new.iter().all(|exchange| view::is_of_resolver(&exchange.ask));
        let room = policy.max_asks.saturating_sub(self.done.len());
        let (done, put) = (&self.done, &observation.exchanges);
        let mut wanted = Wanted { policy, done, put, order: Asked::default(), zones: Vec::new() };
        if self.stages.iter().any(|stage| matches!(stage, Stage::Open | Stage::Answered)) {
            // Apart from what is learned of name servers on the way: that must not end the way half through.
            self.by_resolvers.add(new.iter().filter(|exchange| view::is_of_resolver(&exchange.ask)));
            let view = &self.by_resolvers;
            for (record, stage) in plan.records.iter().zip(&mut self.stages) {
                if matches!(stage, Stage::Open) && wanted.at_resolvers(plan, view, record) {
                    *stage = Stage::Answered;
                }
            }
            // Judging costs the most: once, when all that resolvers are to say has been said.
            if wanted.order.asks.is_empty() {
                for (record, stage) in plan.records.iter().zip(&mut self.stages) {
                    if matches!(stage, Stage::Answered) {
                        let judged = diagnose::judge_record(plan, record, view);
                        *stage =
                            if judged.is_verified() { Stage::Right(Box::new(judged)) } else { Stage::Closer };
                    }
                }
            }
        }
        let is_closer =
            |index: usize| self.stages.get(index).is_none_or(|stage| matches!(stage, Stage::Closer));
        // What selectors were found at comes behind the plan's own records.
        let closer: Vec<&Arc<PlannedRecord>> = (plan.records.iter().enumerate())
            .filter_map(|(index, record)| is_closer(index).then_some(record))
            .collect();
        if !closer.is_empty() {
            self.by_all.add(observation.exchanges.get(self.taken_by_all..).unwrap_or_default());
            self.taken_by_all = observation.exchanges.len();
            wanted.thoroughly(plan, &self.by_all, &closer);
            if policy.look == Look::Thorough {
                wanted.try_selectors(plan);
            }
            wanted.unvalidated(observation);
        }
        let mut asks = wanted.order.asks;
        asks.truncate(room);
        asks
    }

    /// Whether more would have been asked, were it not for the bound.
    pub fn is_cut_short(&self, observation: &Observation) -> bool {
        if observation.exchanges.len() < self.policy.max_asks {
            return false;
        }
        let unbounded = Policy { max_asks: usize::MAX, ..self.policy.clone() };
        !Inquiry::new(self.plan, &unbounded).next(observation).is_empty()
    }

    /// What was found out on the way, for [`crate::diagnose_known`] not to find it out again.
    pub fn into_known(self, observation: &Observation) -> Known {
        let right = |stage| match stage {
            Stage::Right(judged) => Some(judged),
            _ => None,
        };
        // What name servers said would count as well.
        let is_all = self.only_resolvers && self.done.len() == observation.exchanges.len();
        let judged = is_all.then(|| self.stages.into_iter().map(right).collect()).flatten();
        let view = match &judged {
            Some(_) => self.by_resolvers,
            None if self.taken_by_all == observation.exchanges.len() => self.by_all,
            None => View::new(observation),
        };
        Known { view, judged }
    }
}

/// What an inquiry has found out on its way.
pub struct Known {
    /// All that was heard.
    pub(crate) view: View,
    /// The records as they were judged, where all of them are right and nothing more was asked since.
    #[expect(clippy::vec_box, reason = "they are large, and were boxed one by one")]
    pub(crate) judged: Option<Vec<Box<Judged>>>,
}

impl Known {
    /// What is known where an observation is all there is.
    pub fn of(observation: &Observation) -> Self {
        Self { view: View::new(observation), judged: None }
    }

    /// Whether the records are judged.
    pub fn is_judged(&self) -> bool {
        self.judged.is_some()
    }
}

/// The asks that are not answered yet and can be put now, found out anew. Empty when the inquiry is over.
pub fn next(plan: &Plan, observation: &Observation, policy: &Policy) -> Vec<Ask> {
    Inquiry::new(plan, policy).next(observation)
}

/// The questions that tell whether a planned record is there.
pub fn main_questions(record: &PlannedRecord) -> Vec<Question> {
    main_types(record).map(|record_type| Question { name: record.owner.clone(), record_type }).collect()
}

/// Their types: the record's own one first, and the one beside it.
pub fn main_types(record: &PlannedRecord) -> impl Iterator<Item = RecordType> + Clone {
    let own = record.expected.record_type();
    let beside = match &record.expected {
        // It shows a key that was pasted as TXT, a record beside the alias, and the key at its end.
        Expected::Cname { .. } => Some(RecordType::Txt),
        Expected::Address { .. } | Expected::Exact { .. } | Expected::Delegation { .. } => None,
        // Nothing may stand beside an alias, and servers that let it give one or the other by chance.
        _ => Some(RecordType::Cname),
    };
    std::iter::once(own).chain(beside)
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

fn dmarc_walk(plan: &Plan, view: &View) -> impl Iterator<Item = DomainName> + use<> {
    let names = view.policy_names(&plan.domain);
    (0..names.len()).filter_map(move |at| names[at].clone())
}

/// Every server of the zone that a name is in, as far as addresses are known: by IPv4 and by IPv6 each.
pub fn authorities(view: &View, name: &DomainName, policy: &Policy) -> Vec<Server> {
    view.zone_of(name).map(|zone| servers_of(view, &zone, policy)).unwrap_or_default()
}

fn servers_of(view: &View, zone: &DomainName, policy: &Policy) -> Vec<Server> {
    let names = view.name_servers(zone);
    names.iter().take(policy.max_name_servers).flat_map(|name| servers_at(view, zone, name, policy)).collect()
}

/// A name server at one address of each family, or at two of the only family it has.
fn servers_at(view: &View, zone: &DomainName, name: &DomainName, policy: &Policy) -> Vec<Server> {
    let may_be_asked =
        |address: &IpAddr| (policy.private_addresses || is_public(*address)) && policy.family.has(*address);
    let (mut chosen, mut others): (Vec<IpAddr>, Vec<IpAddr>) =
        view.addresses(name).into_iter().filter(may_be_asked).partition(IpAddr::is_ipv4);
    if !chosen.is_empty() && !others.is_empty() {
        chosen.truncate(1);
    }
    chosen.append(&mut others);
    let server = |address: IpAddr| Server::Authority {
        zone: zone.clone(),
        name: name.clone(),
        address: SocketAddr::new(address, policy.port_of(address)),
    };
    chosen.into_iter().take(2).map(server).collect()
}

/// The one server to put further questions to: a name server that has answered, else the first resolver. One is
/// enough to find out where something is not, and keeps the number of questions small.
fn prober(view: &View, record: &PlannedRecord, policy: &Policy) -> Option<Server> {
    let heard = main_questions(record)
        .into_iter()
        .flat_map(|question| view.heard(&question.name, question.record_type).to_vec());
    heard
        .filter(|heard| heard.is_certain() && matches!(heard.server(), Server::Authority { .. }))
        .map(|heard| heard.server().clone())
        .next()
        .or_else(|| policy.resolvers.first().map(|&address| Server::Resolver { address }))
}

/// Whether the record is a DKIM key's, at `<selector>._domainkey`.
pub fn is_selector(record: &PlannedRecord) -> bool {
    matches!(record.expected, Expected::Cname { .. } | Expected::Dkim { .. })
        && (record.owner.as_str().split_once('.'))
            .is_some_and(|(_, behind)| is_first_label(behind, "_domainkey"))
}

fn is_first_label(name: &str, label: &str) -> bool {
    name.strip_prefix(label).is_some_and(|behind| behind.is_empty() || behind.starts_with('.'))
}

/// What will have to be known of other names where the record is as planned: most are, and then nothing is left to ask
/// once this is answered. What lies outside of the domain is asked for once for all domains of a list.
fn foreseen(plan: &Plan, view: &View, record: &PlannedRecord) -> Vec<Question> {
    match &record.expected {
        Expected::Spf { rules: Some(rules) } => {
            let included = rules.split_ascii_whitespace().filter_map(|rule| rule.strip_prefix("include:"));
            // Names with macros are no names.
            let names = included.filter_map(|name| DomainName::parse(name).ok());
            names.map(|name| Question { name, record_type: RecordType::Txt }).collect()
        }
        Expected::Mx { exchange, .. } if !exchange.is_root() => {
            vec![Question { name: exchange.clone(), record_type: RecordType::A }]
        }
        _ if is_selector(record) => {
            unmade_names(plan, view, &record.owner, first_question(record).record_type)
        }
        _ => Vec::new(),
    }
}

/// What has to be known of other names before a record that is at its place counts as right.
fn needs(view: &View, record: &PlannedRecord) -> Vec<Question> {
    match &record.expected {
        Expected::Cname { .. } => {
            let of = |name: &DomainName, record_type| Question { name: name.clone(), record_type };
            let record_type = target_type(record);
            let mut needs = Vec::new();
            if let Some(target) = alias_target(view, record) {
                needs.push(of(target, record_type));
                if record_type == RecordType::A
                    && view.behind_alias(&record.owner, target, record_type).lacks_type()
                {
                    needs.push(of(target, RecordType::Aaaa));
                }
            }
            needs
        }
        Expected::Spf { .. } => spf_tree::open_questions(view, record),
        Expected::Mx { exchange, .. } if view.has_any(&record.owner, RecordType::Mx) => {
            let of = |record_type| Question { name: exchange.clone(), record_type };
            match view.fact(exchange, RecordType::A) {
                Fact::Agreed(says) if says.is_negative() => vec![of(RecordType::A), of(RecordType::Aaaa)],
                _ => vec![of(RecordType::A)],
            }
        }
        _ => Vec::new(),
    }
}

/// The planned target of an alias, where anyone sees it there.
fn alias_target<'r>(view: &View, record: &'r PlannedRecord) -> Option<&'r DomainName> {
    match &record.expected {
        Expected::Cname { target, .. } if view.has_alias_to(&record.owner, target) => Some(target),
        _ => None,
    }
}

/// What is looked for behind an alias: addresses where it is for the web, texts where it is for mail.
pub(crate) fn target_type(record: &PlannedRecord) -> RecordType {
    match &record.expected {
        Expected::Cname { dkim_key: None, .. } if is_for_the_web(record) => RecordType::A,
        _ => RecordType::Txt,
    }
}

fn is_for_the_web(record: &PlannedRecord) -> bool {
    matches!(record.purpose, model::Purpose::Tracking | model::Purpose::Other)
}

/// What is to be asked next.
struct Wanted<'a> {
    policy: &'a Policy,
    /// What was asked before.
    done: &'a Done,
    put: &'a [Arc<Exchange>],
    order: Asked,
    /// The zones whose servers were asked for in this round, with those that are known.
    zones: Vec<(DomainName, Rc<[Server]>)>,
}

impl Wanted<'_> {
    /// Asks the resolvers for one record and what it needs to be right. Whether all of that has its answers.
    fn at_resolvers(&mut self, plan: &Plan, view: &View, record: &PlannedRecord) -> bool {
        let first = first_question(record);
        if !view.is_answered(&first, self.policy, &[]) {
            self.resolvers(&first);
            for question in foreseen(plan, view, record) {
                self.resolvers(&question);
            }
            return false;
        }
        let mut open = needs(view, record);
        if let Expected::Cname { target, .. } = &record.expected {
            // A resolver's answer mostly shows the end of the alias.
            open.retain(|question| {
                view.behind_alias(&record.owner, target, question.record_type) == Fact::Unknown(Vec::new())
            });
        }
        if matches!(record.expected, Expected::Dmarc { .. }) && !view.has_any(&record.owner, RecordType::Txt)
        {
            open.extend(dmarc_walk(plan, view).map(|name| Question { name, record_type: RecordType::Txt }));
        }
        if is_selector(record) && view.has_any(&record.owner, first.record_type) {
            open.extend(unmade_names(plan, view, &record.owner, first.record_type));
        }
        open.retain(|question| !view.is_answered(question, self.policy, &[]));
        for question in &open {
            self.resolvers(question);
        }
        open.is_empty()
    }

    /// Asks everyone who can know about these records.
    fn thoroughly(&mut self, plan: &Plan, view: &View, records: &[&Arc<PlannedRecord>]) {
        let mut records = records;
        let in_zone: Vec<&Arc<PlannedRecord>>;
        if let Some((zone, name_servers)) = plan.delegation() {
            self.sub_zone(view, zone, &name_servers);
            for (question, server) in sub_zone::questions(plan, view, zone) {
                self.push(&question, server);
            }
            // What is in the zone is asked for once it is delegated.
            let is_open = view.delegated_to(zone).is_some();
            in_zone = records.iter().copied().filter(|record| record.hosted && is_open).collect();
            records = &in_zone;
        }
        // Many records are in one place, and asking the same again asks nothing more.
        let mut places: Vec<DomainName> = Vec::new();
        for record in records {
            let place = zone_question_name(record);
            if !places.contains(&place) {
                self.zone(view, &place);
                places.push(place);
            }
            for question in main_questions(record) {
                self.resolvers(&question);
            }
        }
        if !places.contains(&plan.domain) {
            self.zone(view, &plan.domain);
        }
        if records.iter().any(|record| matches!(record.expected, Expected::Dmarc { .. })) {
            for name in dmarc_walk(plan, view) {
                self.resolvers(&Question { name, record_type: RecordType::Txt });
            }
        }
        for record in records {
            if matches!(record.expected, Expected::Dmarc { .. })
                && !view.has_any(&record.owner, RecordType::Txt)
            {
                self.policies_above(plan, view, record);
            }
        }
        let mut absent = None;
        for record in records {
            if self.at_authorities(plan, view, record) {
                absent.get_or_insert(*record);
            }
        }
        if let Some(record) = absent {
            self.wildcards_above(plan, view, record);
        }
        if let (Some(zone), Some(&address)) = (view.zone_of(&plan.domain), self.policy.resolvers.first())
            && let Some(question) = domain_connect_question(&zone)
        {
            self.push(&question, Server::Resolver { address });
        }
        for question in mail_policy::questions(plan, view) {
            self.resolvers(&question);
        }
    }

    /// Asks the name servers themselves where resolvers know of no policy further up: a cache may not know it yet.
    fn policies_above(&mut self, plan: &Plan, view: &View, record: &PlannedRecord) {
        let Some(zone) = view.zone_of(&plan.domain) else { return };
        let may_hold_it = |name: &DomainName| *name != record.owner && name.is_at_or_below(&zone);
        for name in dmarc_walk(plan, view).filter(may_hold_it) {
            let question = Question { name, record_type: RecordType::Txt };
            let heard = view.heard(&question.name, question.record_type);
            if heard.iter().any(|heard| heard.says.is_negative()) {
                self.zone(view, &question.name);
                let servers = self.authorities(view, &question.name);
                self.all(&question, &servers);
            }
        }
    }

    /// Asks a record's name servers, what it needs to be right, and where it may have gone. Whether it is known not
    /// to be there.
    fn at_authorities(&mut self, plan: &Plan, view: &View, record: &Arc<PlannedRecord>) -> bool {
        let mut servers = self.authorities(view, &zone_question_name(record));
        if !plan.tried_selectors.is_empty() && is_selector(record) {
            let mut few = servers.to_vec();
            well_known::few_of(&mut few);
            servers = few.into();
        }
        let questions = main_questions(record);
        for question in &questions {
            self.all(question, &servers);
        }
        let needs = needs(view, record);
        for question in &needs {
            self.resolvers(question);
        }
        // Only when those questions have their answers is it known whether there is something to look for.
        if !questions.iter().all(|question| view.is_answered(question, self.policy, &servers))
            || !needs.iter().all(|question| view.is_answered(question, self.policy, &[]))
        {
            return false;
        }
        let disagree = |question: &Question| {
            matches!(view.fact(&question.name, question.record_type), Fact::Disagreed(_))
        };
        if questions.iter().any(disagree)
            && let Some(zone) = view.zone_of(&zone_question_name(record))
        {
            // A secondary that lags shows in its serial (RFC 1034 §4.3.5).
            self.all(&Question { name: zone, record_type: RecordType::Soa }, &servers);
        }
        let Some(prober) = prober(view, record, self.policy) else { return false };
        for question in probes(plan, view, record) {
            self.push(&question, prober.clone());
        }
        !view.has_any(&record.owner, questions[0].record_type)
            || wildcard::origin(view, &plan.domain, &record.owner, questions[0].record_type) != Origin::Own
    }

    /// Looks for a wildcard that answers for the sender domain now and will not any more once a record is at it or
    /// below it.
    fn wildcards_above(&mut self, plan: &Plan, view: &View, absent: &PlannedRecord) {
        let is_apex = view.zone_of(&plan.domain).is_none_or(|zone| zone == plan.domain);
        let (false, Some(prober)) = (is_apex, prober(view, absent, self.policy)) else { return };
        let Some(beside) = wildcard::beside(&plan.domain, &plan.domain) else { return };
        for record_type in SHADOWED {
            self.push(&Question { name: beside.clone(), record_type }, prober.clone());
            if view.has_any(&beside, record_type) {
                self.push(&Question { name: plan.domain.clone(), record_type }, prober.clone());
                for question in unmade_names(plan, view, &plan.domain, record_type) {
                    self.push(&question, prober.clone());
                }
            }
        }
    }

    /// Asks one resolver for keys under selectors that many have.
    fn try_selectors(&mut self, plan: &Plan) {
        let Some(&address) = self.policy.resolvers.first().filter(|_| !plan.tried_selectors.is_empty())
        else {
            return;
        };
        for question in well_known::questions(plan) {
            self.push(&question, Server::Resolver { address });
        }
    }

    /// Asks what a resolver answered SERVFAIL once more, without validation.
    fn unvalidated(&mut self, observation: &Observation) {
        for exchange in &observation.exchanges {
            let failed = matches!(&exchange.outcome, Outcome::Reply(reply) if reply.rcode == Rcode::ServFail);
            let ask = &exchange.ask;
            if failed && !ask.checking_disabled && matches!(ask.server, Server::Resolver { .. }) {
                self.put(Ask { checking_disabled: true, ..ask.clone() });
            }
        }
    }

    fn put(&mut self, ask: Ask) {
        let digest = digest_of(&ask);
        if !self.done.contains(self.put, &ask, digest) {
            self.order.insert(ask, digest);
        }
    }

    fn push(&mut self, question: &Question, server: Server) {
        self.put(Ask::new(question.clone(), server));
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

    /// Finds the zone of a name, its name servers and their addresses, a round each, and whom the parent delegates
    /// it to.
    fn zone(&mut self, view: &View, name: &DomainName) {
        for candidate in view.zone_candidates(name) {
            self.resolvers(&Question { name: candidate, record_type: RecordType::Soa });
        }
        let Some(zone) = view.zone_of(name) else { return };
        if self.zones.iter().any(|(known, _)| *known == zone) {
            return;
        }
        let question = Question { name: zone.clone(), record_type: RecordType::Ns };
        self.resolvers(&question);
        for server in view.name_servers(&zone).into_iter().take(self.policy.max_name_servers) {
            self.addresses(&server);
        }
        let servers: Rc<[Server]> = servers_of(view, &zone, self.policy).into();
        self.all(&question, &servers);
        self.zones.push((zone, servers));
        self.delegation(view, &question);
    }

    /// As [`authorities`].
    fn authorities(&self, view: &View, name: &DomainName) -> Rc<[Server]> {
        let Some(zone) = view.zone_of(name) else { return Rc::new([]) };
        match self.zones.iter().find(|(known, _)| *known == zone) {
            Some((_, servers)) => Rc::clone(servers),
            None => servers_of(view, &zone, self.policy).into(),
        }
    }

    /// Asks the servers of the parent zone for the NS records of a zone.
    fn delegation(&mut self, view: &View, question: &Question) {
        for candidate in view.parent_candidates(&question.name) {
            self.resolvers(&Question { name: candidate, record_type: RecordType::Soa });
        }
        let Some(parent) = view.parent_zone(&question.name) else { return };
        self.resolvers(&Question { name: parent.clone(), record_type: RecordType::Ns });
        for name in view.name_servers(&parent).iter().take(PARENT_SERVERS) {
            self.addresses(name);
            let servers = servers_at(view, &parent, name, self.policy);
            self.all(question, servers.get(..1).unwrap_or_default());
        }
    }

    /// Asks all servers of the zone above what they say of a zone that is to be delegated to us, and ours whether they
    /// answer for it.
    fn sub_zone(&mut self, view: &View, zone: &DomainName, ours: &[&DomainName]) {
        let of = |name: &DomainName, record_type| Question { name: name.clone(), record_type };
        for candidate in view.parent_candidates(zone) {
            self.resolvers(&of(&candidate, RecordType::Soa));
        }
        if let Some(parent) = view.parent_zone(zone) {
            self.resolvers(&of(&parent, RecordType::Ns));
            for name in view.name_servers(&parent).iter().take(self.policy.max_name_servers) {
                self.addresses(name);
                let servers = servers_at(view, &parent, name, self.policy);
                for record_type in [RecordType::Ns, DS] {
                    self.all(&of(zone, record_type), servers.get(..1).unwrap_or_default());
                }
            }
        }
        for name in ours.iter().take(self.policy.max_name_servers) {
            self.addresses(name);
            self.all(&of(zone, RecordType::Ns), &servers_at(view, zone, name, self.policy));
        }
    }

    fn addresses(&mut self, host: &DomainName) {
        for record_type in [RecordType::A, RecordType::Aaaa] {
            self.resolvers(&Question { name: host.clone(), record_type });
        }
    }
}

/// How many servers of the parent zone are asked whom it delegates to: one may be down.
const PARENT_SERVERS: usize = 2;

/// What people notice when a wildcard does not answer any more: the website and the mail.
pub const SHADOWED: [RecordType; 2] = [RecordType::A, RecordType::Mx];

/// The question by which a DNS host says that it speaks Domain Connect, and which one it is.
pub fn domain_connect_question(zone: &DomainName) -> Option<Question> {
    let name = zone.prepend("_domainconnect").ok()?;
    Some(Question { name, record_type: RecordType::Txt })
}

/// The name beside a name that nobody has made, and the one below where a wildcard answers the same beside it.
fn unmade_names(plan: &Plan, view: &View, name: &DomainName, record_type: RecordType) -> Vec<Question> {
    if view.zone_of(name).as_ref() == Some(name) {
        return Vec::new();
    }
    let Some(beside) = wildcard::beside_in(view, &plan.domain, name) else { return Vec::new() };
    let is_covered = wildcard::is_covered_by(view, name, &beside, record_type);
    let below = is_covered.then(|| wildcard::below(&plan.domain, name)).flatten();
    std::iter::once(beside).chain(below).map(|name| Question { name, record_type }).collect()
}

fn has_spf_record(view: &View, owner: &DomainName) -> bool {
    let texts = view.heard(owner, RecordType::Txt).iter().flat_map(|heard| checks::texts_of(&heard.says));
    texts.into_iter().any(|text| mail::spf::is_spf_record(&text))
}

/// Questions that are only put when a record is not certainly where it should be, or a wildcard may have given it.
fn probes(plan: &Plan, view: &View, record: &Arc<PlannedRecord>) -> Vec<Question> {
    let record_type = record.expected.record_type();
    let owner = &record.owner;
    let of = |record_type| Question { name: owner.clone(), record_type };
    let mut questions = Vec::new();
    let is_there = view.has_any(owner, record_type);
    let is_open = !is_there || is_selector(record) || !diagnose::is_verified(plan, record, view);
    if is_there && is_open {
        questions.extend(unmade_names(plan, view, owner, record_type));
    }
    let is_alias = || view.has_any(owner, RecordType::Cname);
    if is_open
        && matches!(record.expected, Expected::Spf { .. })
        && !is_alias()
        && !has_spf_record(view, owner)
    {
        questions.push(of(RecordType::SPF));
    }
    if is_there && wildcard::origin(view, &plan.domain, owner, record_type) != Origin::Wildcard {
        return questions;
    }
    match record_type {
        RecordType::Cname => {
            questions.extend([RecordType::A, RecordType::Aaaa].map(of));
            for other in [RecordType::A, RecordType::Aaaa, RecordType::Txt] {
                if view.has_any(owner, other) {
                    questions.extend(unmade_names(plan, view, owner, other));
                }
            }
        }
        RecordType::Txt => {}
        _ => questions.push(of(RecordType::Txt)),
    }
    if let Some(zone) = view.zone_of(&zone_question_name(record)) {
        for (slip, name) in view.slips(&plan.domain, owner, &zone).iter() {
            if slip::is_telling(record, &plan.domain, *slip) {
                if *name != zone && view.has_any(name, record_type) {
                    // A wildcard may have given it.
                    let beside = wildcard::beside_in(view, &plan.domain, name);
                    questions.extend(beside.map(|name| Question { name, record_type }));
                }
                questions.push(Question { name: name.clone(), record_type });
            }
        }
    }
    questions
}
