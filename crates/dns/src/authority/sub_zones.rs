//! Zones that customers delegate to us: very many of them, alike but for their names and keys.
//!
//! What all zones of one kind have is kept once, in a [`Shape`], by names relative to the apex. A zone is its name, its
//! name servers, and which keys of the [`KeyTable`] are to be found in it: a new key is served by all zones that have it
//! with the same change. Like the table, the zones are in shards that clones share, so one zone more copies one shard.
//!
//! Their serial never changes and they are not transferred: each server has them from the store.

use super::{
    keys::KeyTable,
    lookup::{Here, Place},
    query::Name,
    record_set::{RecordSet, types},
    zone::{Zone, ZoneError},
    zone_set::{IndexedZone, Node, Nodes, suffixes},
};
use model::{DomainName, Record, RecordData};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::{collections::BTreeSet, hash::BuildHasher, sync::Arc};

/// How many shards there are.
const SHARDS: usize = 256;

/// What the zones of one kind have in common.
#[derive(Debug)]
pub struct Shape {
    soa: RecordSet,
    negative_ttl: u32,
    /// By names relative to the apex; the apex itself has the empty one.
    nodes: Nodes,
}

/// One zone.
#[derive(Debug, Clone)]
pub struct SubZone {
    shape: Arc<Shape>,
    /// The NS records of its apex.
    servers: RecordSet,
    keys: Box<[LentKey]>,
    is_proven: bool,
}

/// A key of the table at a name of the zone.
#[derive(Debug, Clone)]
struct LentKey {
    /// The name, relative to the apex.
    at: Box<[u8]>,
    /// Where the key is in the table.
    labels: Box<[u8]>,
}

/// All of them. A clone shares them.
#[derive(Debug, Clone)]
pub struct SubZones {
    shards: Vec<Arc<Shard>>,
    count: usize,
}

type Shard = FxHashMap<Box<[u8]>, SubZone>;

impl Shape {
    /// The kind that a zone is one of. Its NS records, where it has any, are of that zone alone.
    ///
    /// # Errors
    /// As for a zone; and names that are delegated further, or wildcards, are not served so.
    pub fn new(zone: &Zone) -> Result<Self, ZoneError> {
        let mut zone = zone.clone();
        zone.records.retain(|record| record.owner != zone.apex || !matches!(record.data, RecordData::Ns(_)));
        let refused = zone.records.iter().find(|record| {
            matches!(record.data, RecordData::Ns(_)) || record.owner.labels().next() == Some("*")
        });
        if let Some(record) = refused {
            return Err(ZoneError::BadData {
                owner: record.owner.clone(),
                record_type: record.data.record_type(),
                problem: "a zone that is one of many has no delegations and no wildcards",
            });
        }
        let IndexedZone { apex, now, .. } = IndexedZone::new(&zone, None)?;
        let now = Arc::try_unwrap(now).map_err(|_| ZoneError::Duplicate(zone.apex.clone()))?;
        let nodes = Arc::try_unwrap(now.nodes).map_err(|_| ZoneError::Duplicate(zone.apex.clone()))?;
        let relative =
            nodes.into_iter().map(|(name, node)| (Box::from(&name[..name.len() - apex.len()]), node));
        Ok(Self { soa: now.soa, negative_ttl: now.negative_ttl, nodes: relative.collect() })
    }
}

impl SubZone {
    /// A zone with these name servers, and keys that are at `<first>._domainkey` and in the table at the second. One that is
    /// proven is delegated to us by its owner; none below it is served that is not. Of another there are its apex and its name
    /// servers: what it is to have is not known to be wanted.
    ///
    /// # Errors
    /// When a name is too long or is none.
    pub fn new(
        shape: &Arc<Shape>,
        name_servers: &[DomainName],
        ttl: u32,
        keys: &[(String, String)],
        is_proven: bool,
    ) -> Result<Self, ZoneError> {
        let mut servers = RecordSet::new(types::NS, ttl);
        for name in name_servers {
            let data = RecordData::Ns(name.clone());
            servers.add(&Record { owner: DomainName::root(), ttl, data })?;
        }
        let lent = |(at, place): &(String, String)| {
            let name = |text: &str| {
                let refuse = |_| ZoneError::NoSelector(text.to_owned());
                let name = DomainName::parse(text).map_err(refuse)?;
                let wire =
                    crate::name::to_wire(&name).ok_or_else(|| ZoneError::NoSelector(text.to_owned()))?;
                let wire = wire.as_slice().to_ascii_lowercase();
                Ok(Box::from(wire.split_last().map_or(&[][..], |(_, labels)| labels)))
            };
            Ok(LentKey { at: name(&format!("{at}._domainkey"))?, labels: name(place)? })
        };
        let keys = keys.iter().map(lent).collect::<Result<_, ZoneError>>()?;
        Ok(Self { shape: Arc::clone(shape), servers, keys, is_proven })
    }

    pub(super) fn soa(&self) -> &RecordSet {
        &self.shape.soa
    }

    pub(super) fn negative_ttl(&self) -> u32 {
        self.shape.negative_ttl
    }

    /// The records of a type at the apex.
    pub(super) fn at_apex(&self, rtype: u16) -> Option<&RecordSet> {
        match rtype {
            types::SOA => Some(&self.shape.soa),
            types::NS => Some(&self.servers),
            _ if !self.is_proven => None,
            _ => self.shape.nodes.get(&[][..]).and_then(|node: &Node| node.set(rtype)),
        }
    }

    /// Where a name at or below the apex leads to, which has so many labels.
    pub(super) fn place<'a>(
        &'a self,
        name: &Name,
        apex_labels: usize,
        keys: Option<&'a KeyTable>,
    ) -> Place<'a> {
        let relative = &name.as_slice()[..name.start_of(apex_labels)];
        if relative.is_empty() {
            return Place::Found(Here::SubApex(self), None);
        }
        if !self.is_proven {
            return Place::Missing;
        }
        if let Some(lent) = self.keys.iter().find(|lent| *lent.at == *relative) {
            let value = keys.and_then(|keys| Some((keys.find(&lent.labels)?.value?, keys.ttl())));
            let here = value.map_or(Here::Nothing, |(value, ttl)| Here::Key(value, ttl));
            return Place::Found(here, None);
        }
        if let Some(node) = self.shape.nodes.get(relative) {
            return Place::Found(Here::Node(node), None);
        }
        let is_above = |lent: &LentKey| suffixes(&lent.at).skip(1).any(|suffix| suffix == relative);
        if self.keys.iter().any(is_above) {
            return Place::Found(Here::Nothing, None);
        }
        Place::Missing
    }
}

impl Default for SubZones {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); SHARDS], count: 0 }
    }
}

impl SubZones {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Serves a zone; what was served at its name before is gone.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn put(&mut self, apex: &DomainName, zone: SubZone) -> Result<(), ZoneError> {
        let wire = wire(apex).ok_or_else(|| ZoneError::NoSelector(apex.to_string()))?;
        if let Some(shard) = self.shards.get_mut(shard_of(&wire))
            && Arc::make_mut(shard).insert(wire, zone).is_none()
        {
            self.count += 1;
        }
        Ok(())
    }

    /// Serves no zone at a name any more.
    pub fn remove(&mut self, apex: &DomainName) {
        let Some(wire) = wire(apex) else { return };
        if let Some(shard) = self.shards.get_mut(shard_of(&wire))
            && shard.contains_key(&wire)
        {
            Arc::make_mut(shard).remove(&wire);
            self.count -= 1;
        }
    }

    /// Those of them with these names.
    #[must_use]
    pub fn only(&self, names: &BTreeSet<DomainName>) -> Self {
        let mut some = Self::default();
        for wire in names.iter().filter_map(wire) {
            if let Some(zone) = self.get(&wire)
                && let Some(shard) = some.shards.get_mut(shard_of(&wire))
            {
                Arc::make_mut(shard).insert(wire, zone.clone());
                some.count += 1;
            }
        }
        some
    }

    fn get(&self, apex: &[u8]) -> Option<&SubZone> {
        self.shards.get(shard_of(apex))?.get(apex)
    }

    /// Whether there is a zone with this apex.
    pub fn has(&self, apex: &DomainName) -> bool {
        wire(apex).is_some_and(|wire| self.get(&wire).is_some())
    }

    /// The zone that answers for a name, and how many labels its apex has: the one with the longest apex of those that are
    /// proven, so that one above takes nothing from it, and one that is not gets no names of another's zone; where none is
    /// proven, the one with the longest apex.
    pub(super) fn zone_of(&self, name: &Name) -> Option<(&SubZone, usize)> {
        if self.is_empty() {
            return None;
        }
        let at_or_above = (1..=name.labels()).rev();
        let mut zones = at_or_above.filter_map(|labels| Some((self.get(name.last(labels))?, labels)));
        let longest = zones.next()?;
        if longest.0.is_proven {
            return Some(longest);
        }
        Some(zones.find(|(zone, _)| zone.is_proven).unwrap_or(longest))
    }
}

fn wire(name: &DomainName) -> Option<Box<[u8]>> {
    Some(crate::name::to_wire(name)?.as_slice().to_ascii_lowercase().into_boxed_slice())
}

fn shard_of(apex: &[u8]) -> usize {
    usize::try_from(FxBuildHasher.hash_one(apex) >> 20).unwrap_or_default() % SHARDS
}
