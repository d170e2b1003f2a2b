//! Going on with a change set that was cut off: what of it is there, and what is left of it.

use crate::{
    Action, ChangeSet, Difference, Grain, Step, Zone, ZoneRecord,
    batches::after,
    order::{by_record, same_data},
};
use model::{DomainName, Record};
use std::collections::BTreeSet;

/// The steps whose outcome is in the zone: to be asked where nobody knows how far the writing came.
pub fn seen_done(set: &ChangeSet, now: &Zone) -> BTreeSet<u16> {
    let is = |one: &&ZoneRecord, record: &Record| {
        one.record.owner == record.owner && same_data(&one.record.data, &record.data)
    };
    let there = |record: &Record| now.records.iter().find(|one| is(one, record));
    let is_done = |step: &&Step| match &step.action {
        Action::Add { new } => there(new).is_some(),
        Action::Replace { old, new, .. } => {
            let same = same_data(&old.record.data, &new.data);
            there(new).is_some_and(|one| !one.proxied) && (same || there(&old.record).is_none())
        }
        Action::Remove { old } => there(&old.record).is_none(),
    };
    set.steps.iter().filter(is_done).map(|step| step.id).collect()
}

/// What is left of a change set once these steps are done, to be written to the zone as it is now.
///
/// # Errors
/// What is different from what those steps left behind, at the names that are still to be touched: somebody else wrote
/// there.
pub fn rest(
    set: &ChangeSet,
    done: &BTreeSet<u16>,
    now: &Zone,
    grain: Grain,
) -> Result<ChangeSet, Difference> {
    let (finished, left): (Vec<&Step>, Vec<&Step>) =
        set.steps.iter().partition(|step| done.contains(&step.id));
    let names: BTreeSet<&DomainName> = left.iter().map(|step| step.action.owner()).collect();
    let whole = grain == Grain::Zone && !left.is_empty();
    let counts = |record: &ZoneRecord| whole || names.contains(&record.record.owner);
    let mut expected = after(&set.before, &finished);
    expected.retain(counts);
    let mut before: Vec<ZoneRecord> = now.records.iter().filter(|record| counts(record)).cloned().collect();
    before.sort_by(by_record);
    // The host gave names to what was written, and evened TTLs perhaps.
    let same = |one: &ZoneRecord, other: &ZoneRecord| {
        one.record.owner == other.record.owner
            && same_data(&one.record.data, &other.record.data)
            && one.proxied == other.proxied
            && one.kept == other.kept
    };
    let mut new = before.clone();
    let mut gone = Vec::new();
    for record in expected {
        match new.iter().position(|one| same(one, &record)) {
            Some(at) => drop(new.remove(at)),
            None => gone.push(record),
        }
    }
    if !gone.is_empty() || !new.is_empty() {
        return Err(Difference { gone, new });
    }
    let steps: Vec<Step> = left.into_iter().map(|step| current(step, &before)).collect();
    Ok(ChangeSet { steps, before, ..set.clone() })
}

/// The step with the record that it replaces or removes as the host tells it now.
fn current(step: &Step, now: &[ZoneRecord]) -> Step {
    let mut step = step.clone();
    if let Action::Replace { old, .. } | Action::Remove { old } = &mut step.action {
        let is_it = |one: &&ZoneRecord| {
            one.record.owner == old.record.owner && same_data(&one.record.data, &old.record.data)
        };
        // By its name where it has one: there may be another of the same data.
        let by_id = now.iter().filter(is_it).find(|one| one.id == old.id);
        if let Some(found) = by_id.or_else(|| now.iter().find(is_it)) {
            *old = found.clone();
        }
    }
    step
}
