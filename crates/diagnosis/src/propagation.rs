//! How far a record has spread: who has it, who does not, and for how long caches keep what was before.

use crate::{
    finding::ZoneSerial,
    observation::{Outcome, Says, Server},
    report::Seen,
    view::{Heard, View},
};
use model::{DomainName, RecordData, RecordType, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How far one record has spread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Propagation {
    /// The zone's name servers, each counted once by IPv4 and once by IPv6.
    pub name_servers: Counts,
    /// Of them, those that were asked by IPv4.
    #[serde(default)]
    pub name_servers_ipv4: Counts,
    /// Of them, those that were asked by IPv6.
    #[serde(default)]
    pub name_servers_ipv6: Counts,
    /// The resolvers.
    pub resolvers: Counts,
    /// What resolvers still hold that is not right, in the order of their addresses.
    pub stale: Vec<Stale>,
    /// When the last of them will have let go of it. `None` while the name servers themselves have not got the
    /// record, and when every resolver that answers has it.
    pub visible_everywhere_by: Option<Timestamp>,
    /// For how many seconds a resolver that asks now remembers that the record is not there: the smaller of the SOA
    /// record's TTL and its MINIMUM field (RFC 2308 §5). `None` where no name server says so.
    pub negative_ttl: Option<u32>,
    /// The version of the zone that each name server has, where they were asked because they disagree.
    pub serials: Vec<ZoneSerial>,
}

/// How many servers of a kind have the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Have it.
    pub right: usize,
    /// Have something else, or nothing.
    pub wrong: usize,
    /// Gave no answer that says anything.
    pub silent: usize,
}

impl Counts {
    /// All that were asked.
    pub fn asked(self) -> usize {
        self.right + self.wrong + self.silent
    }

    fn add(&mut self, right: Option<bool>) {
        match right {
            Some(true) => self.right += 1,
            Some(false) => self.wrong += 1,
            None => self.silent += 1,
        }
    }
}

impl Propagation {
    /// The name servers by IPv4 and by IPv6, where the record is not as far by the one as by the other.
    pub fn by_family(&self) -> Option<[Counts; 2]> {
        let [v4, v6] = [self.name_servers_ipv4, self.name_servers_ipv6];
        let is_mixed = v4.asked() > 0 && v6.asked() > 0;
        (is_mixed && v4.right * v6.asked() != v6.right * v4.asked()).then_some([v4, v6])
    }
}

/// What a resolver still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// The resolver.
    pub server: Server,
    /// What it answers, for people; nothing where it answers that there is no such record.
    pub holds: Vec<String>,
    /// For how many seconds more it may do so.
    pub seconds: u32,
    /// Until when.
    pub until: Timestamp,
}

/// How much of what a resolver holds is kept.
const MAX_HELD: usize = 5;

/// What one name's servers and resolvers make of a record. `seen` goes with `heard`, one by one.
pub fn of(heard: &[Heard], seen: &[Seen], zone: Option<&DomainName>, view: &View) -> Propagation {
    let mut propagation = Propagation::default();
    for (heard, seen) in heard.iter().zip(seen) {
        let is_resolver = matches!(seen.server, Server::Resolver { .. });
        if is_resolver {
            propagation.resolvers.add(seen.right);
        } else {
            propagation.name_servers.add(seen.right);
            match seen.server.address().ip().to_canonical() {
                IpAddr::V4(_) => propagation.name_servers_ipv4.add(seen.right),
                IpAddr::V6(_) => propagation.name_servers_ipv6.add(seen.right),
            }
        }
        if is_resolver && seen.right == Some(false) {
            propagation.stale.extend(stale(heard));
        }
        if let (false, Says::NoData(seconds) | Says::NxDomain(seconds)) = (is_resolver, &heard.says) {
            let known = propagation.negative_ttl.unwrap_or_default();
            propagation.negative_ttl = Some(known.max(*seconds));
        }
    }
    if propagation.name_servers.right > 0 && propagation.name_servers.wrong == 0 {
        propagation.visible_everywhere_by = propagation.stale.iter().map(|stale| stale.until).max();
    }
    if let (Some(zone), true) =
        (zone, propagation.name_servers.right > 0 && propagation.name_servers.wrong > 0)
    {
        propagation.serials = serials(zone, view);
    }
    propagation
}

fn stale(heard: &Heard) -> Option<Stale> {
    let seconds = match &heard.says {
        Says::NoData(seconds) | Says::NxDomain(seconds) => *seconds,
        Says::Records(_) | Says::Alias { .. } | Says::AliasLoop(_) | Says::SeveralAliases(_) => {
            heard.exchange.ttl()
        }
        Says::Nothing(_) | Says::Lame(_) => return None,
    };
    let until = heard.exchange.at.checked_add(jiff::SignedDuration::from_secs(i64::from(seconds))).ok()?;
    let holds = match &heard.says {
        Says::Records(records) => records.iter().take(MAX_HELD).map(short).collect(),
        Says::Alias { target, .. } | Says::AliasLoop(target) => vec![target.to_string()],
        Says::SeveralAliases(targets) => targets.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    Some(Stale { server: heard.server().clone(), holds, seconds, until })
}

fn short(data: &RecordData) -> String {
    const LONGEST: usize = 500;
    let text = match data {
        RecordData::Txt(text) => text.joined(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The serial number at each of the zone's servers, where they differ.
pub fn serials(zone: &DomainName, view: &View) -> Vec<ZoneSerial> {
    let serials: Vec<ZoneSerial> = view
        .heard(zone, RecordType::Soa)
        .iter()
        .filter(|heard| matches!(heard.server(), Server::Authority { .. }))
        .filter_map(|heard| {
            let Outcome::Reply(reply) = &heard.exchange.outcome else { return None };
            let serial = reply.answer.iter().find_map(|record| match &record.data {
                RecordData::Soa(soa) => Some(soa.serial),
                _ => None,
            })?;
            Some(ZoneSerial { server: heard.server().clone(), serial })
        })
        .collect();
    let differ = serials.iter().any(|one| one.serial != serials[0].serial);
    if differ { serials } else { Vec::new() }
}
