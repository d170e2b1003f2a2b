//! The whole DNS of a scenario: its zones, those that are not worth writing down each time, and who serves what.
//!
//! Every world has a root, a zone for each public suffix, and the platform's zone. Each zone delegates to those
//! below it: to their servers, or to those that the scenario says its parent lists.

use crate::{
    file::{Dnssec, FaultKind, Scenario, ZoneText, keys},
    zone::Zone,
    zone_text::{TTL, ranges, records},
};
use model::{DomainName, Record, RecordData, Soa, TxtData, registrable_domain};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// Where the root and the public suffixes are served.
pub const REGISTRY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 4, 1));

/// The host of the servers of the root and of the public suffixes.
const REGISTRY_HOST: &str = "registry.net";

/// Zones and their servers.
#[derive(Debug, Clone)]
pub struct World {
    /// Each zone once for all servers that have the same of it.
    pub served: Vec<Served>,
}

/// A zone as some of its servers have it.
#[derive(Debug, Clone)]
pub struct Served {
    /// The servers.
    pub addresses: Vec<IpAddr>,
    /// What they have.
    pub zone: Arc<Zone>,
    /// What validating resolvers make of it.
    pub dnssec: Dnssec,
}

/// A host and, where it is known, one address of it.
#[derive(Debug, Clone)]
struct Host {
    name: DomainName,
    address: Option<IpAddr>,
}

/// A zone before it is put together.
struct Draft {
    apex: DomainName,
    servers: Vec<Host>,
    delegation: Option<Vec<Host>>,
    negative_ttl: u32,
    serial: u32,
    dnssec: Dnssec,
    records: Vec<Record>,
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn hosts(lines: &[String]) -> Vec<Host> {
    let host = |line: String| {
        let mut words = line.split_whitespace();
        let name = name(words.next().unwrap());
        Host { name, address: words.next().map(|address| address.parse().unwrap()) }
    };
    lines.iter().flat_map(|line| ranges(line)).map(host).collect()
}

fn draft(zone: &ZoneText) -> Draft {
    Draft {
        apex: zone.apex.clone(),
        servers: hosts(&zone.servers),
        delegation: zone.delegation.as_deref().map(hosts),
        negative_ttl: zone.negative_ttl,
        serial: zone.serial,
        dnssec: zone.dnssec,
        records: records(&zone.records, &zone.apex),
    }
}

impl World {
    /// The DNS of a scenario, faults that are other records included.
    pub fn new(scenario: &Scenario) -> Self {
        let mut drafts: Vec<Draft> = scenario.zones.iter().map(draft).collect();
        let platform = name("send.example.net");
        if !drafts.iter().any(|draft| draft.apex == platform) {
            drafts.push(platform_zone(&platform, &scenario.domain));
        }
        add_suffixes(&mut drafts, &scenario.domain);
        let mut served = Vec::new();
        for draft in &drafts {
            let mut common = addresses(draft);
            let own = scenario.faults.iter().filter(|fault| {
                fault.kind == FaultKind::Records
                    && common.contains(&fault.address)
                    && fault.zone.as_ref().is_none_or(|zone| *zone == draft.apex)
            });
            for fault in own.collect::<Vec<_>>() {
                common.retain(|address| *address != fault.address);
                let serial = fault.serial.unwrap_or(draft.serial);
                let zone = assemble(draft, serial, &records(&fault.records, &draft.apex), &drafts);
                let (zone, addresses) = (Arc::new(zone), vec![fault.address]);
                served.push(Served { addresses, zone, dnssec: draft.dnssec });
            }
            let zone = Arc::new(assemble(draft, draft.serial, &draft.records, &drafts));
            served.push(Served { addresses: common, zone, dnssec: draft.dnssec });
        }
        Self { served }
    }

    /// Every address at which a zone is served, each once.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.served.iter().flat_map(|served| served.addresses.iter().copied()).collect()
    }

    /// The closest zone around a name that is served at an address.
    pub fn zone_at(&self, address: IpAddr, name: &DomainName) -> Option<&Served> {
        self.served
            .iter()
            .filter(|served| served.addresses.contains(&address) && name.is_at_or_below(&served.zone.apex))
            .max_by_key(|served| served.zone.apex.label_count())
    }

    /// The closest zone around a name, whoever serves it.
    pub fn zone_of(&self, name: &DomainName) -> Option<&Served> {
        self.served
            .iter()
            .filter(|served| name.is_at_or_below(&served.zone.apex))
            .max_by_key(|served| served.zone.apex.label_count())
    }
}

/// Where a zone is served: by its own servers, and by those that the parent lists.
fn addresses(draft: &Draft) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for host in draft.servers.iter().chain(draft.delegation.iter().flatten()) {
        if let Some(address) = host.address.filter(|address| !addresses.contains(address)) {
            addresses.push(address);
        }
    }
    addresses
}

/// The root and every public suffix around a name that matters, where the scenario has no such zone of its own.
fn add_suffixes(drafts: &mut Vec<Draft>, domain: &DomainName) {
    let registry = Host { name: name(REGISTRY_HOST), address: Some(REGISTRY) };
    let all_hosts = |draft: &Draft| -> Vec<DomainName> {
        draft.servers.iter().chain(draft.delegation.iter().flatten()).map(|host| host.name.clone()).collect()
    };
    let mut names: BTreeSet<DomainName> = drafts.iter().map(|draft| draft.apex.clone()).collect();
    names.extend(drafts.iter().flat_map(all_hosts));
    names.extend([domain.clone(), registry.name.clone()]);
    let mut suffixes: BTreeSet<DomainName> = BTreeSet::from([DomainName::root()]);
    for name in names {
        let mut above = Some(name);
        while let Some(name) = above.filter(|name| !name.is_root()) {
            above = name.parent();
            if registrable_domain(&name).is_none() {
                suffixes.insert(name);
            }
        }
    }
    suffixes.retain(|suffix| !drafts.iter().any(|draft| draft.apex == *suffix));
    drafts.extend(suffixes.into_iter().map(|apex| Draft {
        apex,
        servers: vec![registry.clone()],
        delegation: None,
        negative_ttl: 900,
        serial: 1,
        dnssec: Dnssec::Unsigned,
        records: Vec::new(),
    }));
}

/// The zone with everything that its text leaves out: SOA, NS, delegations, addresses of servers.
fn assemble(draft: &Draft, serial: u32, text: &[Record], drafts: &[Draft]) -> Zone {
    let mut records = vec![soa(&draft.apex, draft.negative_ttl, serial)];
    records.extend(text.iter().cloned());
    let has_servers = |apex: &DomainName| {
        text.iter().any(|record| record.owner == *apex && matches!(record.data, RecordData::Ns(_)))
    };
    if !has_servers(&draft.apex) {
        records.extend(name_servers(&draft.apex, &draft.servers));
    }
    let parent_of = |apex: &DomainName| {
        let around = drafts.iter().filter(|other| other.apex != *apex && apex.is_at_or_below(&other.apex));
        around.max_by_key(|other| other.apex.label_count()).map(|other| other.apex.clone())
    };
    let children = || drafts.iter().filter(|child| parent_of(&child.apex).as_ref() == Some(&draft.apex));
    for child in children().filter(|child| !has_servers(&child.apex)) {
        records.extend(name_servers(&child.apex, child.delegation.as_ref().unwrap_or(&child.servers)));
    }
    let hosts = drafts.iter().flat_map(|other| other.servers.iter().chain(other.delegation.iter().flatten()));
    for host in hosts.filter(|host| is_here(draft, drafts, &host.name)) {
        let written = |record: &Record| record.owner == host.name && is_address(&record.data);
        if let Some(address) = host.address.filter(|_| !text.iter().any(written)) {
            records.push(Record { owner: host.name.clone(), ttl: TTL, data: address_data(address) });
        }
    }
    let mut unique: Vec<Record> = Vec::with_capacity(records.len());
    for record in records {
        if !unique.contains(&record) {
            unique.push(record);
        }
    }
    Zone { apex: draft.apex.clone(), records: unique }
}

/// Whether a host's address belongs into a zone: as its own data, or as glue below one of its delegations.
fn is_here(draft: &Draft, drafts: &[Draft], host: &DomainName) -> bool {
    let around = |draft: &&Draft| host.is_at_or_below(&draft.apex);
    let closest = drafts.iter().filter(around).max_by_key(|other| other.apex.label_count());
    let is_glue = || {
        drafts.iter().any(|child| {
            let listed = child.servers.iter().chain(child.delegation.iter().flatten());
            child.apex != draft.apex
                && child.apex.is_at_or_below(&draft.apex)
                && host.is_at_or_below(&child.apex)
                && listed.clone().any(|listed| listed.name == *host)
        })
    };
    host.is_at_or_below(&draft.apex)
        && (closest.is_some_and(|closest| closest.apex == draft.apex) || is_glue())
}

fn name_servers(apex: &DomainName, servers: &[Host]) -> Vec<Record> {
    let record =
        |host: &Host| Record { owner: apex.clone(), ttl: TTL, data: RecordData::Ns(host.name.clone()) };
    servers.iter().map(record).collect()
}

fn is_address(data: &RecordData) -> bool {
    matches!(data, RecordData::A(_) | RecordData::Aaaa(_))
}

fn address_data(address: IpAddr) -> RecordData {
    match address {
        IpAddr::V4(v4) => RecordData::A(v4),
        IpAddr::V6(v6) => RecordData::Aaaa(v6),
    }
}

/// What the platform serves: keys, the SPF include, bounce hosts.
fn platform_zone(apex: &DomainName, domain: &DomainName) -> Draft {
    let keys = keys();
    let mut records = Vec::new();
    let mut text = |label: &str, value: String| {
        let data = RecordData::Txt(TxtData::from_text(&value));
        records.push(Record { owner: apex.prepend(label).unwrap(), ttl: TTL, data });
    };
    for number in 1..=3 {
        let value = format!("v=DKIM1; k=rsa; p={}", keys[&format!("key{number}")]);
        text(&format!("tok{number}.dkim"), value.clone());
        text(&format!("tok{number}.{domain}.dkim"), value);
    }
    for label in ["spf", "notices", "bounce"] {
        text(label, "v=spf1 ip4:192.0.2.25 ~all".to_owned());
    }
    let feedback = RecordData::A([192, 0, 2, 25].into());
    records.push(Record { owner: apex.prepend("feedback").unwrap(), ttl: TTL, data: feedback });
    let servers = hosts(&["ns1.send.example.net 127.0.3.1".to_owned()]);
    let (apex, negative_ttl, dnssec) = (apex.clone(), 300, Dnssec::Unsigned);
    Draft { apex, servers, delegation: None, negative_ttl, serial: 1, dnssec, records }
}

/// A start of authority whose TTL and MINIMUM are both `negative_ttl`.
pub fn soa(owner: &DomainName, negative_ttl: u32, serial: u32) -> Record {
    let data = RecordData::Soa(Soa {
        mname: name(REGISTRY_HOST),
        rname: name("hostmaster.registry.net"),
        serial,
        refresh: 3600,
        retry: 600,
        expire: 604_800,
        minimum: negative_ttl,
    });
    Record { owner: owner.clone(), ttl: negative_ttl, data }
}
