//! Zones that customers delegate to us: who may have one, what is in it, and whose keys are.
//!
//! A domain of a profile that is `delegated` is a zone: the records of its profile, which all of them have in common, its
//! name servers, and its keys. Those are served once its delegation was seen, which leads to names made for this very
//! domain: before that nothing in the zone is worth having, and what was left over in DNS of another's proves nothing.

use crate::{
    App,
    error::{Error, Result},
    platform_zone::{TTL, internal, served, soa},
    playground::record_of,
    settings::Settings,
};
use diagnosis::{Profile, Variables, plan::plan, profile::NAME_SERVERS};
use dns::authority::{Shape, SubZone, SubZones};
use jiff::{SignedDuration, Timestamp};
use model::{DomainName, Purpose, Record, RecordData, registrable_domain};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::SubZoneDomain;

/// How many names above a domain are looked at.
const ABOVE: usize = 8;

/// For how long a holder that is disabled keeps its name from others without being looked at.
const LAPSES_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many zones are read at once: all that most platforms have.
const AT_ONCE: usize = 10_000;

/// Why nothing can be delegated in a playground, and what helps.
const NO_SECOND_SERVER: &str = "the DNS host of the playground found no address of its own when this instance started, and a server \
     cannot delegate to itself; give this machine one more loopback address, the one after that of the DNS server (on macOS: \
     sudo ifconfig lo0 alias 127.0.0.2), and start again, or choose another profile";

/// What the zones of each profile have in common.
pub(crate) type Shapes = BTreeMap<String, Arc<Shape>>;

impl App {
    /// Whether a domain may be a zone that is delegated to us.
    pub(crate) async fn require_delegable(&self, name: &DomainName) -> Result<()> {
        let refuse = |why: String| Err(Error::field("domain", why));
        if !self.settings.can_be_delegated_to() {
            return refuse(NO_SECOND_SERVER.to_owned());
        }
        if registrable_domain(name).is_none_or(|registered| registered == *name) {
            return refuse(format!(
                "{name} as a whole would be delegated, with its website and its mail; give a subdomain, such as send.{name}"
            ));
        }
        if self.settings.platform_zone.is_below(name) {
            return refuse(format!("this platform itself is below {name}; give another subdomain"));
        }
        if self.settings.zone_servers().next().is_none() {
            return refuse(
                "this platform has no name server that a zone can be delegated to; choose another profile"
                    .to_owned(),
            );
        }
        let above: Vec<DomainName> = name.ancestors().skip(1).take(ABOVE).collect();
        let profiles = self.delegated_names();
        if let Some(zone) = self.store.held_among(&above, &profiles, self.lapsed()).await? {
            return refuse(format!("{name} is in {zone}, which is delegated to this platform as a whole"));
        }
        Ok(())
    }

    pub(crate) fn delegated_names(&self) -> Vec<&str> {
        self.settings.delegated_profiles().map(|profile| profile.name.as_str()).collect()
    }

    /// Whether a stored domain is such a zone.
    pub(crate) fn is_sub_zone(&self, domain: &store::Domain) -> bool {
        self.settings.profile(&domain.profile).is_some_and(|profile| profile.delegated.is_some())
    }

    /// Those of the zones that a playground zone delegates to us, for the server that stands for a resolver there: a resolver
    /// gets to no others.
    pub(crate) async fn delegated_in_playground(&self, zones: &SubZones) -> Result<SubZones> {
        let mut names = BTreeSet::new();
        for (zone, typed) in self.store.all_zones_with_records().await? {
            let records = typed.iter().filter_map(|typed| record_of(typed, &zone.apex).ok());
            let delegations = records.filter(|record| record.owner != zone.apex && self.leads_to_us(record));
            names.extend(delegations.map(|record| record.owner));
        }
        Ok(zones.only(&names))
    }

    fn leads_to_us(&self, record: &Record) -> bool {
        let RecordData::Ns(target) = &record.data else { return false };
        self.settings.zone_servers().any(|server| target.is_below(&server.name))
    }

    /// A holder that is disabled, and was last looked at before this, holds its name no more.
    fn lapsed(&self) -> Timestamp {
        self.clock.now().checked_sub(LAPSES_AFTER).unwrap_or(Timestamp::MIN)
    }

    /// Brings these zones up to what the store has, and those above them: a holder that has lapsed lets go when somebody else
    /// needs the name.
    pub(crate) async fn refresh_sub_zones(
        &self,
        mut names: BTreeSet<DomainName>,
        shapes: &Shapes,
        zones: &mut SubZones,
    ) -> Result<()> {
        let above = |name: &DomainName| -> Vec<DomainName> {
            name.ancestors().skip(1).take(ABOVE).filter(|name| zones.has(name)).collect()
        };
        let above: Vec<DomainName> = names.iter().flat_map(above).collect();
        names.extend(above);
        let names: Vec<DomainName> = names.into_iter().collect();
        for names in names.chunks(AT_ONCE) {
            let mut domains: BTreeMap<DomainName, Vec<SubZoneDomain>> = BTreeMap::new();
            for domain in self.store.sub_zone_domains(names, self.lapsed()).await? {
                domains.entry(domain.name.clone()).or_default().push(domain);
            }
            for name in names {
                let domains = domains.get(name).map_or(&[][..], Vec::as_slice);
                match sub_zone(domains, shapes, self.settings.first_name_server()) {
                    Some(Ok(zone)) => zones.put(name, zone).map_err(internal)?,
                    // One that cannot be served must not keep the others from being served.
                    Some(Err(error)) => {
                        tracing::error!(%name, %error, "a delegated zone cannot be served");
                        zones.remove(name);
                    }
                    None => zones.remove(name),
                }
            }
        }
        Ok(())
    }
}

/// What the zones of each profile have in common.
pub(crate) fn shapes(settings: &Settings) -> Result<Shapes> {
    let shapes = settings.delegated_profiles().map(|profile| {
        let shape = shape(settings, profile).map_err(internal)?;
        Ok((profile.name.clone(), Arc::new(shape)))
    });
    shapes.collect()
}

/// The records of a profile but its keys, at a name that stands for any.
fn shape(settings: &Settings, profile: &Profile) -> std::result::Result<Shape, String> {
    let any = DomainName::parse("zone.invalid").map_err(|error| error.to_string())?;
    let mut variables = settings.variables();
    variables.insert(NAME_SERVERS.to_owned(), "ns.invalid".to_owned());
    for number in 1..=profile.dkim_keys {
        variables.insert(format!("token{number}"), format!("token{number}"));
        variables.insert(format!("key{number}"), "key".to_owned());
    }
    let plan = plan(profile, &any, &variables).map_err(|error| error.to_string())?;
    let in_zone = plan.records.iter().filter(|record| record.hosted && record.purpose != Purpose::Dkim);
    let records =
        in_zone.map(|record| Record { owner: record.owner.clone(), ttl: TTL, data: record.expected.data() });
    let zone = served(any, soa(settings.first_name_server(), 1), records.collect());
    Shape::new(&zone).map_err(|error| error.to_string())
}

/// The zone of a name, by the domains that have it: the holder's, with its keys. While nobody holds the name it is one that
/// says nothing of whom it is to be delegated to: a server above that takes the zone's own word must learn no domain's name
/// servers, which are what the delegation is known by.
fn sub_zone(
    domains: &[SubZoneDomain],
    shapes: &Shapes,
    anybody: &DomainName,
) -> Option<std::result::Result<SubZone, dns::authority::ZoneError>> {
    let mut delegated = domains.iter().filter_map(|domain| Some((domain, shapes.get(&domain.profile)?)));
    let first = delegated.next()?;
    let holder = std::iter::once(first).chain(delegated).find(|(domain, _)| domain.holds);
    let Some((domain, shape)) = holder else {
        return Some(SubZone::new(first.1, std::slice::from_ref(anybody), TTL, &[], false));
    };
    let variables: Variables = serde_json::from_str(&domain.variables).unwrap_or_default();
    let names = variables.get(NAME_SERVERS).map(String::as_str).unwrap_or_default();
    let names: Vec<DomainName> =
        names.split_ascii_whitespace().filter_map(|name| DomainName::parse(name).ok()).collect();
    Some(SubZone::new(shape, &names, TTL, &domain.keys, true))
}
