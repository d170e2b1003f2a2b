//! All zones of one generation, checked and indexed.
//!
//! Names are keys in wire format and lower case, so that each ancestor of a name is a suffix of its octets and a
//! lookup allocates nothing on its way down. Names between a record and the apex are nodes too, without records
//! (empty non-terminals, RFC 8020): they exist, and no wildcard covers them.

use super::zone::{Zone, ZoneError};
use crate::name;
use bytes::Bytes;
use domain::{
    base::{Name, Rtype, Serial, Ttl, name::ToName, rdata::UnknownRecordData},
    rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Txt, ZoneRecordData},
};
use model::{DomainName, Record, RecordData, RecordType};
use std::collections::{HashMap, hash_map::Entry};

/// Data ready to be written.
pub(super) type Data = ZoneRecordData<Bytes, Name<Bytes>>;

/// The whole state of the server: replaced as one, never changed.
#[derive(Debug, Default)]
pub struct ZoneSet {
    pub(super) zones: HashMap<Box<[u8]>, IndexedZone>,
    generation: u64,
}

/// Checks and indexes zones.
#[derive(Debug, Default)]
pub struct ZoneSetBuilder(ZoneSet);

#[derive(Debug)]
pub(super) struct IndexedZone {
    /// Lower-case wire format.
    pub(super) apex: Box<[u8]>,
    pub(super) apex_name: Name<Bytes>,
    pub(super) soa: RecordSet,
    /// RFC 2308 §3: the smaller of the SOA's TTL and its MINIMUM.
    pub(super) negative_ttl: Ttl,
    pub(super) nodes: HashMap<Box<[u8]>, Node>,
}

/// One name. Its record sets, few as they are, are searched one after the other.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) sets: Vec<RecordSet>,
}

/// The records of one name and type (RFC 2181 §5).
#[derive(Debug)]
pub(super) struct RecordSet {
    pub(super) rtype: Rtype,
    pub(super) ttl: Ttl,
    pub(super) data: Vec<Data>,
}

impl Node {
    pub(super) fn set(&self, rtype: Rtype) -> Option<&RecordSet> {
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
}

impl ZoneSetBuilder {
    /// Starts an empty set.
    pub fn new(generation: u64) -> Self {
        Self(ZoneSet { zones: HashMap::new(), generation })
    }

    /// Adds a zone. On an error the set is as it was.
    pub fn add(&mut self, zone: &Zone) -> Result<(), ZoneError> {
        let indexed = IndexedZone::new(zone)?;
        match self.0.zones.entry(indexed.apex.clone()) {
            Entry::Occupied(_) => Err(ZoneError::Duplicate(zone.apex.clone())),
            Entry::Vacant(place) => {
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

impl IndexedZone {
    fn new(zone: &Zone) -> Result<Self, ZoneError> {
        let soa_record =
            Record { owner: zone.apex.clone(), ttl: zone.soa_ttl, data: RecordData::Soa(zone.soa.clone()) };
        let apex_name = wire_name(&zone.apex, &soa_record)?;
        let apex = key(&apex_name);
        let soa_data = data(&soa_record)?;
        let soa_ttl = Ttl::from_secs(zone.soa_ttl);
        let soa_set = |data| RecordSet { rtype: Rtype::SOA, ttl: soa_ttl, data: vec![data] };
        let mut indexed = Self {
            apex: apex.clone(),
            apex_name,
            soa: soa_set(soa_data.clone()),
            negative_ttl: Ttl::from_secs(zone.soa_ttl.min(zone.soa.minimum)),
            nodes: HashMap::from([(apex, Node { sets: vec![soa_set(soa_data)] })]),
        };
        for record in &zone.records {
            indexed.insert(zone, record)?;
        }
        Ok(indexed)
    }

    fn insert(&mut self, zone: &Zone, record: &Record) -> Result<(), ZoneError> {
        if !record.owner.is_at_or_below(&zone.apex) {
            return Err(ZoneError::OutOfZone { owner: record.owner.clone(), apex: zone.apex.clone() });
        }
        if matches!(record.data, RecordData::Soa(_)) {
            return Err(ZoneError::Soa(record.owner.clone()));
        }
        let key = key(&wire_name(&record.owner, record)?);
        let data = data(record)?;
        let rtype = Rtype::from_int(record.data.record_type().code());
        let ttl = Ttl::from_secs(record.ttl);
        for ancestor in suffixes(&key).take_while(|suffix| suffix.len() > self.apex.len()).skip(1) {
            if self.nodes.contains_key(ancestor) {
                break;
            }
            self.nodes.insert(ancestor.into(), Node::default());
        }
        let node = self.nodes.entry(key).or_default();
        if let Some(set) = node.sets.iter_mut().find(|set| set.rtype == rtype) {
            // RFC 2181 §5.2: the records of a set have one TTL.
            set.ttl = set.ttl.min(ttl);
            if !set.data.contains(&data) {
                set.data.push(data);
            }
        } else {
            node.sets.push(RecordSet { rtype, ttl, data: vec![data] });
        }
        let alias = node.set(Rtype::CNAME);
        if !zone.lenient && alias.is_some_and(|alias| alias.data.len() > 1 || node.sets.len() > 1) {
            return Err(ZoneError::CnameAndOther(record.owner.clone()));
        }
        Ok(())
    }
}

/// The key of a name.
fn key(name: &Name<Bytes>) -> Box<[u8]> {
    name.as_slice().to_ascii_lowercase().into_boxed_slice()
}

/// A name in wire format and everything above it, nearest first, down to the root's single octet.
pub(super) fn suffixes(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |rest| {
        let length = usize::from(*rest.first()?);
        if length == 0 { None } else { rest.get(length + 1..).filter(|rest| !rest.is_empty()) }
    })
}

fn wire_name(name: &DomainName, record: &Record) -> Result<Name<Bytes>, ZoneError> {
    name::to_wire(name).ok_or_else(|| bad(record, "a name in it is too long"))
}

fn bad(record: &Record, problem: &'static str) -> ZoneError {
    ZoneError::BadData { owner: record.owner.clone(), record_type: record.data.record_type(), problem }
}

fn data(record: &Record) -> Result<Data, ZoneError> {
    let name = |name: &DomainName| wire_name(name, record);
    Ok(match &record.data {
        RecordData::A(address) => A::new(*address).into(),
        RecordData::Aaaa(address) => Aaaa::new(*address).into(),
        RecordData::Cname(target) => Cname::new(name(target)?).into(),
        RecordData::Ns(server) => Ns::new(name(server)?).into(),
        RecordData::Ptr(target) => Ptr::new(name(target)?).into(),
        RecordData::Mx { preference, exchange } => Mx::new(*preference, name(exchange)?).into(),
        RecordData::Soa(soa) => Soa::new(
            name(&soa.mname)?,
            name(&soa.rname)?,
            Serial(soa.serial),
            Ttl::from_secs(soa.refresh),
            Ttl::from_secs(soa.retry),
            Ttl::from_secs(soa.expire),
            Ttl::from_secs(soa.minimum),
        )
        .into(),
        RecordData::Txt(text) => {
            let txt = Txt::from_octets(Bytes::copy_from_slice(text.as_wire()))
                .map_err(|_| bad(record, "it has no string, or more than 65535 octets"))?;
            ZoneRecordData::Txt(txt)
        }
        RecordData::Other { code, octets } => {
            // Types with a form of their own come in it only; OPT and types from 128 to 255 are for queries
            // (RFC 6895 §3.1).
            let named = !matches!(
                RecordType::from_code(*code),
                RecordType::Srv | RecordType::Caa | RecordType::Other(_)
            );
            if named || matches!(*code, 0 | 41 | 128..=255) {
                return Err(bad(record, "this type has no place in a zone as plain octets"));
            }
            let unknown =
                UnknownRecordData::from_octets(Rtype::from_int(*code), Bytes::copy_from_slice(octets))
                    .map_err(|_| bad(record, "it has more than 65535 octets"))?;
            ZoneRecordData::Unknown(unknown)
        }
    })
}

/// The target of an alias, where the set is one.
pub(super) fn alias_target(set: &RecordSet) -> Option<Name<Bytes>> {
    match set.data.first()? {
        ZoneRecordData::Cname(cname) => Some(cname.cname().to_bytes()),
        _ => None,
    }
}
