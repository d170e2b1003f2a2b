//! All zones of one generation, checked and indexed.
//!
//! Names are keys in wire format and lower case, so that each ancestor of a name is a suffix of its octets and a
//! lookup allocates nothing on its way down. Names between a record and the apex are nodes too, without records
//! (empty non-terminals, RFC 8020): they exist, and no wildcard covers them. The keys of a zone, of which there may be
//! very many, are in a [`KeyTable`] beside the nodes.

use super::{
    keys::KeyTable,
    record_set::{RecordSet, types, wire_name},
    sub_zones::SubZones,
    zone::{Zone, ZoneError},
};
use model::{DomainName, Record, RecordData};
use rustc_hash::FxHashMap;
use std::{collections::hash_map::Entry, sync::Arc};

/// The whole state of the server: replaced as one, never changed.
///
/// A clone shares the zones.
#[derive(Debug, Default, Clone)]
pub struct ZoneSet {
    pub(super) zones: FxHashMap<Box<[u8]>, IndexedZone>,
    pub(super) sub_zones: SubZones,
    /// The zone that has keys, which zones below it or elsewhere may lend.
    keys_of: Option<Box<[u8]>>,
    generation: u64,
}

/// Checks and indexes zones.
#[derive(Debug, Default)]
pub struct ZoneSetBuilder(ZoneSet);

/// How many earlier states of a zone are kept for secondaries, and how many octets they may take beside the current one.
const EARLIER: usize = 64;
const EARLIER_OCTETS: usize = 16 << 20;

/// About how much a node takes.
const NODE_OCTETS: usize = 300;

#[derive(Debug, Clone)]
pub(super) struct IndexedZone {
    /// Lower-case wire format.
    pub(super) apex: Box<[u8]>,
    pub(super) now: Arc<Version>,
    /// What it was before, latest first, and how many octets are kept for it.
    pub(super) earlier: Vec<(Arc<Version>, usize)>,
}

/// One state of a zone.
#[derive(Debug)]
pub(super) struct Version {
    /// Not among the nodes, since its serial changes when they do not.
    pub(super) soa: RecordSet,
    /// RFC 2308 §3: the smaller of the SOA's TTL and its MINIMUM.
    pub(super) negative_ttl: u32,
    pub(super) nodes: Arc<Nodes>,
    /// Everything below the name that it begins at.
    pub(super) keys: Option<KeyTable>,
}

/// One name. Its record sets, few as they are, are searched one after the other.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) sets: Vec<RecordSet>,
}

impl Node {
    pub(super) fn set(&self, rtype: u16) -> Option<&RecordSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }
}

impl ZoneSet {
    /// The number its builder was given; a higher one is newer.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there are no zones: every query is refused.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// The same zones, but one of them with other keys and under another serial.
    ///
    /// # Errors
    /// `KeysOutOfZone` where there is no such zone, or it never had keys at that name.
    pub fn with_keys(
        &self,
        generation: u64,
        apex: &DomainName,
        keys: KeyTable,
        serial: u32,
    ) -> Result<Self, ZoneError> {
        let refuse = || ZoneError::KeysOutOfZone { origin: keys.origin_name().clone(), apex: apex.clone() };
        let place = crate::name::to_wire(apex).map(|name| key(name.as_slice())).ok_or_else(refuse)?;
        let mut set = Self { generation, ..self.clone() };
        let zone = set.zones.get_mut(&place).ok_or_else(refuse)?;
        if zone.now.keys.as_ref().is_none_or(|known| known.origin() != keys.origin()) {
            return Err(refuse());
        }
        let now = Version {
            soa: zone.now.soa.with_serial(serial),
            negative_ttl: zone.now.negative_ttl,
            nodes: Arc::clone(&zone.now.nodes),
            keys: Some(keys),
        };
        let before = std::mem::replace(&mut zone.now, Arc::new(now));
        zone.keep(before);
        Ok(set)
    }

    /// The same zones, with these delegated to us beside them.
    #[must_use]
    pub fn with_sub_zones(self, sub_zones: SubZones) -> Self {
        Self { sub_zones, ..self }
    }

    /// Whether there are zones that are delegated to us.
    pub fn has_sub_zones(&self) -> bool {
        !self.sub_zones.is_empty()
    }

    /// The keys that delegated zones lend.
    pub(super) fn keys(&self) -> Option<&KeyTable> {
        self.zones.get(self.keys_of.as_ref()?)?.now.keys.as_ref()
    }

    /// The same set, which knows of each of its zones what it was before: so secondaries get what changed.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        for (apex, zone) in &mut self.zones {
            if let Some(before) = before.zones.get(apex) {
                zone.earlier.clone_from(&before.earlier);
                zone.keep(Arc::clone(&before.now));
            }
        }
        self
    }
}

impl ZoneSetBuilder {
    /// Starts an empty set.
    pub fn new(generation: u64) -> Self {
        Self(ZoneSet { generation, ..ZoneSet::default() })
    }

    /// Adds a zone. On an error the set is as it was.
    pub fn add(&mut self, zone: &Zone) -> Result<(), ZoneError> {
        self.insert(zone, None)
    }

    /// Adds a zone that has keys too. The zone itself has no record below the name that they begin at.
    pub fn add_with_keys(&mut self, zone: &Zone, keys: KeyTable) -> Result<(), ZoneError> {
        self.insert(zone, Some(keys))
    }

    fn insert(&mut self, zone: &Zone, keys: Option<KeyTable>) -> Result<(), ZoneError> {
        let has_keys = keys.is_some();
        let indexed = IndexedZone::new(zone, keys)?;
        match self.0.zones.entry(indexed.apex.clone()) {
            Entry::Occupied(_) => Err(ZoneError::Duplicate(zone.apex.clone())),
            Entry::Vacant(place) => {
                if has_keys {
                    self.0.keys_of = Some(indexed.apex.clone());
                }
                place.insert(indexed);
                Ok(())
            }
        }
    }

    /// The finished set.
    pub fn build(self) -> ZoneSet {
        self.0
    }
}

pub(super) type Nodes = FxHashMap<Box<[u8]>, Node>;

impl IndexedZone {
    pub(super) fn new(zone: &Zone, keys: Option<KeyTable>) -> Result<Self, ZoneError> {
        let soa_record =
            Record { owner: zone.apex.clone(), ttl: zone.soa_ttl, data: RecordData::Soa(zone.soa.clone()) };
        let apex = key(wire_name(&zone.apex, &soa_record)?.as_slice());
        let soa = RecordSet::of(&soa_record)?;
        let mut nodes = Nodes::default();
        nodes.insert(apex.clone(), Node::default());
        for record in &zone.records {
            insert(&mut nodes, &apex, zone, record)?;
        }
        if let Some(keys) = &keys {
            add_origin(&mut nodes, &apex, zone, keys)?;
        }
        let negative_ttl = zone.soa_ttl.min(zone.soa.minimum);
        let now = Version { soa, negative_ttl, nodes: Arc::new(nodes), keys };
        Ok(Self { apex, now: Arc::new(now), earlier: Vec::new() })
    }

    /// Keeps what the zone was before, and lets go of what is too long ago.
    fn keep(&mut self, before: Arc<Version>) {
        if before.soa.serial() == self.now.soa.serial() {
            return;
        }
        let keys = match (&before.keys, &self.now.keys) {
            (Some(before), Some(now)) if before.is_of_one_make(now) => before.octets_beside(now),
            (None, None) => 0,
            // What changed cannot be told any more.
            _ => return self.earlier.clear(),
        };
        let is_shared = Arc::ptr_eq(&before.nodes, &self.now.nodes);
        let nodes = if is_shared { 0 } else { before.nodes.len() * NODE_OCTETS };
        self.earlier.insert(0, (before, keys + nodes));
        let mut octets = 0;
        let kept = self.earlier.iter().take(EARLIER).take_while(|(_, of_it)| {
            octets += of_it;
            octets <= EARLIER_OCTETS
        });
        let kept = kept.count();
        self.earlier.truncate(kept);
    }
}

fn insert(nodes: &mut Nodes, apex: &[u8], zone: &Zone, record: &Record) -> Result<(), ZoneError> {
    if !record.owner.is_at_or_below(&zone.apex) {
        return Err(ZoneError::OutOfZone { owner: record.owner.clone(), apex: zone.apex.clone() });
    }
    if matches!(record.data, RecordData::Soa(_)) {
        return Err(ZoneError::Soa(record.owner.clone()));
    }
    let key = key(wire_name(&record.owner, record)?.as_slice());
    add_ancestors(nodes, apex, &key);
    let is_apex = *key == *apex;
    let node = nodes.entry(key).or_default();
    let rtype = record.data.record_type().code();
    if let Some(set) = node.sets.iter_mut().find(|set| set.rtype == rtype) {
        set.add(record)?;
    } else {
        node.sets.push(RecordSet::of(record)?);
    }
    // The SOA record is one of the apex, wherever it is kept.
    let sets = node.sets.len() + usize::from(is_apex);
    let alias = node.set(types::CNAME);
    if !zone.lenient && alias.is_some_and(|alias| alias.count > 1 || sets > 1) {
        return Err(ZoneError::CnameAndOther(record.owner.clone()));
    }
    Ok(())
}

/// Names between a name and the apex exist (RFC 8020).
fn add_ancestors(nodes: &mut Nodes, apex: &[u8], key: &[u8]) {
    for ancestor in suffixes(key).take_while(|suffix| suffix.len() > apex.len()).skip(1) {
        if nodes.contains_key(ancestor) {
            break;
        }
        nodes.insert(ancestor.into(), Node::default());
    }
}

/// Makes the name that keys begin at.
fn add_origin(nodes: &mut Nodes, apex: &[u8], zone: &Zone, keys: &KeyTable) -> Result<(), ZoneError> {
    let origin = keys.origin();
    if !suffixes(origin).skip(1).any(|suffix| suffix == apex) {
        let origin = keys.origin_name().clone();
        return Err(ZoneError::KeysOutOfZone { origin, apex: zone.apex.clone() });
    }
    let is_below = |name: &[u8]| suffixes(name).skip(1).any(|suffix| suffix == origin);
    // Nor is what is above them delegated.
    let is_cut = |name: &[u8], node: &Node| {
        node.set(types::NS).is_some() && *name != *apex && suffixes(origin).any(|suffix| suffix == name)
    };
    if nodes.iter().any(|(name, node)| is_below(name) || is_cut(name, node)) {
        return Err(ZoneError::AmongKeys(keys.origin_name().clone()));
    }
    add_ancestors(nodes, apex, origin);
    nodes.entry(origin.into()).or_default();
    Ok(())
}

/// The key of a name.
fn key(name: &[u8]) -> Box<[u8]> {
    name.to_ascii_lowercase().into_boxed_slice()
}

/// A name in wire format and everything above it, nearest first, down to the root's single octet.
pub(super) fn suffixes(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |rest| {
        let length = usize::from(*rest.first()?);
        if length == 0 { None } else { rest.get(length + 1..).filter(|rest| !rest.is_empty()) }
    })
}
