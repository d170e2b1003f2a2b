//! Playground zones: a stand-in for a customer's DNS host, in development.
//!
//! Like most hosts' panels it appends the zone to what is typed into the host field, so the mistakes people make at
//! a real host can be made here too.

use crate::{
    App,
    access::{Caller, Scope},
    change_sets::{Credential, PlanChanges},
    error::{Error, FieldError, Result},
};
use model::{
    Caa, DomainId, DomainName, Record, RecordData, RecordId, RecordType, TxtData, ZoneId, registrable_domain,
};
use publish::{HostError, Refusal};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use store::{
    ChangePurpose, NewPlaygroundRecord, NewPlaygroundZone, PlaygroundRecord, PlaygroundZone, StoreError,
};

/// The zone of the playground's own name server.
pub(crate) const PLAYGROUND_HOST: &str = "playground.test";

/// What a proxied record answers with (RFC 5737): the proxy's address in place of the alias.
const PROXY_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// A record as it is typed into the panel.
#[derive(Debug, Clone, Default)]
pub struct TypedRecord {
    /// The host field: relative, `@` for the zone itself.
    pub host: String,
    /// The type.
    pub record_type: String,
    /// The value field.
    pub value: String,
    /// In seconds.
    pub ttl: Option<u32>,
    /// For MX.
    pub priority: Option<u16>,
    /// Whether the host's proxy answers for it.
    pub proxied: bool,
}

/// A zone with its records.
#[derive(Debug, Clone)]
pub struct ZoneView {
    /// The zone.
    pub zone: PlaygroundZone,
    /// Its records, as typed.
    pub records: Vec<PlaygroundRecord>,
}

/// The full name that the panel makes of a host field.
pub fn owner_of(host: &str, apex: &DomainName) -> std::result::Result<DomainName, String> {
    let host = host.trim();
    if host.is_empty() || host == "@" {
        return Ok(apex.clone());
    }
    if let Some(absolute) = host.strip_suffix('.') {
        let name = DomainName::parse(absolute).map_err(|error| error.to_string())?;
        return if name.is_at_or_below(apex) {
            Ok(name)
        } else {
            Err(format!("{name} is not in the zone {apex}"))
        };
    }
    apex.prepend(host).map_err(|error| error.to_string())
}

/// The DNS record that a typed one becomes.
pub fn record_of(typed: &PlaygroundRecord, apex: &DomainName) -> std::result::Result<Record, FieldError> {
    let field = |field: &str, message: String| FieldError { field: field.to_owned(), message };
    let owner = owner_of(&typed.host, apex).map_err(|message| field("host", message))?;
    let data = data_of(typed.record_type, &typed.value, typed.priority)
        .map_err(|message| field("value", message))?;
    let data = match data {
        RecordData::Cname(_) if typed.proxied => RecordData::A(PROXY_ADDRESS),
        data => data,
    };
    Ok(Record { owner, ttl: typed.ttl, data })
}

pub(crate) fn data_of(
    record_type: RecordType,
    value: &str,
    priority: Option<u16>,
) -> std::result::Result<RecordData, String> {
    let name = |text: &str| DomainName::parse(text).map_err(|error| error.to_string());
    let value = value.trim();
    match record_type {
        RecordType::A => match value.parse() {
            Ok(IpAddr::V4(address)) => Ok(RecordData::A(address)),
            _ => Err(format!("\"{value}\" is not an IPv4 address")),
        },
        RecordType::Aaaa => match value.parse() {
            Ok(IpAddr::V6(address)) => Ok(RecordData::Aaaa(address)),
            _ => Err(format!("\"{value}\" is not an IPv6 address")),
        },
        RecordType::Cname => Ok(RecordData::Cname(name(value)?)),
        RecordType::Ns => Ok(RecordData::Ns(name(value)?)),
        RecordType::Mx => {
            let preference = priority.ok_or("an MX record needs a priority")?;
            Ok(RecordData::Mx { preference, exchange: name(value)? })
        }
        RecordType::Ptr => Ok(RecordData::Ptr(name(value)?)),
        RecordType::Caa => {
            let caa = Caa::parse(value)
                .ok_or_else(|| format!("\"{value}\" is not like: 0 issue \"ca.example\""))?;
            Ok(caa.to_data())
        }
        RecordType::Txt if value.is_empty() => Err("the value is empty".to_owned()),
        RecordType::Txt if value.chars().any(char::is_control) => {
            Err("the value has a line break or another control character".to_owned())
        }
        RecordType::Txt if value.len() > 4_096 => Err(format!("{} bytes; 4,096 are allowed", value.len())),
        RecordType::Txt => Ok(RecordData::Txt(TxtData::from_text(value))),
        other => {
            Err(format!("{other} records cannot be made here; A, AAAA, CAA, CNAME, MX, NS, PTR and TXT can"))
        }
    }
}

impl App {
    /// Editing the playground is for those who may do everything.
    async fn require_playground(&self, caller: &Caller) -> Result<()> {
        caller.require(Scope::Admin)?;
        caller.require_whole_organisation()?;
        self.has_playground(caller).await
    }

    /// The playground is the instance's, and so for the organisation that the instance began with.
    pub(crate) async fn has_playground(&self, caller: &Caller) -> Result<()> {
        let is_first = || async {
            let first = self.store.first_organisation().await?;
            Ok::<_, Error>(first.is_some_and(|first| first.id == caller.org_id))
        };
        if self.settings.playground && is_first().await? { Ok(()) } else { Err(Error::NoPlayground) }
    }

    /// All zones, without records.
    pub async fn playground_zones(&self, caller: &Caller) -> Result<Vec<PlaygroundZone>> {
        self.require_playground(caller).await?;
        Ok(self.store.list_zones().await?)
    }

    /// A zone with its records.
    pub async fn playground_zone(&self, caller: &Caller, id: ZoneId) -> Result<ZoneView> {
        self.require_playground(caller).await?;
        let zone = self.store.get_zone(id).await.map_err(|error| not_found(error, "zone", &id))?;
        let records = self.store.records_of_zone(id).await?;
        Ok(ZoneView { zone, records })
    }

    /// Makes a zone.
    pub async fn create_playground_zone(&self, caller: &Caller, apex: &str) -> Result<PlaygroundZone> {
        self.require_playground(caller).await?;
        if let Some(id) = caller.made_before(ZoneId::from_parts)
            && let Ok(made) = self.store.get_zone(id).await
        {
            return Ok(made);
        }
        let apex = DomainName::parse(apex).map_err(|error| Error::field("apex", error.to_string()))?;
        let platform = &self.settings.platform_zone;
        let own = DomainName::parse(PLAYGROUND_HOST).is_ok_and(|host| apex.is_at_or_below(&host));
        let label_is_odd = |label: &str| label.starts_with('_') || label == "*";
        if own
            || apex.is_at_or_below(platform)
            || platform.is_below(&apex)
            || registrable_domain(&apex).is_none()
            || apex.labels().any(label_is_odd)
        {
            let message = format!("{apex} cannot be a playground zone; take a name such as acme.test");
            return Err(Error::field("apex", message));
        }
        let now = self.clock.now();
        let new = NewPlaygroundZone {
            id: caller.id_or(ZoneId::from_parts, self.random.zone_id(now)),
            apex: apex.clone(),
            serial: 1,
            created_at: now,
        };
        let zone = match self.store.create_zone(&new).await {
            Err(StoreError::ZoneAlreadyExists) => {
                return Err(Error::AlreadyExists(format!("the zone {apex}")));
            }
            other => other?,
        };
        self.zone_changed(&apex).await?;
        Ok(zone)
    }

    /// Deletes a zone with all that is in it.
    pub async fn delete_playground_zone(&self, caller: &Caller, id: ZoneId) -> Result<()> {
        self.require_playground(caller).await?;
        let zone = self.store.get_zone(id).await.map_err(|error| not_found(error, "zone", &id))?;
        self.store.delete_zone(id).await?;
        self.zone_changed(&zone.apex).await
    }

    /// Adds a record as it was typed.
    pub async fn create_playground_record(
        &self,
        caller: &Caller,
        zone_id: ZoneId,
        typed: &TypedRecord,
    ) -> Result<PlaygroundRecord> {
        self.require_playground(caller).await?;
        if let Some(id) = caller.made_before(RecordId::from_parts)
            && let Ok(made) = self.store.get_record(id).await
        {
            return Ok(made);
        }
        let zone = self.store.get_zone(zone_id).await.map_err(|error| not_found(error, "zone", &zone_id))?;
        let now = self.clock.now();
        let id = caller.id_or(RecordId::from_parts, self.random.record_id(now));
        let new = checked(typed, id, &zone)?;
        let record = self.store.add_records(zone_id, vec![new], now).await?.pop();
        self.zone_changed(&zone.apex).await?;
        record.ok_or_else(|| Error::Internal("the record was not stored".to_owned()))
    }

    /// Changes a record to what was typed.
    pub async fn update_playground_record(
        &self,
        caller: &Caller,
        id: RecordId,
        typed: &TypedRecord,
    ) -> Result<PlaygroundRecord> {
        self.require_playground(caller).await?;
        let old = self.store.get_record(id).await.map_err(|error| not_found(error, "record", &id))?;
        let zone = self.store.get_zone(old.zone_id).await?;
        let new = checked(typed, id, &zone)?;
        let updated = self.store.update_record(zone.id, &new, self.clock.now()).await;
        let record = updated.map_err(|error| not_found(error, "record", &id))?;
        self.zone_changed(&zone.apex).await?;
        Ok(record)
    }

    /// Deletes a record.
    pub async fn delete_playground_record(&self, caller: &Caller, id: RecordId) -> Result<()> {
        self.require_playground(caller).await?;
        let record = self.store.get_record(id).await.map_err(|error| not_found(error, "record", &id))?;
        let zone = self.store.get_zone(record.zone_id).await?;
        self.store.delete_record(zone.id, id).await.map_err(|error| not_found(error, "record", &id))?;
        self.zone_changed(&zone.apex).await
    }

    /// Writes what a domain still lacks into its playground zones, as at any DNS host: what others put in the way stays.
    /// Returns the records that were made or changed.
    ///
    /// # Errors
    /// `ChangesBlocked` once all that can be was written.
    pub async fn publish_in_playground(
        self: &Arc<Self>,
        caller: &Caller,
        id: DomainId,
    ) -> Result<Vec<PlaygroundRecord>> {
        self.require_playground(caller).await?;
        let view = self.verify_domain(caller, id).await?;
        let credential = Credential::playground();
        let request = PlanChanges { credential, purpose: ChangePurpose::Setup, apply: true, keep: None };
        let sets = match self.plan_changes(caller, id, &request).await {
            Err(Error::Host(HostError { refusal: Refusal::ZoneNotFound { .. }, .. })) => {
                return Err(no_zone(&view.domain.name));
            }
            other => other?,
        };
        let mut blocked = Vec::new();
        let mut made = Vec::new();
        let ledger = self.store.ledger_of_domain(id).await?;
        for set in sets {
            if let Some(stop) = set.stop {
                return Err(stop.into());
            }
            let of_set = ledger.iter().filter(|row| row.change_set_id == set.stored.id);
            for record in of_set.filter_map(|row| row.host_record_id.as_deref()?.parse().ok()) {
                made.push(
                    self.store
                        .get_record(record)
                        .await
                        .map_err(|error| not_found(error, "record", &record))?,
                );
            }
            blocked.extend(set.plan.blocked);
        }
        if blocked.is_empty() { Ok(made) } else { Err(Error::ChangesBlocked(blocked)) }
    }

    /// The zone is served before this returns, and the domains in it are checked next.
    async fn zone_changed(&self, apex: &DomainName) -> Result<()> {
        self.serve_zones().await?;
        self.store.poke_domains_below(None, apex, self.clock.now()).await?;
        self.wake.verify.notify_one();
        Ok(())
    }
}

fn no_zone(owner: &DomainName) -> Error {
    let apex = registrable_domain(owner).unwrap_or_else(|| owner.clone());
    let message = format!(
        "there is no playground zone for {apex}; make one: POST /api/v1/playground/zones {{\"apex\":\"{apex}\"}}"
    );
    Error::field("id", message)
}

/// What was typed as a record to store, refused when DNS could not serve it.
fn checked(typed: &TypedRecord, id: RecordId, zone: &PlaygroundZone) -> Result<NewPlaygroundRecord> {
    let record_type = typed
        .record_type
        .trim()
        .parse()
        .map_err(|error: model::RecordTypeError| Error::field("type", error.to_string()))?;
    let new = NewPlaygroundRecord {
        id,
        host: typed.host.trim().to_owned(),
        record_type,
        value: typed.value.trim().to_owned(),
        ttl: typed.ttl.unwrap_or(300).min(86_400),
        priority: typed.priority,
        proxied: typed.proxied,
    };
    owner_of(&new.host, &zone.apex).map_err(|message| Error::field("host", message))?;
    if record_type == RecordType::Mx && new.priority.is_none() {
        return Err(Error::field(
            "priority",
            "an MX record needs one, such as 10; the value is the host alone",
        ));
    }
    data_of(record_type, &new.value, new.priority).map_err(|message| Error::field("value", message))?;
    Ok(new)
}

fn not_found(error: StoreError, noun: &'static str, id: &dyn std::fmt::Display) -> Error {
    match error {
        StoreError::NotFound(_) => Error::NotFound { noun, id: id.to_string() },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panel_appends_the_zone_as_hosts_do() {
        let apex = DomainName::parse("acme.test").unwrap();
        let owner = |host| owner_of(host, &apex).map(|name| name.to_string());
        assert_eq!(owner("@").unwrap(), "acme.test");
        assert_eq!(owner("a._domainkey.mail").unwrap(), "a._domainkey.mail.acme.test");
        assert_eq!(owner("a.mail.acme.test").unwrap(), "a.mail.acme.test.acme.test");
        assert_eq!(owner("a.mail.acme.test.").unwrap(), "a.mail.acme.test");
        assert!(owner("other.test.").is_err());
    }
}
