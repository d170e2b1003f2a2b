//! A zone as data, and zone text (RFC 1035 §5).

use crate::name;
use domain::{
    base::{iana::Class, name::ToName, rdata::ComposeRecordData},
    rdata::ZoneRecordData,
    zonefile::inplace::{Entry, Zonefile},
};
use model::{DomainName, Record, RecordData, RecordType, Soa, TxtData};

/// One zone with all of its records but the SOA, which stands apart because every zone has exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The name the zone begins at.
    pub apex: DomainName,
    /// The start of authority.
    pub soa: Soa,
    /// The TTL of the SOA record, in seconds.
    pub soa_ttl: u32,
    /// Everything else, in any order.
    pub records: Vec<Record>,
    /// Takes data beside a CNAME, which RFC 1034 §3.6.2 forbids: the data answers its own types, the CNAME the
    /// rest. For zones that play a DNS host's mistakes.
    pub lenient: bool,
}

/// Why a zone cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The text could not be read.
    #[error("zone {apex}: {problem}")]
    Text {
        /// The zone.
        apex: DomainName,
        /// With the line and column that the reader had come to.
        problem: String,
    },
    /// A record is neither at the apex nor below it.
    #[error("{owner} is not in the zone {apex}")]
    OutOfZone {
        /// The record's owner.
        owner: DomainName,
        /// The zone.
        apex: DomainName,
    },
    /// Two zones of one set begin at the same name.
    #[error("the zone {0} is there twice")]
    Duplicate(DomainName),
    /// A SOA record beside the zone's own.
    #[error("{0} has a SOA record of its own; a zone has one, at its apex")]
    Soa(DomainName),
    /// RFC 1034 §3.6.2.
    #[error("{0} has a CNAME and other records; a CNAME stands alone")]
    CnameAndOther(DomainName),
    /// The name that keys begin at is not in the zone.
    #[error("keys at {origin} are not in the zone {apex}, or not where they were")]
    KeysOutOfZone {
        /// Where they begin.
        origin: DomainName,
        /// The zone.
        apex: DomainName,
    },
    /// A record below the name that keys begin at: nothing but keys is there.
    #[error("there is a record below {0}, where the keys are; nothing else can be there")]
    AmongKeys(DomainName),
    /// A selector or an apex that is no name in wire format.
    #[error("{0:?} cannot be a name of a zone")]
    NoSelector(String),
    /// The data does not fit its type.
    #[error("the {record_type} record at {owner} cannot be served: {problem}")]
    BadData {
        /// The record's owner.
        owner: DomainName,
        /// Its type.
        record_type: RecordType,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Zone {
    /// An empty zone.
    pub fn new(apex: DomainName, soa: Soa) -> Self {
        Self { apex, soa, soa_ttl: 3600, records: Vec::new(), lenient: false }
    }

    /// Reads zone text; relative names belong to the apex. `$INCLUDE` is refused. A text without a SOA record gets
    /// one with times of a minute, so that scenarios need not repeat it.
    pub fn from_text(apex: &DomainName, text: &str, lenient: bool) -> Result<Self, ZoneError> {
        let refuse = |problem: String| ZoneError::Text { apex: apex.clone(), problem };
        let origin = name::to_wire(apex).ok_or_else(|| refuse("its name is too long".to_owned()))?;
        let mut zonefile = Zonefile::with_capacity(text.len() + 1);
        zonefile.extend_from_slice(text.as_bytes());
        zonefile.extend_from_slice(b"\n");
        zonefile.set_origin(origin);
        zonefile.set_default_class(Class::IN);
        let mut zone = Self { soa_ttl: 60, lenient, ..Self::new(apex.clone(), default_soa(apex)) };
        let mut has_soa = false;
        while let Some(entry) =
            zonefile.next_entry().map_err(|error| refuse(format!("before line {error}")))?
        {
            let record = match entry {
                Entry::Record(record) => record,
                Entry::Include { .. } => return Err(refuse("$INCLUDE is not supported".to_owned())),
            };
            if record.class() != Class::IN {
                return Err(refuse(format!("class {} is not served", record.class())));
            }
            let ttl = record.ttl().as_secs();
            let (Some(owner), Some(data)) = (name::from_wire(record.owner()), record_data(record.data()))
            else {
                return Err(refuse("a name in it is too long".to_owned()));
            };
            match data {
                RecordData::Soa(soa) if owner == *apex && !has_soa => {
                    has_soa = true;
                    zone.soa = soa;
                    zone.soa_ttl = ttl;
                }
                RecordData::Soa(_) => return Err(ZoneError::Soa(owner)),
                data => zone.records.push(Record { owner, ttl, data }),
            }
        }
        Ok(zone)
    }
}

fn default_soa(apex: &DomainName) -> Soa {
    Soa {
        mname: apex.prepend("ns").unwrap_or_else(|_| apex.clone()),
        rname: apex.prepend("hostmaster").unwrap_or_else(|_| apex.clone()),
        serial: 1,
        refresh: 60,
        retry: 60,
        expire: 3600,
        minimum: 60,
    }
}

/// The scanner knows `@` as an owner only; in data it comes out as a label of that name (RFC 1035 §5.1).
fn zone_name(name: &impl ToName) -> Option<DomainName> {
    let name = name::from_wire(name)?;
    if name.labels().next() == Some("@") { name.parent() } else { Some(name) }
}

fn record_data<O: AsRef<[u8]>, N: ToName>(data: &ZoneRecordData<O, N>) -> Option<RecordData> {
    Some(match data {
        ZoneRecordData::A(a) => RecordData::A(a.addr()),
        ZoneRecordData::Aaaa(aaaa) => RecordData::Aaaa(aaaa.addr()),
        ZoneRecordData::Cname(cname) => RecordData::Cname(zone_name(cname.cname())?),
        ZoneRecordData::Ns(ns) => RecordData::Ns(zone_name(ns.nsdname())?),
        ZoneRecordData::Ptr(ptr) => RecordData::Ptr(zone_name(ptr.ptrdname())?),
        ZoneRecordData::Mx(mx) => {
            RecordData::Mx { preference: mx.preference(), exchange: zone_name(mx.exchange())? }
        }
        ZoneRecordData::Txt(txt) => RecordData::Txt(TxtData::from_strings(&txt.iter().collect::<Vec<_>>())),
        ZoneRecordData::Soa(soa) => RecordData::Soa(Soa {
            mname: zone_name(soa.mname())?,
            rname: zone_name(soa.rname())?,
            serial: soa.serial().into_int(),
            refresh: soa.refresh().as_secs(),
            retry: soa.retry().as_secs(),
            expire: soa.expire().as_secs(),
            minimum: soa.minimum().as_secs(),
        }),
        other => {
            use domain::base::rdata::RecordData as _;
            let mut octets = Vec::new();
            other.compose_rdata(&mut octets).ok()?;
            RecordData::Other { code: other.rtype().to_int(), octets }
        }
    })
}
