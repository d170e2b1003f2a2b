//! From steps to what is written at once, in the grain of the host.

use crate::{
    Action, Atomic, Batch, Capabilities, ChangeSet, Grain, SetChange, Step, Work, Zone, ZoneRecord,
    order::by_record,
};
use model::{DomainName, Record, RecordType};

/// What to write, in this order, so that a host that stops anywhere is never left with less than it had: at a name,
/// records are added before others go, but for an alias and what excludes it, which goes first and in the same batch. A
/// name is never split over two batches. `existing` is the listing that the change set was made from, or one that
/// [`crate::guard`] found no different.
pub fn batches(set: &ChangeSet, capabilities: &Capabilities, existing: &Zone) -> Vec<Batch> {
    let mut names: Vec<(&DomainName, Vec<&Step>)> = Vec::new();
    for step in &set.steps {
        let owner = step.action.owner();
        match names.iter_mut().find(|(name, _)| *name == owner) {
            Some((_, steps)) => steps.push(step),
            None => names.push((owner, vec![step])),
        }
    }
    if capabilities.grain == Grain::Zone {
        return whole(set, existing).into_iter().collect();
    }
    let most = match capabilities.atomic {
        Atomic::Each => 1,
        Atomic::Batch(most) => most.max(1),
    };
    let mut packed: Vec<(usize, Batch)> = Vec::new();
    for (owner, mut steps) in names {
        in_order(&mut steps);
        let before: Vec<ZoneRecord> = existing.at(owner).cloned().collect();
        let (weight, work) = match capabilities.grain {
            Grain::Record => (steps.iter().map(|step| weight(step)).sum(), of_records(&steps)),
            Grain::Set | Grain::Zone => {
                let changes = sets(owner, &steps, &before);
                (changes.iter().map(|set| set.before.len() + set.after.len()).sum(), Work::Sets(changes))
            }
        };
        let batch = Batch { steps: steps.iter().map(|step| step.id).collect(), before, work };
        match packed.last_mut() {
            Some((load, last)) if *load + weight <= most => {
                *load += weight;
                append(last, batch);
            }
            _ => packed.push((weight, batch)),
        }
    }
    packed.into_iter().map(|(_, batch)| batch).collect()
}

/// How many operations a step is: what is replaced goes and comes.
const fn weight(step: &Step) -> usize {
    match step.action {
        Action::Replace { .. } => 2,
        Action::Add { .. } | Action::Remove { .. } => 1,
    }
}

fn of_records(steps: &[&Step]) -> Work {
    Work::Records(steps.iter().map(|step| (*step).clone()).collect())
}

fn append(batch: &mut Batch, mut other: Batch) {
    batch.steps.append(&mut other.steps);
    batch.before.append(&mut other.before);
    match (&mut batch.work, other.work) {
        (Work::Records(all), Work::Records(mut more)) => all.append(&mut more),
        (Work::Sets(all), Work::Sets(mut more)) => all.append(&mut more),
        // One host has one grain.
        _ => {}
    }
}

/// The order of steps at one name.
fn in_order(steps: &mut [&Step]) {
    let is_alias = |record: &Record| record.data.record_type() == RecordType::Cname;
    let alias_goes = steps.iter().any(|step| {
        step.action.before().is_some_and(|old| is_alias(&old.record))
            || step.action.after().is_some_and(is_alias)
    });
    steps.sort_by_key(|step| match step.action {
        Action::Remove { .. } if alias_goes => 0,
        Action::Add { .. } => 1,
        Action::Replace { .. } => 2,
        Action::Remove { .. } => 3,
    });
}

/// The sets of a name that the steps change.
fn sets(owner: &DomainName, steps: &[&Step], before: &[ZoneRecord]) -> Vec<SetChange> {
    let mut types: Vec<RecordType> = Vec::new();
    let touched = steps.iter().flat_map(|step| {
        let old = step.action.before().map(|old| old.record.data.record_type());
        old.into_iter().chain(step.action.after().map(|new| new.data.record_type()))
    });
    for record_type in touched {
        if !types.contains(&record_type) {
            types.push(record_type);
        }
    }
    let change = |record_type: RecordType| {
        let of_type = |record: &Record| record.data.record_type() == record_type;
        let old: Vec<ZoneRecord> = before.iter().filter(|old| of_type(&old.record)).cloned().collect();
        let after = after(&old, steps).into_iter().map(|record| record.record).filter(of_type).collect();
        SetChange { owner: owner.clone(), record_type, before: old, after }
    };
    let mut changes: Vec<SetChange> = types.into_iter().map(change).collect();
    // Sets that go make room for an alias; else what comes is there before what goes.
    let alias = changes.iter().any(|set| set.record_type == RecordType::Cname);
    changes.sort_by_key(|set| set.after.is_empty() != alias);
    changes
}

/// What is there once the steps were done: others as they were, in their places.
pub(crate) fn after(before: &[ZoneRecord], steps: &[&Step]) -> Vec<ZoneRecord> {
    let mut records: Vec<ZoneRecord> = before.to_vec();
    for step in steps {
        let place = step.action.before().and_then(|old| records.iter().position(|record| record == old));
        match (&step.action, place) {
            (Action::Replace { new, .. }, Some(at)) => {
                let note = records[at].note.take();
                records[at] = ZoneRecord { note, ..ZoneRecord::plain(new.clone()) };
            }
            (Action::Remove { .. }, Some(at)) => {
                records.remove(at);
            }
            (Action::Add { new } | Action::Replace { new, .. }, _) => {
                records.push(ZoneRecord::plain(new.clone()));
            }
            (Action::Remove { .. }, None) => {}
        }
    }
    records
}

/// The zone as a whole, as it will be.
fn whole(set: &ChangeSet, existing: &Zone) -> Option<Batch> {
    let steps: Vec<&Step> = set.steps.iter().collect();
    let mut records = after(&existing.records, &steps);
    records.sort_by(by_record);
    (!steps.is_empty()).then(|| Batch {
        steps: steps.iter().map(|step| step.id).collect(),
        before: set.before.clone(),
        work: Work::Zone(records),
    })
}
