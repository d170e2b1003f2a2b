//! All servers of one scenario, on their addresses.

use super::{
    knot::{self, Loaded},
    process::{Program, find},
    server::{Running, Shared},
    unbound,
};
use crate::{
    fake_dns::FakeDns,
    file::{Cached, Dnssec, Scenario},
    world::{REGISTRY, Served, World},
};
use model::{DomainName, RecordType, registrable_domain};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, UdpSocket},
    path::Path,
    time::Duration,
};

/// Who serves the zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// Our own server, whatever the zone.
    Own,
    /// Knot, for all zones of the scenario that it loads and whose servers are not at fault.
    Knot,
}

/// Everything that runs for one scenario. Dropping it ends it all.
#[derive(Debug)]
pub struct Network {
    own: Running,
    programs: Vec<Program>,
    /// The root of all signatures, where there are any.
    anchor: Option<String>,
    /// What answers at each address, for people.
    pub players: BTreeMap<IpAddr, &'static str>,
}

/// How long a resolver may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

impl Scenario {
    /// Every address that something answers at.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        World::new(self).addresses().into_iter().chain(self.resolvers.clone())
    }

    /// Whether unbound can play this resolver: it is not at fault, and remembers only what can be seen. What is
    /// signed has to be signed for real.
    fn has_real_resolver(&self, resolver: IpAddr, servers: Servers) -> bool {
        let is_at_fault = self.faults.iter().any(|fault| fault.address == resolver);
        let cannot_remember = self.remembered_by(resolver).any(|cached| cached.servfail);
        let only_looks_signed = self.is_signed() && servers == Servers::Own;
        !(self.wire.own_resolver || is_at_fault || cannot_remember || only_looks_signed)
    }

    /// Whether Knot can play any of the scenario's own servers.
    pub fn has_real_servers(&self) -> bool {
        !self.wire.own_servers && !real_servers(self, &World::new(self)).is_empty()
    }

    fn remembered_by(&self, resolver: IpAddr) -> impl Iterator<Item = &Cached> {
        self.cached.iter().filter(move |cached| cached.resolver.is_none_or(|only| only == resolver))
    }

    fn is_signed(&self) -> bool {
        self.zones.iter().any(|zone| zone.dnssec != Dnssec::Unsigned)
    }
}

/// Addresses that Knot serves, by the zones that are served there.
fn real_servers<'a>(
    scenario: &Scenario,
    world: &'a World,
) -> BTreeMap<Vec<usize>, (Vec<IpAddr>, Vec<&'a Served>)> {
    let mut groups: BTreeMap<Vec<usize>, (Vec<IpAddr>, Vec<&Served>)> = BTreeMap::new();
    for address in world.addresses() {
        let is_at_fault =
            scenario.faults.iter().any(|fault| fault.address == address && !fault.kind.is_zone_data());
        let zones: Vec<(usize, &Served)> = world
            .served
            .iter()
            .enumerate()
            .filter(|(_, served)| served.addresses.contains(&address))
            .collect();
        // The root and public suffixes are ours, unless there are signatures to make.
        let is_ours = address == REGISTRY && !scenario.is_signed();
        if is_at_fault || is_ours || !zones.iter().all(|(_, served)| knot::is_servable(&served.zone)) {
            continue;
        }
        let key = zones.iter().map(|(number, _)| *number).collect();
        let served = zones.into_iter().map(|(_, served)| served).collect();
        groups.entry(key).or_insert_with(|| (Vec::new(), served)).0.push(address);
    }
    groups
}

/// The zone whose key unbound trusts from the start, for a signed zone below it: the public suffix.
fn anchor_of(apex: &DomainName) -> Option<DomainName> {
    apex.ancestors().find(|above| registrable_domain(above).is_none())
}

fn is_anchor(scenario: &Scenario, apex: &DomainName) -> bool {
    let signed = scenario.zones.iter().filter(|zone| zone.dnssec != Dnssec::Unsigned);
    signed.filter_map(|zone| anchor_of(&zone.apex)).any(|anchor| anchor == *apex)
}

/// A DS record of a key that the zone does not have.
fn wrong_ds(apex: &DomainName) -> String {
    format!("{} 300 DS 12345 13 2 {}\n", apex.absolute(), "0123456789abcdef".repeat(4))
}

impl Network {
    /// Starts everything; returns when all of it answers and caches hold what they should.
    pub async fn start(scenario: &Scenario, servers: Servers, folder: &Path) -> io::Result<Self> {
        let world = World::new(scenario);
        let shared = Shared::new(FakeDns::new(scenario));
        let mut network =
            Self { own: Running::default(), programs: Vec::new(), anchor: None, players: BTreeMap::new() };
        let real: Vec<IpAddr> = scenario
            .resolvers
            .iter()
            .copied()
            .filter(|&address| scenario.has_real_resolver(address, servers))
            .collect();
        let preloads = real.iter().any(|&address| scenario.remembered_by(address).next().is_some());
        // Knot cannot be told another past: where caches are filled first, our own servers play it.
        if servers == Servers::Knot && !preloads {
            network.start_knot(scenario, &world, folder)?;
        }
        let own = world.addresses().into_iter().chain(scenario.resolvers.iter().copied());
        for address in own.collect::<Vec<_>>() {
            if !real.contains(&address) && !network.players.contains_key(&address) {
                network.own.serve(address, &shared).await?;
                network.players.insert(address, "own");
            }
        }
        for address in real {
            network.start_unbound(scenario, &shared, address, folder)?;
        }
        Ok(network)
    }

    /// Zones below come before those above, so that a parent has the DS records of its children.
    fn start_knot(&mut self, scenario: &Scenario, world: &World, folder: &Path) -> io::Result<()> {
        let mut ds: Vec<(DomainName, String)> = Vec::new();
        for (number, (addresses, zones)) in real_servers(scenario, world).into_values().enumerate() {
            let folder = folder.join(format!("knot-{number}"));
            let loaded: Vec<Loaded<'_>> = zones
                .iter()
                .map(|served| Loaded {
                    zone: &served.zone,
                    is_signed: served.dnssec != Dnssec::Unsigned || is_anchor(scenario, &served.zone.apex),
                    ds: ds
                        .iter()
                        .filter(|(parent, _)| *parent == served.zone.apex)
                        .map(|(_, ds)| &**ds)
                        .collect(),
                })
                .collect();
            self.programs.push(knot::start(&folder, &addresses, &loaded)?);
            self.players.extend(addresses.into_iter().map(|address| (address, "knot")));
            for served in zones {
                let apex = &served.zone.apex;
                let Some(parent) = anchor_of(apex) else { continue };
                match served.dnssec {
                    Dnssec::Unsigned => {}
                    Dnssec::Signed => ds.push((parent, knot::ds(&folder, apex)?)),
                    Dnssec::Bogus => ds.push((parent, wrong_ds(apex))),
                }
                if is_anchor(scenario, apex) {
                    self.anchor = Some(knot::ds(&folder, apex)?.trim().to_owned());
                }
            }
        }
        Ok(())
    }

    fn start_unbound(
        &mut self,
        scenario: &Scenario,
        shared: &Shared,
        address: IpAddr,
        folder: &Path,
    ) -> io::Result<()> {
        self.programs.push(unbound::start(folder, address, self.anchor.as_deref())?);
        self.players.insert(address, "unbound");
        shared.set(FakeDns::before(scenario, address));
        for cached in scenario.remembered_by(address) {
            preload(address, cached)?;
        }
        shared.set(FakeDns::new(scenario));
        Ok(())
    }
}

/// Asks a resolver, so that it remembers.
fn preload(resolver: IpAddr, cached: &Cached) -> io::Result<()> {
    let said = probe(resolver, &cached.name, cached.record_type, 0)?;
    match said.rcode {
        0 | 3 if (said.answers > 0) != cached.records.is_empty() => Ok(()),
        _ => Err(io::Error::other(format!("{resolver} does not remember {}: {said:?}", cached.name))),
    }
}

/// The header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The response code.
    pub rcode: u8,
    /// AD.
    pub is_authentic: bool,
    /// How many records the answer section has.
    pub answers: u16,
}

/// The AD bit of a query: the client wants to know about signatures (RFC 6840 §5.7).
pub const AUTHENTIC_DATA: u8 = 0x20;

/// The CD bit of a query.
pub const CHECKING_DISABLED: u8 = 0x10;

/// Asks a resolver without the client under test, with these bits in the second octet of flags.
pub fn probe(resolver: IpAddr, name: &DomainName, record_type: RecordType, flags: u8) -> io::Result<Probe> {
    let unspecified: IpAddr =
        if resolver.is_ipv4() { [0, 0, 0, 0].into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((unspecified, 0))?;
    socket.connect((resolver, 53))?;
    socket.set_read_timeout(Some(PROBE_LIMIT))?;
    let mut query = vec![0xbe, 0xef, 1, flags, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.wire_labels() {
        query.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        query.extend(label);
    }
    query.push(0);
    query.extend(record_type.code().to_be_bytes());
    query.extend([0, 1]);
    socket.send(&query)?;
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer)?;
    if length < 12 || answer[..2] != query[..2] {
        return Err(io::Error::other("no answer to the query"));
    }
    Ok(Probe {
        rcode: answer[3] & 0xf,
        is_authentic: answer[3] & AUTHENTIC_DATA != 0,
        answers: u16::from_be_bytes([answer[6], answer[7]]),
    })
}

/// The programs that tests over the wire use and that are not there.
pub fn missing_programs() -> Vec<&'static str> {
    ["unbound", "knotd"].into_iter().filter(|name| find(name).is_none()).collect()
}
