//! An observation read as facts: what is at a name, who says so, and how sure that is.

use crate::{
    address::address_of,
    checks,
    inquiry::Policy,
    observation::{Ask, ChainEnd, Exchange, Observation, Outcome, Question, Rcode, Reply, Says, Server},
    readings::Readings,
    slip::{self, Slip},
    spf_tree::{self, SpfTree},
    sub_zone::Above,
    wildcard,
};
use mail::dmarc::{DmarcReading, PublicSuffix};
use model::{DomainName, Record, RecordData, RecordType};
use std::{borrow::Cow, cell::RefCell, net::IpAddr, ops::Range, sync::Arc};

/// An index over an observation. The order in which the exchanges were kept makes no difference to it.
///
/// It grows with the observation ([`View::add`]), so that each answer is read once however many rounds there are.
#[derive(Default)]
pub struct View {
    /// Usual exchanges.
    heard: ByQuestion,
    /// What resolvers handed out with validation switched off.
    unvalidated: ByQuestion,
    /// What the servers of a parent zone said about delegations, by question, then by server.
    referrals: Vec<Arc<Exchange>>,
    /// The zones that names were found to be in, since each check asks again.
    zones: RefCell<Vec<(DomainName, Option<DomainName>)>>,
    /// The name that nobody has made below the last name that one was wanted of, and the sender domain that it was
    /// wanted for.
    unmade: RefCell<Option<Unmade>>,
    /// The `_dmarc` names of the walk up from domains, in order; nothing where one would be too long.
    policy_names: RefCell<Vec<(DomainName, PolicyNames)>>,
    /// Where records may have gone.
    slips: RefCell<Vec<KnownSlips>>,
    /// The DMARC policy that was looked for last, and the domain that it was looked for.
    dmarc: RefCell<Option<(DomainName, Arc<Discovered>)>>,
    /// The trees of SPF records, each with whose it is: counted once for all who ask.
    spf: RefCell<Vec<(DomainName, Arc<SpfTree>)>>,
    /// What texts were read as, maybe for other domains.
    readings: Arc<Readings>,
}

/// The DMARC policy that holds for a domain; nothing where more has to be asked first.
pub type Discovered = Option<mail::dmarc::Discovery>;

/// Where the policies of a walk are (RFC 9989 §4.10).
pub type PolicyNames = Arc<[Option<DomainName>]>;

/// Names where a record may have gone.
type Slips = Vec<(Slip, DomainName)>;

/// Where a record of a domain in a zone may have gone.
struct KnownSlips {
    domain: DomainName,
    owner: DomainName,
    zone: DomainName,
    slips: Arc<Slips>,
}

/// A name that nobody has made.
struct Unmade {
    domain: DomainName,
    parent: DomainName,
    name: DomainName,
}

/// An exchange and what it says.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The exchange.
    pub exchange: Arc<Exchange>,
    /// What it says.
    pub says: Says,
    /// Whether it has run out ([`Exchange::is_stale`]).
    pub is_stale: bool,
    /// Of its question.
    digest: u64,
}

/// What is at a name for one type, all perspectives taken together.
///
/// What a zone's own name servers say counts; resolvers are listened to only where no name server said anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'v> {
    /// Everyone who knows says the same, but for how long it may be cached; an alias with as much of its end as
    /// anybody shows.
    Agreed(&'v Says),
    /// The name servers say different things.
    Disagreed(Vec<(&'v Server, &'v Says)>),
    /// Nobody says anything certain that has not run out (RFC 8767), and what has is the same everywhere. It was
    /// there; that it still is, or that nothing else is, it does not prove.
    Stale(&'v Says),
    /// Nobody said anything certain: each server and its reason.
    Unknown(Vec<String>),
}

impl<'v> Fact<'v> {
    /// What everyone says who says anything, be it that it has run out.
    pub fn says(&self) -> Option<&'v Says> {
        match self {
            Self::Agreed(says) | Self::Stale(says) => Some(says),
            Self::Disagreed(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether the name is known to exist, or to lead to one that does, without the type.
    pub fn lacks_type(&self) -> bool {
        matches!(self, Self::Agreed(Says::NoData(_) | Says::Alias { end: ChainEnd::NoData, .. }))
    }
}

impl Heard {
    fn new(exchange: &Arc<Exchange>) -> Self {
        Self {
            exchange: Arc::clone(exchange),
            says: exchange.says(),
            is_stale: exchange.is_stale(),
            digest: digest(&exchange.ask.question.name, exchange.ask.question.record_type),
        }
    }

    /// How much it counts beside what else was heard.
    fn weight(&self) -> Weight {
        match self.server() {
            _ if !self.is_certain() => Weight::Nothing,
            _ if self.is_stale => Weight::Stale,
            Server::Resolver { .. } => Weight::Resolver,
            Server::Authority { .. } => Weight::Authority,
        }
    }

    /// The server that was asked.
    pub fn server(&self) -> &Server {
        &self.exchange.ask.server
    }

    /// Whether it says anything.
    pub fn is_certain(&self) -> bool {
        !matches!(self.says, Says::Nothing(_) | Says::Lame(_))
    }
}

impl View {
    /// An index over nothing yet, which keeps what texts were read as with others.
    pub fn reading(readings: &Arc<Readings>) -> Self {
        Self {
            heard: ByQuestion::default(),
            unvalidated: ByQuestion::default(),
            referrals: Vec::new(),
            zones: RefCell::default(),
            unmade: RefCell::default(),
            policy_names: RefCell::default(),
            slips: RefCell::default(),
            dmarc: RefCell::default(),
            spf: RefCell::default(),
            readings: Arc::clone(readings),
        }
    }

    /// What texts were read as.
    pub fn readings(&self) -> &Arc<Readings> {
        &self.readings
    }

    /// Indexes an observation.
    pub fn new(observation: &Observation) -> Self {
        let mut view = Self::default();
        view.add(&observation.exchanges);
        view
    }

    /// Adds what was heard since. What was made of less is forgotten, where more may change it.
    pub fn add<'e>(&mut self, exchanges: impl IntoIterator<Item = &'e Arc<Exchange>>) {
        let exchanges = exchanges.into_iter();
        let before = self.heard.all.len();
        self.heard.all.reserve(exchanges.size_hint().0);
        let mut others = false;
        for exchange in exchanges {
            if is_about_delegation(&exchange.ask) {
                self.referrals.push(Arc::clone(exchange));
                others = true;
            } else if exchange.ask.checking_disabled {
                self.unvalidated.all.push(Heard::new(exchange));
                others = true;
            } else {
                self.heard.all.push(Heard::new(exchange));
            }
        }
        if others {
            self.referrals.sort_by(|a, b| a.ask.cmp(&b.ask));
            self.unvalidated.sort();
        }
        let new = self.heard.all.get(before..).unwrap_or_default();
        self.spf
            .get_mut()
            .retain(|(_, tree)| !new.iter().any(|heard| tree.depends_on(&heard.exchange.ask.question)));
        let is_of_dmarc = |question: &Question| {
            // [`checks::dmarc_answer`]
            question.record_type == RecordType::Soa || question.name.as_str().starts_with("_dmarc")
        };
        if new.iter().any(|heard| is_of_dmarc(&heard.exchange.ask.question)) {
            *self.dmarc.get_mut() = None;
        }
        self.zones.get_mut().clear();
        self.heard.sort();
    }

    /// Whether any name server was asked.
    pub fn has_authorities(&self) -> bool {
        self.heard.has_authorities
    }

    /// Everything that was heard, resolvers with validation switched off and parents' referrals apart; question by
    /// question, those in no order that means anything.
    pub fn all(&self) -> &[Heard] {
        &self.heard.all
    }

    /// All exchanges for a question.
    pub fn exchanges(&self, name: &DomainName, record_type: RecordType) -> Vec<&Exchange> {
        self.heard(name, record_type).iter().map(|heard| &*heard.exchange).collect()
    }

    /// All that was heard for a question.
    pub fn heard(&self, name: &DomainName, record_type: RecordType) -> &[Heard] {
        self.heard.of(name, record_type)
    }

    fn says(&self, name: &DomainName, record_type: RecordType) -> impl Iterator<Item = &Says> {
        self.heard(name, record_type).iter().map(|heard| &heard.says)
    }

    /// Whether a question was put to anyone.
    pub fn was_asked(&self, name: &DomainName, record_type: RecordType) -> bool {
        !self.heard(name, record_type).is_empty()
    }

    /// What is at a name for one type.
    pub fn fact(&self, name: &DomainName, record_type: RecordType) -> Fact<'_> {
        let all = self.heard(name, record_type);
        if let [only] = all {
            return match only.weight() {
                Weight::Nothing => Fact::Unknown(reasons(all)),
                Weight::Stale => Fact::Stale(&only.says),
                Weight::Resolver | Weight::Authority => Fact::Agreed(&only.says),
            };
        }
        let most = all.iter().map(Heard::weight).max().unwrap_or(Weight::Nothing);
        let certain = || all.iter().filter(|heard| heard.weight() == most);
        let Some(first) = certain().next().filter(|_| most > Weight::Nothing) else {
            return Fact::Unknown(reasons(all));
        };
        let is_stale = most == Weight::Stale;
        match certain().all(|heard| is_same(&heard.says, &first.says)) {
            true if is_stale => Fact::Stale(with_end(all, &first.says, is_stale)),
            true => Fact::Agreed(with_end(all, &first.says, is_stale)),
            false if is_stale => Fact::Unknown(reasons(all)),
            false => Fact::Disagreed(
                certain().map(|heard| (heard.server(), with_end(all, &heard.says, is_stale))).collect(),
            ),
        }
    }

    /// What is at the target of an alias: by what was asked for there, else by the answers to the same question at
    /// the alias that show its end.
    pub fn behind_alias(&self, owner: &DomainName, target: &DomainName, record_type: RecordType) -> Fact<'_> {
        if self.was_asked(target, record_type) {
            return self.fact(target, record_type);
        }
        for is_stale in [false, true] {
            let heard = self.heard(owner, record_type).iter().filter(|heard| heard.is_stale == is_stale);
            let mut ends = heard.filter_map(|heard| match &heard.says {
                says @ Says::Alias { target: found, at_end, .. } if found == target && !at_end.is_empty() => {
                    Some((says, at_end))
                }
                _ => None,
            });
            match ends.next() {
                Some((_, end)) if !ends.all(|(_, other)| other == end) => break,
                Some((first, _)) if is_stale => return Fact::Stale(first),
                Some((first, _)) => return Fact::Agreed(first),
                None => {}
            }
        }
        Fact::Unknown(Vec::new())
    }

    /// A name below `parent` that nobody has made: selectors share theirs, and it is asked for again and again.
    pub fn unmade_below(&self, domain: &DomainName, parent: &DomainName) -> Option<DomainName> {
        if let Some(known) = &*self.unmade.borrow()
            && known.parent == *parent
            && known.domain == *domain
        {
            return Some(known.name.clone());
        }
        let name = wildcard::below(domain, parent)?;
        let unmade = Unmade { domain: domain.clone(), parent: parent.clone(), name: name.clone() };
        *self.unmade.borrow_mut() = Some(unmade);
        Some(name)
    }

    /// An SPF record at a name with all that it leads to, as far as was asked.
    pub fn spf_tree(&self, name: &DomainName, record: &str) -> Arc<SpfTree> {
        let known =
            self.spf.borrow().iter().find(|(at, tree)| at == name && tree.record() == record).cloned();
        if let Some((_, tree)) = known {
            return tree;
        }
        let tree = Arc::new(spf_tree::of_record(self, name, record));
        let mut trees = self.spf.borrow_mut();
        if trees.len() < MAX_TREES_KEPT {
            trees.push((name.clone(), Arc::clone(&tree)));
        }
        tree
    }

    /// The DMARC policy that holds for a domain, as far as was asked.
    pub fn dmarc(&self, domain: &DomainName) -> Arc<Discovered> {
        if let Some((known, discovered)) = &*self.dmarc.borrow()
            && known == domain
        {
            return Arc::clone(discovered);
        }
        let discovered = Arc::new(self.discover_dmarc(domain));
        *self.dmarc.borrow_mut() = Some((domain.clone(), Arc::clone(&discovered)));
        discovered
    }

    /// The `_dmarc` names of the walk up from a domain, which many want.
    pub fn policy_names(&self, domain: &DomainName) -> PolicyNames {
        if let Some((_, names)) = self.policy_names.borrow().iter().find(|(known, _)| known == domain) {
            return Arc::clone(names);
        }
        let walk = mail::dmarc::tree_walk_names(domain);
        let names: PolicyNames = walk.iter().map(|name| name.prepend("_dmarc").ok()).collect();
        let mut all = self.policy_names.borrow_mut();
        if all.len() < MAX_NAMES_KEPT {
            all.push((domain.clone(), Arc::clone(&names)));
        }
        names
    }

    /// As [`slip::slips`], made once for all who want them.
    pub fn slips(&self, domain: &DomainName, owner: &DomainName, zone: &DomainName) -> Arc<Slips> {
        let is_it =
            |known: &&KnownSlips| known.domain == *domain && known.owner == *owner && known.zone == *zone;
        if let Some(known) = self.slips.borrow().iter().find(is_it) {
            return Arc::clone(&known.slips);
        }
        let slips = Arc::new(slip::slips(domain, owner, zone));
        let mut all = self.slips.borrow_mut();
        if all.len() < MAX_NAMES_KEPT {
            let (domain, owner, zone) = (domain.clone(), owner.clone(), zone.clone());
            all.push(KnownSlips { domain, owner, zone, slips: Arc::clone(&slips) });
        }
        slips
    }

    fn discover_dmarc(&self, domain: &DomainName) -> Discovered {
        let is_open = |name: &DomainName| !self.was_asked(name, RecordType::Txt);
        // Of a domain that is right mostly nothing further up was asked, and the walk ends there, unless its own
        // record says that it ends here.
        if let Some(Some(above)) = self.policy_names(domain).get(1)
            && is_open(above)
            && let Some(own) = self.dmarc_record(domain)
            && (own.as_ref().as_ref()).is_ok_and(|own| own.public_suffix == PublicSuffix::Undeclared)
        {
            return None;
        }
        let answer = |question: &Question| checks::dmarc_answer(self, domain, question);
        let read = |text: &str| self.readings.dmarc(text);
        mail::dmarc::discover_by(domain, &read, &answer).ok()
    }

    /// The domain's own DMARC record, where everyone says that there is exactly one.
    fn dmarc_record(&self, domain: &DomainName) -> Option<DmarcReading> {
        let names = self.policy_names(domain);
        let Fact::Agreed(Says::Records(records)) = self.fact(names.first()?.as_ref()?, RecordType::Txt)
        else {
            return None;
        };
        let texts: Vec<Cow<'_, str>> = records.iter().filter_map(RecordData::text).collect();
        checks::only_dmarc_record(&texts).map(|record| self.readings.dmarc(record))
    }

    /// Whether anyone sees an alias to the wanted name.
    pub fn has_alias_to(&self, name: &DomainName, wanted: &DomainName) -> bool {
        // Where it mostly shows comes first.
        [RecordType::Txt, RecordType::Cname, RecordType::A].into_iter().any(|record_type| {
            self.says(name, record_type)
                .any(|says| matches!(says, Says::Alias { target, .. } if target == wanted))
        })
    }

    /// Whether anyone sees a record of the type, or an alias, at the name.
    pub fn has_any(&self, name: &DomainName, record_type: RecordType) -> bool {
        self.says(name, record_type)
            .any(|says| matches!(says, Says::Records(_) | Says::Alias { .. } | Says::SeveralAliases(_)))
    }

    /// The answers about a name that a DNAME record above it makes an alias (RFC 6672): nothing can be put at the name.
    pub fn redirected(&self, name: &DomainName) -> impl Iterator<Item = &Reply> {
        let types = [RecordType::Txt, RecordType::Cname, RecordType::A];
        let heard = types.into_iter().flat_map(|record_type| self.heard(name, record_type));
        heard
            .filter_map(|heard| match &heard.exchange.outcome {
                Outcome::Reply(reply) => Some(reply),
                Outcome::Failure(_) => None,
            })
            .filter(|reply| {
                let is_dname = |record: &Record| record.data.record_type() == RecordType::Other(39);
                reply.answer.iter().any(|record| is_dname(record) && name.is_below(&record.owner))
            })
    }

    /// Whether anyone sees a record of the type, or an alias, at another name.
    pub fn has_elsewhere(&self, name: &DomainName, record_type: RecordType) -> bool {
        self.all().iter().any(|heard| {
            let question = &heard.exchange.ask.question;
            question.record_type == record_type && heard.says.is_positive() && question.name != *name
        })
    }

    /// The records of a type at a name, of whoever sees any.
    pub fn records(&self, name: &DomainName, record_type: RecordType) -> Vec<RecordData> {
        records_in(self.heard(name, record_type))
    }

    /// Whether every resolver and every listed server has been asked this, whatever came of it.
    pub fn is_answered(&self, question: &Question, policy: &Policy, servers: &[Server]) -> bool {
        let all = self.heard(&question.name, question.record_type);
        let asked = |server: &Server| all.iter().any(|heard| heard.server() == server);
        policy.resolvers.iter().all(|&address| asked(&Server::Resolver { address }))
            && servers.iter().all(asked)
    }

    /// The names whose SOA has to be asked for to find the zone of `name`: itself, and one label up at a time as
    /// long as an answer left it open (an alias hides the SOA of its own zone).
    pub fn zone_candidates(&self, name: &DomainName) -> Vec<DomainName> {
        let mut candidates = Vec::new();
        for ancestor in name.ancestors().take(8) {
            let open = self.was_asked(&ancestor, RecordType::Soa) && self.zone_at(&ancestor).is_none();
            candidates.push(ancestor);
            if !open {
                break;
            }
        }
        candidates
    }

    /// Whether anybody was asked where a zone begins.
    pub fn may_know_zones(&self) -> bool {
        self.heard.has_soa || self.unvalidated.has_soa
    }

    /// The apex of the zone that a name is in, where a resolver told. The root and public suffixes are no zones that
    /// a sender domain's records could be written to.
    pub fn zone_of(&self, name: &DomainName) -> Option<DomainName> {
        if !self.may_know_zones() {
            return None;
        }
        if let Some((_, zone)) = self.zones.borrow().iter().find(|(known, _)| known == name) {
            return zone.clone();
        }
        let zone = name.ancestors().take(8).find_map(|ancestor| self.zone_at(&ancestor));
        let mut zones = self.zones.borrow_mut();
        if zones.len() < MAX_ZONES_KEPT {
            zones.push((name.clone(), zone.clone()));
        }
        zone
    }

    fn zone_at(&self, name: &DomainName) -> Option<DomainName> {
        // Where the zone above delegates a name a zone begins, whether or not anybody answers for it.
        if !self.referrals.is_empty() && self.delegated_to(name).is_some() {
            return Some(name.clone());
        }
        self.authority_over(name, |owner| model::registrable_domain(owner).is_some())
    }

    /// The names whose SOA has to be asked for to find the zone above `zone`.
    pub fn parent_candidates(&self, zone: &DomainName) -> Vec<DomainName> {
        let above = zone.ancestors().skip(1).take(4).take_while(|ancestor| !ancestor.is_root());
        let mut candidates = Vec::new();
        for ancestor in above {
            let open = self.was_asked(&ancestor, RecordType::Soa) && self.parent_zone(zone).is_none();
            candidates.push(ancestor);
            if !open {
                break;
            }
        }
        candidates
    }

    /// The apex of the zone that delegates `zone`, public suffixes included.
    pub fn parent_zone(&self, zone: &DomainName) -> Option<DomainName> {
        zone.ancestors()
            .skip(1)
            .take(4)
            .take_while(|ancestor| !ancestor.is_root())
            .find_map(|ancestor| self.authority_over(&ancestor, |owner| !owner.is_root()))
    }

    /// The owner of the SOA record that came for this name, in either section, if it is at or above it. A zone whose
    /// signatures are broken is found too.
    fn authority_over(&self, name: &DomainName, may_be: impl Fn(&DomainName) -> bool) -> Option<DomainName> {
        let all = self.heard.of(name, RecordType::Soa);
        let unvalidated = self.unvalidated.of(name, RecordType::Soa);
        all.iter().chain(unvalidated).find_map(|heard| match &heard.exchange.outcome {
            Outcome::Reply(reply) => reply
                .answer
                .iter()
                .chain(&reply.authority)
                .filter(|record| matches!(record.data, RecordData::Soa(_)))
                .map(|record| &record.owner)
                .find(|owner| name.is_at_or_below(owner) && may_be(owner))
                .cloned(),
            Outcome::Failure(_) => None,
        })
    }

    /// The name servers of a zone: those that the parent delegates it to, then those that only the zone itself or a
    /// resolver names; each part sorted.
    pub fn name_servers(&self, zone: &DomainName) -> Vec<DomainName> {
        let mut names = self.delegated_to(zone).unwrap_or_default();
        let mut others: Vec<DomainName> = self
            .infrastructure(zone, RecordType::Ns)
            .filter_map(|data| match data {
                RecordData::Ns(name) if !names.contains(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        others.sort();
        others.dedup();
        names.extend(others);
        names
    }

    /// The name servers that the zone's own servers say it has: one sorted set for each server that told.
    pub fn name_servers_by_zone(&self, zone: &DomainName) -> Vec<(&Server, Vec<DomainName>)> {
        let by_server = |heard: &Heard| match (heard.server(), &heard.says) {
            (Server::Authority { .. }, Says::Records(records)) => Some(ns_names(records.iter())),
            _ => None,
        };
        let all = self.heard(zone, RecordType::Ns).iter();
        all.filter_map(|heard| Some((&heard.exchange.ask.server, by_server(heard)?))).collect()
    }

    /// The name servers that the parent zone's servers delegate a zone to, sorted; `None` where none of them said so.
    pub fn delegated_to(&self, zone: &DomainName) -> Option<Vec<DomainName>> {
        let replies = self.referrals.iter().filter(|exchange| exchange.ask.question.name == *zone);
        let sets = replies.filter_map(|exchange| match &exchange.outcome {
            // An answer without authority is what a server keeps of the zone's own records, and no referral.
            Outcome::Reply(reply)
                if matches!(reply.rcode, Rcode::NoError)
                    && !reply.authoritative
                    && reply.answer.is_empty() =>
            {
                let records = reply.authority.iter().filter(|record| record.owner == *zone);
                let names = ns_names(records.map(|record| &record.data));
                (!names.is_empty()).then_some(names)
            }
            _ => None,
        });
        let mut names: Vec<DomainName> = sets.flatten().collect();
        names.sort();
        names.dedup();
        (!names.is_empty()).then_some(names)
    }

    /// What the servers of the zone above say of a zone, each once.
    pub fn above(&self, zone: &DomainName) -> Vec<(&Server, Above)> {
        let of_zone = self.referrals.iter().filter(|exchange| exchange.ask.question.name == *zone);
        of_zone.map(|exchange| (&exchange.ask.server, Above::read(zone, &exchange.outcome))).collect()
    }

    /// The addresses that the zone above gives for those name servers of a zone that are in the zone itself.
    pub fn glue(&self, zone: &DomainName) -> Vec<(DomainName, Vec<IpAddr>)> {
        let mut glue: Vec<(DomainName, Vec<IpAddr>)> = Vec::new();
        for exchange in self.referrals.iter().filter(|exchange| exchange.ask.question.name == *zone) {
            let Outcome::Reply(reply) = &exchange.outcome else { continue };
            for record in reply.additional.iter().filter(|record| record.owner.is_at_or_below(zone)) {
                let Some(address) = address_of(&record.data) else { continue };
                match glue.iter_mut().find(|(host, _)| *host == record.owner) {
                    Some((_, addresses)) if addresses.contains(&address) => {}
                    Some((_, addresses)) => addresses.push(address),
                    None => glue.push((record.owner.clone(), vec![address])),
                }
            }
        }
        for (_, addresses) in &mut glue {
            addresses.sort();
        }
        glue.sort();
        glue
    }

    /// The addresses of a host, IPv4 first.
    pub fn addresses(&self, name: &DomainName) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = [RecordType::A, RecordType::Aaaa]
            .into_iter()
            .flat_map(|record_type| self.infrastructure(name, record_type))
            .filter_map(address_of)
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// Records that lead to name servers. A resolver that cannot validate them does not keep us from asking there.
    fn infrastructure(
        &self,
        name: &DomainName,
        record_type: RecordType,
    ) -> impl Iterator<Item = &RecordData> {
        let unvalidated = self.unvalidated.of(name, record_type);
        self.heard(name, record_type).iter().chain(unvalidated).flat_map(|heard| match &heard.says {
            Says::Records(records) | Says::Alias { at_end: records, .. } => records.as_slice(),
            _ => &[],
        })
    }

    /// The resolvers' answers with validation switched off to a question that they answered SERVFAIL with it.
    pub fn unvalidated(&self, ask: &Ask) -> Option<&Heard> {
        self.unvalidated
            .of(&ask.question.name, ask.question.record_type)
            .iter()
            .find(|heard| heard.exchange.ask.server == ask.server)
    }
}

/// Whether a resolver is asked, with validation where it does it.
pub fn is_of_resolver(ask: &Ask) -> bool {
    matches!(ask.server, Server::Resolver { .. }) && !ask.checking_disabled
}

/// Whether an ask is put to a server of the zone above the name, to see whom it delegates to.
fn is_about_delegation(ask: &Ask) -> bool {
    let Server::Authority { zone, .. } = &ask.server else { return false };
    ask.question.record_type == RecordType::Ns && ask.question.name.is_below(zone)
}

/// More names than one plan's checks ask the zone of.
const MAX_ZONES_KEPT: usize = 64;

/// More names than one plan's checks make others of.
const MAX_NAMES_KEPT: usize = 16;

/// More SPF records than one plan has; a plan of strangers' making may have any number.
const MAX_TREES_KEPT: usize = 8;

/// What people are told of an answer that has run out.
pub const RUN_OUT: &str = "an answer that has run out";

/// What counts more stands further down.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Nothing,
    Stale,
    Resolver,
    Authority,
}

/// What was heard, by question, then by server, with the place of each question.
#[derive(Default)]
struct ByQuestion {
    all: Vec<Heard>,
    /// Where each question's part of `all` starts and ends.
    questions: Vec<Range<u32>>,
    /// The questions, by digest: in the place that it gives, or in the next ones. `NO_QUESTION` is an empty place, and
    /// half of them are.
    places: Vec<u32>,
    /// Whether anybody was asked where a zone begins.
    has_soa: bool,
    /// Whether any name server was asked.
    has_authorities: bool,
}

impl ByQuestion {
    /// Puts what was added to `all` in its place.
    fn sort(&mut self) {
        // Digests are compared sooner than names.
        self.all.sort_by(|a, b| a.digest.cmp(&b.digest).then_with(|| a.exchange.ask.cmp(&b.exchange.ask)));
        self.questions.clear();
        // More than 2^32 answers are kept of nobody.
        for (index, heard) in (0_u32..).zip(&self.all) {
            let ask = &heard.exchange.ask;
            match self.questions.last_mut() {
                Some(last) if is_of_one_question(&self.all[last.start as usize], heard) => {
                    last.end = index + 1;
                }
                _ => self.questions.push(index..index + 1),
            }
            self.has_soa |= ask.question.record_type == RecordType::Soa;
            self.has_authorities |= matches!(ask.server, Server::Authority { .. });
        }
        self.places.clear();
        self.places.resize((self.questions.len() * 2).next_power_of_two(), NO_QUESTION);
        let mask = self.places.len() - 1;
        for (number, question) in (0_u32..).zip(&self.questions) {
            let mut place = place_of(self.all[question.start as usize].digest, mask);
            while self.places[place] != NO_QUESTION {
                place = (place + 1) & mask;
            }
            self.places[place] = number;
        }
    }

    /// Looked up dozens of times a record.
    fn of(&self, name: &DomainName, record_type: RecordType) -> &[Heard] {
        if self.places.is_empty() || (record_type == RecordType::Soa && !self.has_soa) {
            return &[];
        }
        let wanted = digest(name, record_type);
        let mask = self.places.len() - 1;
        let mut place = place_of(wanted, mask);
        while let Some(range) = self.questions.get(self.places[place] as usize) {
            let all = &self.all[range.start as usize..range.end as usize];
            if all[0].digest == wanted {
                let question = &all[0].exchange.ask.question;
                if question.record_type == record_type && question.name == *name {
                    return all;
                }
            }
            place = (place + 1) & mask;
        }
        &[]
    }
}

/// In [`ByQuestion::places`]: nothing.
const NO_QUESTION: u32 = u32::MAX;

/// Where a digest is looked for first.
fn place_of(digest: u64, mask: usize) -> usize {
    usize::try_from(digest.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap_or_default() & mask
}

fn is_of_one_question(one: &Heard, other: &Heard) -> bool {
    one.digest == other.digest && one.exchange.ask.question == other.exchange.ask.question
}

/// A digest of a question, to tell most others apart by; equal ones have equal digests.
pub(crate) fn digest(name: &DomainName, record_type: RecordType) -> u64 {
    u64::from(name.digest()) | u64::from(record_type.code()) << 32
}

fn ns_names<'r>(records: impl Iterator<Item = &'r RecordData>) -> Vec<DomainName> {
    let mut names: Vec<DomainName> = records
        .filter_map(|data| match data {
            RecordData::Ns(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn records_in(heard: &[Heard]) -> Vec<RecordData> {
    heard
        .iter()
        .find_map(|heard| match &heard.says {
            Says::Records(records) => Some(records.clone()),
            Says::Alias { at_end, .. } if !at_end.is_empty() => Some(at_end.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

/// Whether two servers say the same. TTLs count down in caches and differ between servers: they take no part in it.
fn is_same(one: &Says, other: &Says) -> bool {
    match (one, other) {
        // Whether a name exists without the type or does not exist makes no difference to a missing record.
        (Says::NoData(_) | Says::NxDomain(_), Says::NoData(_) | Says::NxDomain(_)) => true,
        // One server may show the end of the chain where another does not.
        (Says::Alias { target: one, .. }, Says::Alias { target: other, .. }) => one == other,
        _ => one == other,
    }
}

/// An alias with as much of its end as anybody showed whose answer has run out or not, as this one: a name server
/// stops where its zone ends, a resolver does not.
fn with_end<'v>(all: &'v [Heard], says: &'v Says, is_stale: bool) -> &'v Says {
    let Says::Alias { target: wanted, .. } = says else { return says };
    let shows = |says: &Says| match says {
        Says::Alias { target, end, .. } if target == wanted => match end {
            ChainEnd::Records => 3,
            // Another resolver may remember for a while that nothing was there.
            ChainEnd::NoData => 2,
            ChainEnd::NxDomain(_) => 1,
            ChainEnd::Unseen => 0,
        },
        _ => 0,
    };
    let heard = all.iter().filter(|heard| heard.is_stale == is_stale);
    let fullest = heard.map(|heard| &heard.says).rev().max_by_key(|says| shows(says));
    fullest.filter(|fullest| shows(fullest) > 0).unwrap_or(says)
}

fn reasons(all: &[Heard]) -> Vec<String> {
    all.iter()
        .filter_map(|heard| match &heard.says {
            Says::Nothing(reason) | Says::Lame(reason) => Some(format!("{}: {reason}", heard.server())),
            _ if heard.is_stale => Some(format!("{}: {RUN_OUT}", heard.server())),
            _ => None,
        })
        .collect()
}
