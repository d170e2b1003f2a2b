//! An observation read as facts: what is at a name, who says so, and how sure that is.

use crate::{
    inquiry::{Policy, address_of},
    observation::{Exchange, Observation, Outcome, Question, Says, Server},
};
use model::{DomainName, RecordData, RecordType};
use std::{collections::HashMap, net::IpAddr};

/// An index over an observation.
pub struct View<'a> {
    by_name: HashMap<&'a DomainName, Vec<(RecordType, Vec<&'a Exchange>)>>,
}

/// What is at a name for one type, all perspectives taken together.
///
/// What a zone's own name servers say counts; resolvers are listened to only where no name server said anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Everyone who knows says the same.
    Agreed(Says),
    /// The name servers say different things.
    Disagreed(Vec<(Server, Says)>),
    /// Nobody said anything certain: each server and its reason.
    Unknown(Vec<String>),
}

impl<'a> View<'a> {
    /// Indexes an observation.
    pub fn new(observation: &'a Observation) -> Self {
        let mut by_name: HashMap<_, Vec<(RecordType, Vec<&Exchange>)>> = HashMap::new();
        // What a resolver hands out without validating it is no fact: the checks ask for it by `unvalidated`.
        for exchange in observation.exchanges.iter().filter(|exchange| !exchange.ask.checking_disabled) {
            let question = &exchange.ask.question;
            let types = by_name.entry(&question.name).or_default();
            match types.iter_mut().find(|(record_type, _)| *record_type == question.record_type) {
                Some((_, exchanges)) => exchanges.push(exchange),
                None => types.push((question.record_type, vec![exchange])),
            }
        }
        Self { by_name }
    }

    /// All exchanges for a question.
    pub fn exchanges(&self, name: &DomainName, record_type: RecordType) -> &[&'a Exchange] {
        self.by_name
            .get(name)
            .and_then(|types| types.iter().find(|(found, _)| *found == record_type))
            .map_or(&[], |(_, exchanges)| exchanges.as_slice())
    }

    fn says(&self, name: &DomainName, record_type: RecordType) -> impl Iterator<Item = Says> + '_ {
        self.exchanges(name, record_type).iter().map(|exchange| exchange.says())
    }

    /// What is at a name for one type.
    pub fn fact(&self, name: &DomainName, record_type: RecordType) -> Fact {
        let exchanges = self.exchanges(name, record_type);
        let mut certain: Vec<(Server, Says)> = Vec::new();
        for authority in [true, false] {
            certain = exchanges
                .iter()
                .filter(|exchange| matches!(exchange.ask.server, Server::Authority { .. }) == authority)
                .map(|exchange| (exchange.ask.server.clone(), normalised(exchange.says())))
                .filter(|(_, says)| !matches!(says, Says::Nothing(_) | Says::Lame(_)))
                .collect();
            if !certain.is_empty() {
                break;
            }
        }
        let Some((_, first)) = certain.first() else {
            return Fact::Unknown(reasons(exchanges));
        };
        let negative = |says: &Says| matches!(says, Says::NoData(_) | Says::NxDomain(_));
        // Whether a name exists without the type or does not exist makes no difference to a missing record.
        if certain.iter().all(|(_, says)| says == first || (negative(says) && negative(first))) {
            return Fact::Agreed(first.clone());
        }
        Fact::Disagreed(certain)
    }

    /// What is at the target of an alias: by what was asked for there, else by the answers to the same question at
    /// the alias, where they show the end of the chain.
    pub fn behind_alias(&self, owner: &DomainName, target: &DomainName, record_type: RecordType) -> Fact {
        if !self.exchanges(target, record_type).is_empty() {
            return self.fact(target, record_type);
        }
        let mut ends = self.says(owner, record_type).filter_map(|says| match says {
            Says::Alias { target: found, at_end } if found == *target && !at_end.is_empty() => Some(at_end),
            _ => None,
        });
        match ends.next() {
            Some(first) if ends.all(|end| end == first) => Fact::Agreed(Says::Records(first)),
            _ => Fact::Unknown(Vec::new()),
        }
    }

    /// Every alias target that anyone sees at a name.
    pub fn aliases(&self, name: &DomainName) -> Vec<DomainName> {
        let mut targets: Vec<DomainName> = self
            .says(name, RecordType::Cname)
            .chain(self.says(name, RecordType::Txt))
            .filter_map(|says| match says {
                Says::Alias { target, .. } => Some(target),
                _ => None,
            })
            .collect();
        targets.sort();
        targets.dedup();
        targets
    }

    /// Whether anyone sees a record of the type, or an alias, at the name.
    pub fn has_any(&self, name: &DomainName, record_type: RecordType) -> bool {
        self.says(name, record_type).any(|says| matches!(says, Says::Records(_) | Says::Alias { .. }))
    }

    /// The records of a type at a name, of whoever sees any.
    pub fn records(&self, name: &DomainName, record_type: RecordType) -> Vec<RecordData> {
        let records = |says| match says {
            Says::Records(records) => Some(records),
            Says::Alias { at_end, .. } if !at_end.is_empty() => Some(at_end),
            _ => None,
        };
        self.says(name, record_type).find_map(records).unwrap_or_default()
    }

    /// Whether every resolver and every listed server has been asked this, whatever came of it.
    pub fn is_answered(&self, question: &Question, policy: &Policy, servers: &[Server]) -> bool {
        let asked = |server: &Server| {
            self.exchanges(&question.name, question.record_type).iter().any(|e| e.ask.server == *server)
        };
        policy.resolvers.iter().all(|&address| asked(&Server::Resolver { address }))
            && servers.iter().all(asked)
    }

    /// The names whose SOA has to be asked for to find the zone of `name`: itself, and one label up at a time as
    /// long as an answer left it open (an alias hides the SOA of its own zone).
    pub fn zone_candidates(&self, name: &DomainName) -> Vec<DomainName> {
        let mut candidates = Vec::new();
        for ancestor in name.ancestors().take(8) {
            let exchanges = self.exchanges(&ancestor, RecordType::Soa);
            let open = !exchanges.is_empty() && self.zone_at(&ancestor).is_none();
            candidates.push(ancestor);
            if !open {
                break;
            }
        }
        candidates
    }

    /// The apex of the zone that a name is in, where a resolver told.
    pub fn zone_of(&self, name: &DomainName) -> Option<DomainName> {
        name.ancestors().take(8).find_map(|ancestor| self.zone_at(&ancestor))
    }

    /// The owner of the SOA record that came for this name, in either section, if it is at or above it.
    fn zone_at(&self, name: &DomainName) -> Option<DomainName> {
        self.exchanges(name, RecordType::Soa).iter().find_map(|exchange| match &exchange.outcome {
            Outcome::Reply(reply) => reply
                .answer
                .iter()
                .chain(&reply.authority)
                .filter(|record| matches!(record.data, RecordData::Soa(_)))
                .map(|record| record.owner.clone())
                // The root and public suffixes are no zones that a sender domain's records could be written to.
                .find(|owner| name.is_at_or_below(owner) && model::registrable_domain(owner).is_some()),
            Outcome::Failure(_) => None,
        })
    }

    /// The name servers of a zone, as its NS records name them, sorted.
    pub fn name_servers(&self, zone: &DomainName) -> Vec<DomainName> {
        let mut names: Vec<DomainName> = self
            .records(zone, RecordType::Ns)
            .into_iter()
            .filter_map(|data| match data {
                RecordData::Ns(name) => Some(name),
                _ => None,
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The addresses of a host, IPv4 first.
    pub fn addresses(&self, name: &DomainName) -> Vec<IpAddr> {
        [RecordType::A, RecordType::Aaaa]
            .into_iter()
            .flat_map(|record_type| self.records(name, record_type))
            .filter_map(|data| address_of(&data))
            .collect()
    }
}

/// TTLs count down in caches and differ between servers: they do not take part in a comparison.
fn normalised(says: Says) -> Says {
    match says {
        Says::NoData(_) => Says::NoData(0),
        Says::NxDomain(_) => Says::NxDomain(0),
        // One server may show the end of the chain where another does not.
        Says::Alias { target, .. } => Says::Alias { target, at_end: Vec::new() },
        other => other,
    }
}

fn reasons(exchanges: &[&Exchange]) -> Vec<String> {
    exchanges
        .iter()
        .filter_map(|exchange| match exchange.says() {
            Says::Nothing(reason) | Says::Lame(reason) => Some(format!("{}: {reason}", exchange.ask.server)),
            _ => None,
        })
        .collect()
}
