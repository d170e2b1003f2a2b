//! What our DNS server serves: the platform zone, and in development the playground zones and the root above them.
//!
//! Keys are not here: there are very many, and `zone_feed` keeps them.

use crate::{
    App,
    error::{Error, Result},
    playground::{PLAYGROUND_HOST, record_of},
    settings::Settings,
};
use dns::authority::{KeyTable, Zone, ZoneSet, ZoneSetBuilder};
use model::{DomainName, Record, RecordData, Soa, TxtData};
use std::net::IpAddr;

/// How long resolvers may keep a key or the SPF include, in seconds.
pub(crate) const TTL: u32 = 300;

/// How long resolvers may keep "no such name": short, since the next key may be published any moment.
const NEGATIVE_TTL: u32 = 30;

/// The name server of playground zones.
const PLAYGROUND_NAME_SERVER: &str = "ns1.playground.test";

impl App {
    /// What of the zone is the operator's configuration, as a text that is another one when that is.
    pub(crate) fn settings_in_zone(&self) -> std::result::Result<String, model::DomainNameError> {
        platform_zone(&self.settings, &[], 0).map(|zone| format!("{zone:?}"))
    }

    /// All zones, with these keys.
    pub(crate) async fn zones_with(&self, generation: u64, keys: KeyTable) -> Result<ZoneSet> {
        let own = self.store.selectors_of(&self.settings.platform_zone).await?;
        let mut platform = platform_zone(&self.settings, &own, generation).map_err(internal)?;
        for (name, selector, public_key) in self.store.sandbox_keys(&self.settings.platform_zone).await? {
            let records = sandbox_records(&self.settings, name, &selector, &public_key);
            platform.records.extend(records.map_err(internal)?);
        }
        if let Some(key) = self.connect_key().await? {
            let records = crate::domain_connect::zone_records(&key, &self.settings.platform_zone, TTL);
            platform.records.extend(records.map_err(internal)?);
        }
        let mut set = ZoneSetBuilder::new(generation);
        set.add_with_keys(&platform, keys).map_err(internal)?;
        if self.settings.playground {
            set.add(&root_zone(generation)).map_err(internal)?;
            set.add(&playground_host_zone(&self.settings, generation).map_err(internal)?)
                .map_err(internal)?;
            for (zone, records) in self.store.all_zones_with_records().await? {
                let zone = playground_zone(&zone, &records).map_err(internal)?;
                // What somebody typed must never keep our own zone from being served.
                if let Err(error) = set.add(&zone) {
                    tracing::warn!(apex = %zone.apex, %error, "a playground zone cannot be served");
                }
            }
        }
        Ok(set.build())
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the DNS zones could not be built: {error}"))
}

struct Builder {
    apex: DomainName,
    records: Vec<Record>,
}

impl Builder {
    fn add(&mut self, label: &str, data: RecordData) -> std::result::Result<(), model::DomainNameError> {
        let owner = if label.is_empty() { self.apex.clone() } else { self.apex.prepend(label)? };
        self.records.push(Record { owner, ttl: TTL, data });
        Ok(())
    }

    fn addresses(
        &mut self,
        label: &str,
        addresses: &[IpAddr],
    ) -> std::result::Result<(), model::DomainNameError> {
        for address in addresses {
            let data = match address {
                IpAddr::V4(v4) => RecordData::A(*v4),
                IpAddr::V6(v6) => RecordData::Aaaa(*v6),
            };
            self.add(label, data)?;
        }
        Ok(())
    }

    fn text(&mut self, label: &str, text: &str) -> std::result::Result<(), model::DomainNameError> {
        self.add(label, RecordData::Txt(TxtData::from_text(text)))
    }
}

/// Aliases to the keys of the zone's own mail (`own`) where receivers look, the SPF include at `spf` and `notices`, bounces
/// at `bounce` and `feedback`, and the consent to DMARC reports about other domains (RFC 9990 §4). The keys themselves are
/// at `<selector>.dkim`.
fn platform_zone(
    settings: &Settings,
    own: &[String],
    generation: u64,
) -> std::result::Result<Zone, model::DomainNameError> {
    let apex = settings.platform_zone.clone();
    let mut zone = Builder { apex: apex.clone(), records: Vec::new() };
    for server in &settings.name_servers {
        zone.add("", RecordData::Ns(server.name.clone()))?;
        if let Some(label) = server.name.relative_to(&apex) {
            zone.addresses(&label, &server.addresses)?;
        }
    }
    // What zones are delegated to: each has names of its own for them.
    for server in settings.zone_servers() {
        if let Some(label) = server.name.relative_to(&apex) {
            zone.addresses(&format!("*.{label}"), &server.addresses)?;
        }
    }
    zone.addresses("feedback", &settings.public_addresses)?;
    let feedback = apex.prepend("feedback")?;
    let spf = spf_record(&settings.sender_addresses);
    for label in ["spf", "notices"] {
        zone.text(label, &spf)?;
    }
    for label in ["", "bounce"] {
        zone.add(label, RecordData::Mx { preference: 10, exchange: feedback.clone() })?;
        zone.text(label, &format!("v=spf1 include:spf.{apex} ~all"))?;
    }
    let (sentinel, text) = crate::outage::SENTINEL;
    zone.text(sentinel, text)?;
    zone.text("_dmarc", "v=DMARC1; p=reject")?;
    zone.text("*._report._dmarc", "v=DMARC1")?;
    for selector in own {
        let target = apex.prepend("dkim")?.prepend(selector)?;
        zone.add(&format!("{selector}._domainkey"), RecordData::Cname(target))?;
    }
    Ok(served(apex, soa(settings.first_name_server(), generation), zone.records))
}

/// The record of a key (RFC 6376 §3.6.1).
pub(crate) fn key_text(public_key: &str) -> String {
    format!("v=DKIM1; k=rsa; p={public_key}")
}

/// What a sandbox domain is verified by.
fn sandbox_records(
    settings: &Settings,
    name: DomainName,
    selector: &str,
    public_key: &str,
) -> std::result::Result<[Record; 2], model::DomainNameError> {
    let record =
        |owner, text: String| Record { owner, ttl: TTL, data: RecordData::Txt(TxtData::from_text(&text)) };
    let key = name.prepend("_domainkey")?.prepend(selector)?;
    Ok([
        record(key, key_text(public_key)),
        record(name, format!("v=spf1 include:spf.{} ~all", settings.platform_zone)),
    ])
}

/// `v=spf1 ip4:… ip6:… ~all`.
pub(crate) fn spf_record(addresses: &[IpAddr]) -> String {
    let mechanisms: String = addresses
        .iter()
        .map(|address| match address {
            IpAddr::V4(v4) => format!("ip4:{v4} "),
            IpAddr::V6(v6) => format!("ip6:{v6} "),
        })
        .collect();
    format!("v=spf1 {mechanisms}~all")
}

/// In development our server is the whole internet: what is in none of its zones does not exist.
fn root_zone(generation: u64) -> Zone {
    let name_server = DomainName::parse(PLAYGROUND_NAME_SERVER).unwrap_or_default();
    let ns = Record { owner: DomainName::root(), ttl: TTL, data: RecordData::Ns(name_server.clone()) };
    served(DomainName::root(), soa(&name_server, generation), vec![ns])
}

fn playground_host_zone(
    settings: &Settings,
    generation: u64,
) -> std::result::Result<Zone, model::DomainNameError> {
    let name_server = DomainName::parse(PLAYGROUND_NAME_SERVER)?;
    let apex = DomainName::parse(PLAYGROUND_HOST)?;
    let mut zone = Builder { apex: apex.clone(), records: Vec::new() };
    zone.add("", RecordData::Ns(name_server.clone()))?;
    match settings.playground_host {
        Some(address) => zone.addresses("ns1", &[address])?,
        None => zone.addresses("ns1", &settings.public_addresses)?,
    }
    Ok(served(apex, soa(&name_server, generation), zone.records))
}

/// A zone as sloppy as its editor was: an alias may stand beside other data, so that the mistake can be diagnosed.
fn playground_zone(
    zone: &store::PlaygroundZone,
    typed: &[store::PlaygroundRecord],
) -> std::result::Result<Zone, model::DomainNameError> {
    let name_server = DomainName::parse(PLAYGROUND_NAME_SERVER)?;
    let ns = Record { owner: zone.apex.clone(), ttl: TTL, data: RecordData::Ns(name_server.clone()) };
    let records = std::iter::once(ns)
        // What does not parse any more (a rule became stricter) is left out, not a reason to serve nothing.
        .chain(typed.iter().filter_map(|record| record_of(record, &zone.apex).ok()))
        .collect();
    Ok(Zone {
        lenient: true,
        ..served(zone.apex.clone(), soa(&name_server, u64::from(zone.serial)), records)
    })
}

pub(crate) fn served(apex: DomainName, soa: Soa, records: Vec<Record>) -> Zone {
    Zone { soa_ttl: NEGATIVE_TTL, records, ..Zone::new(apex, soa) }
}

pub(crate) fn soa(name_server: &DomainName, serial: u64) -> Soa {
    Soa {
        mname: name_server.clone(),
        rname: name_server.parent().and_then(|parent| parent.prepend("hostmaster").ok()).unwrap_or_default(),
        serial: wrapped(serial),
        refresh: 3_600,
        retry: 600,
        expire: 604_800,
        minimum: NEGATIVE_TTL,
    }
}

/// A generation as a serial number, which wraps around (RFC 1982).
pub(crate) fn wrapped(generation: u64) -> u32 {
    u32::try_from(generation % (1 << 32)).unwrap_or(1).max(1)
}
