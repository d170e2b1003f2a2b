//! The records of one name and type, as they go out: nothing is left to do for an answer but to copy them.

use super::zone::ZoneError;
use crate::name;
use bytes::Bytes;
use domain::base::Name;
use model::{DomainName, Record, RecordData, RecordType};

/// Types that are asked for by their number (RFC 1035 §3.2.2, RFC 4034, RFC 6891).
pub(super) mod types {
    pub(in crate::authority) const NS: u16 = 2;
    pub(in crate::authority) const CNAME: u16 = 5;
    pub(in crate::authority) const SOA: u16 = 6;
    pub(in crate::authority) const HINFO: u16 = 13;
    pub(in crate::authority) const TXT: u16 = 16;
    pub(in crate::authority) const A: u16 = 1;
    pub(in crate::authority) const AAAA: u16 = 28;
    pub(in crate::authority) const OPT: u16 = 41;
    pub(in crate::authority) const DS: u16 = 43;
    pub(in crate::authority) const IXFR: u16 = 251;
    pub(in crate::authority) const AXFR: u16 = 252;
    pub(in crate::authority) const ANY: u16 = 255;
}

/// The records of one name and type (RFC 2181 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordSet {
    pub(super) rtype: u16,
    pub(super) ttl: u32,
    pub(super) count: u16,
    /// Of each record the length of its data, and the data with names as they are, not compressed.
    rdata: Box<[u8]>,
}

impl RecordSet {
    pub(super) fn new(rtype: u16, ttl: u32) -> Self {
        Self { rtype, ttl, count: 0, rdata: Box::default() }
    }

    /// A set of one record.
    pub(super) fn of(record: &Record) -> Result<Self, ZoneError> {
        let mut set = Self::new(record.data.record_type().code(), record.ttl);
        set.add(record)?;
        Ok(set)
    }

    /// Adds a record, unless it is there.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), ZoneError> {
        // RFC 2181 §5.2: the records of a set have one TTL.
        self.ttl = self.ttl.min(record.ttl);
        let data = wire_data(record)?;
        if self.data().any(|known| known == data) {
            return Ok(());
        }
        let length = u16::try_from(data.len()).map_err(|_| bad(record, "it has more than 65535 octets"))?;
        let count = self.count.checked_add(1);
        self.count = count.ok_or_else(|| bad(record, "there are 65535 of them already"))?;
        self.rdata = [&self.rdata, length.to_be_bytes().as_slice(), &data].concat().into();
        Ok(())
    }

    /// The data of each record.
    pub(super) fn data(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.rdata;
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (data, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = behind;
            Some(data)
        })
    }

    /// The same start of authority under another serial.
    pub(super) fn with_serial(&self, serial: u32) -> Self {
        let mut set = self.clone();
        // The serial is the first of the five numbers that a SOA record ends with (RFC 1035 §3.3.13).
        let at = set.rdata.len().saturating_sub(20);
        if let Some(place) = set.rdata.get_mut(at..at + 4) {
            place.copy_from_slice(&serial.to_be_bytes());
        }
        set
    }
}

/// A name in wire format.
pub(super) fn wire_name(name: &DomainName, record: &Record) -> Result<Name<Bytes>, ZoneError> {
    name::to_wire(name).ok_or_else(|| bad(record, "a name in it is too long"))
}

fn bad(record: &Record, problem: &'static str) -> ZoneError {
    ZoneError::BadData { owner: record.owner.clone(), record_type: record.data.record_type(), problem }
}

fn wire_data(record: &Record) -> Result<Vec<u8>, ZoneError> {
    let name = |name: &DomainName| wire_name(name, record).map(|name| name.as_slice().to_vec());
    Ok(match &record.data {
        RecordData::A(address) => address.octets().to_vec(),
        RecordData::Aaaa(address) => address.octets().to_vec(),
        RecordData::Cname(target) | RecordData::Ns(target) | RecordData::Ptr(target) => name(target)?,
        RecordData::Mx { preference, exchange } => {
            [preference.to_be_bytes().to_vec(), name(exchange)?].concat()
        }
        RecordData::Soa(soa) => {
            let mut data = [name(&soa.mname)?, name(&soa.rname)?].concat();
            for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                data.extend_from_slice(&number.to_be_bytes());
            }
            data
        }
        RecordData::Txt(text) => {
            let strings = text.as_wire();
            if strings.is_empty() || strings.len() > usize::from(u16::MAX) {
                return Err(bad(record, "it has no string, or more than 65535 octets"));
            }
            strings.to_vec()
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
            octets.clone()
        }
    })
}
