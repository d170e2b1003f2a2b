//! The playground as a DNS host like any other: what is planned there is written as it would be at a customer's.

use crate::{
    App,
    playground::{data_of, owner_of},
    ports::{Clock, Random},
};
use model::{DomainName, Record, RecordData, RecordId, RecordType};
use publish::{
    Action, Atomic, Batch, Capabilities, Done, Grain, HostError, Kept, Later, Listed, Refusal, Work,
    WriteError, Written, Zone, ZoneHandle, ZoneProvider, ZoneRecord,
};
use std::collections::BTreeSet;
use store::{NewPlaygroundRecord, PlaygroundChange, PlaygroundRecord, PlaygroundZone, Store, StoreError};

/// The types that its panel takes.
const TYPES: &[RecordType] = &[
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Caa,
    RecordType::Cname,
    RecordType::Mx,
    RecordType::Ns,
    RecordType::Ptr,
    RecordType::Txt,
];

/// The playground's zones.
pub(crate) struct PlaygroundHost {
    store: Store,
    clock: Clock,
    random: Random,
}

impl App {
    /// The playground as a host.
    pub(crate) fn playground_host(&self) -> PlaygroundHost {
        PlaygroundHost { store: self.store.clone(), clock: self.clock.clone(), random: self.random.clone() }
    }
}

impl PlaygroundHost {
    async fn zone(&self, apex: &DomainName) -> Result<PlaygroundZone, HostError> {
        let found = self.store.get_zone_by_apex(apex).await.map_err(|error| failed(&error))?;
        found.ok_or_else(|| HostError::bare(Refusal::ZoneNotFound { tried: vec![apex.clone()] }))
    }

    fn changes(&self, zone: &PlaygroundZone, batch: &Batch) -> Option<(Vec<PlaygroundChange>, Vec<Written>)> {
        // Its grain is the record.
        let Work::Records(steps) = &batch.work else { return None };
        let mut changes = Vec::with_capacity(steps.len());
        let mut written = Vec::with_capacity(steps.len());
        for step in steps {
            let old = || step.action.before()?.id.as_deref()?.parse::<RecordId>().ok();
            let (change, id) = match &step.action {
                Action::Add { new } => {
                    let id = self.random.record_id(self.clock.now());
                    (PlaygroundChange::Add(typed(new, id, zone)?), Some(id))
                }
                Action::Replace { new, .. } => {
                    let id = old()?;
                    (PlaygroundChange::Update(typed(new, id, zone)?), Some(id))
                }
                Action::Remove { .. } => (PlaygroundChange::Remove(old()?), None),
            };
            changes.push(change);
            written.push(Written { step: step.id, id: id.map(|id| id.to_string()) });
        }
        Some((changes, written))
    }
}

impl ZoneProvider for PlaygroundHost {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            grain: Grain::Record,
            atomic: Atomic::Batch(500),
            ttl: (1, 86_400),
            set_ttl: false,
            proxies: true,
            types: TYPES,
            text_max: 4_096,
            set_text_max: 8_192,
        }
    }

    fn find_zone<'a>(
        &'a self,
        name: &'a DomainName,
        _told: Option<&'a DomainName>,
    ) -> Later<'a, Result<ZoneHandle, HostError>> {
        Box::pin(async move {
            let zones = self.store.list_zones().await.map_err(|error| failed(&error))?;
            let holding = zones.into_iter().filter(|zone| name.is_at_or_below(&zone.apex));
            let found = holding.max_by_key(|zone| zone.apex.label_count());
            let zone = found.ok_or_else(|| {
                HostError::bare(Refusal::ZoneNotFound { tried: name.ancestors().collect() })
            })?;
            Ok(ZoneHandle { id: zone.apex.to_string(), apex: zone.apex })
        })
    }

    fn list<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        _names: &'a BTreeSet<DomainName>,
    ) -> Later<'a, Result<Zone, HostError>> {
        Box::pin(async move {
            let stored = self.zone(&zone.apex).await?;
            let records = self.store.records_of_zone(stored.id).await.map_err(|error| failed(&error))?;
            Ok(Zone {
                handle: zone.clone(),
                records: records.iter().filter_map(|record| listed(record, &zone.apex)).collect(),
                listed: Listed::Whole,
                version: Some(stored.serial.to_string()),
            })
        })
    }

    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>> {
        Box::pin(async move {
            let nothing = |error| WriteError { error, done: Done::Nothing };
            let stored = self.zone(&zone.apex).await.map_err(nothing)?;
            let Some((changes, written)) = self.changes(&stored, batch) else {
                return Err(nothing(HostError::bare(Refusal::RecordRefused)));
            };
            match self.store.change_records(stored.id, changes, self.clock.now()).await {
                Ok(()) => Ok(written),
                Err(StoreError::NotFound(_)) => Err(nothing(HostError::bare(Refusal::ZoneChanged))),
                Err(StoreError::LimitReached { .. }) => Err(nothing(HostError::bare(Refusal::QuotaExceeded))),
                Err(error) => Err(WriteError { error: failed(&error), done: Done::Unknown }),
            }
        })
    }
}

fn failed(error: &StoreError) -> HostError {
    tracing::warn!(%error, "the playground's zones could not be read or written");
    HostError::bare(Refusal::Unreachable)
}

/// A record as the panel has it; what cannot be read there is not served either.
fn listed(typed: &PlaygroundRecord, apex: &DomainName) -> Option<ZoneRecord> {
    let owner = owner_of(&typed.host, apex).ok()?;
    let data = data_of(typed.record_type, &typed.value, typed.priority).ok()?;
    Some(ZoneRecord {
        id: Some(typed.id.to_string()),
        record: Record { owner, ttl: typed.ttl, data },
        proxied: typed.proxied,
        kept: Kept::Plain,
        note: None,
    })
}

/// A record as it is typed into the panel.
fn typed(record: &Record, id: RecordId, zone: &PlaygroundZone) -> Option<NewPlaygroundRecord> {
    let (value, priority) = match &record.data {
        RecordData::Mx { preference, exchange } => (exchange.to_string(), Some(*preference)),
        data => (data.to_string(), None),
    };
    let record_type = record.data.record_type();
    data_of(record_type, &value, priority).ok()?;
    Some(NewPlaygroundRecord {
        id,
        host: record.owner.relative_to(&zone.apex)?,
        record_type,
        value,
        ttl: record.ttl,
        priority,
        proxied: false,
    })
}
