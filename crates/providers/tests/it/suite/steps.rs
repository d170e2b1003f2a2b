//! Change sets made by hand, and their way to a host.

use super::name;
use model::{DomainName, Record, RecordType};
use publish::{
    Action, Batch, Capabilities, Done, Grain, HostError, SetChange, Step, Why, Work, WriteError, Written,
    Zone, ZoneProvider, ZoneRecord,
};
use std::collections::BTreeSet;

/// Steps with their numbers.
pub fn changes(actions: impl IntoIterator<Item = Action>) -> Vec<Step> {
    (0..).zip(actions).map(|(id, action)| Step { id, key: format!("step-{id}"), action }).collect()
}

/// One of the listed records in the place of another.
pub fn replace(zone: &Zone, old: &Record, new: Record, why: Why) -> Action {
    Action::Replace { old: listed(zone, old), new, why }
}

/// Takes one of the listed records out.
pub fn remove(zone: &Zone, old: &Record) -> Action {
    Action::Remove { old: listed(zone, old) }
}

fn listed(zone: &Zone, record: &Record) -> ZoneRecord {
    let found = zone.at(&record.owner).find(|there| there.record.data == record.data);
    found.unwrap_or_else(|| panic!("{record:?} is not listed")).clone()
}

/// Brings the steps into the grain of the host, as one batch, and writes it.
pub async fn write(
    provider: &dyn ZoneProvider,
    zone: &Zone,
    steps: Vec<Step>,
) -> Result<Vec<Written>, WriteError> {
    provider.write(&zone.handle, &batch(&provider.capabilities(), zone, steps)).await
}

fn batch(capabilities: &Capabilities, zone: &Zone, steps: Vec<Step>) -> Batch {
    let touched: BTreeSet<DomainName> = steps.iter().map(|step| step.action.owner().clone()).collect();
    let before = zone.records.iter().filter(|there| touched.contains(&there.record.owner)).cloned().collect();
    let numbers = steps.iter().map(|step| step.id).collect();
    let work = match capabilities.grain {
        Grain::Record => Work::Records(steps),
        Grain::Set => Work::Sets(sets(zone, &steps)),
        Grain::Zone => panic!("no host of that grain is here"),
    };
    Batch { steps: numbers, before, work }
}

fn sets(zone: &Zone, steps: &[Step]) -> Vec<SetChange> {
    let of = |record: &Record| (record.owner.clone(), record.data.record_type());
    let keys: BTreeSet<(DomainName, RecordType)> = steps
        .iter()
        .flat_map(|step| {
            let before = step.action.before().map(|old| of(&old.record));
            before.into_iter().chain(step.action.after().map(of))
        })
        .collect();
    let mut sets: Vec<SetChange> = keys
        .into_iter()
        .map(|key| {
            let before: Vec<ZoneRecord> =
                zone.records.iter().filter(|there| of(&there.record) == key).cloned().collect();
            let mut after: Vec<Record> = before.iter().map(|there| there.record.clone()).collect();
            for step in steps {
                if let Some(old) = step.action.before().filter(|old| of(&old.record) == key) {
                    after.retain(|record| *record != old.record);
                }
                after.extend(step.action.after().filter(|new| of(new) == key).cloned());
            }
            let ttl = before.first().map(|there| there.record.ttl);
            for record in &mut after {
                record.ttl = ttl.unwrap_or(record.ttl);
            }
            SetChange { owner: key.0, record_type: key.1, before, after }
        })
        .collect();
    // What goes makes room for what comes.
    sets.sort_by_key(|set| !set.after.is_empty());
    sets
}

/// Why a whole run came to nothing.
#[derive(Debug)]
pub struct Stopped {
    pub error: HostError,
    pub done: Done,
}

/// Finds the zone, lists it, adds what is not there. Answers how many steps that took.
pub async fn apply(provider: &dyn ZoneProvider, wanted: &[Record]) -> Result<usize, Stopped> {
    let stopped = |error| Stopped { error, done: Done::Nothing };
    let handle = provider.find_zone(&name("mail.acme.test"), None).await.map_err(stopped)?;
    let names = wanted.iter().map(|record| record.owner.clone()).collect();
    let zone = provider.list(&handle, &names).await.map_err(stopped)?;
    let is_there = |new: &Record| zone.at(&new.owner).any(|there| there.record.data == new.data);
    let missing = wanted.iter().filter(|new| !is_there(new)).cloned();
    let steps = changes(missing.map(|new| Action::Add { new }));
    let count = steps.len();
    if count > 0 {
        let written = write(provider, &zone, steps).await;
        written.map_err(|WriteError { error, done }| Stopped { error, done })?;
    }
    Ok(count)
}
