//! What a batch leaves at the names that it touches.

use model::{DomainName, Record, RecordData, RecordType};
use publish::{Action, Kept, Refusal, SetChange, Step, ZoneRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The records at the touched names when all steps are done. `None` where a step takes out what is not there.
pub(crate) fn of_steps(before: &[ZoneRecord], steps: &[Step]) -> Option<Vec<Record>> {
    let touched: BTreeSet<&DomainName> = steps.iter().map(|step| step.action.owner()).collect();
    let there = before.iter().map(|there| &there.record);
    let mut after: Vec<Record> = there.filter(|there| touched.contains(&there.owner)).cloned().collect();
    for step in steps {
        if let Some(old) = step.action.before() {
            let place = after.iter().position(|there| is_same(there, &old.record))?;
            after.swap_remove(place);
        }
    }
    after.extend(steps.iter().filter_map(|step| step.action.after()).cloned());
    Some(after)
}

/// The records at the touched names when all sets are as they should be; `now` is what is there.
pub(crate) fn of_sets(now: &[ZoneRecord], sets: &[SetChange]) -> Vec<Record> {
    let touched: BTreeSet<&DomainName> = sets.iter().map(|set| &set.owner).collect();
    let is_replaced = |record: &Record| {
        sets.iter().any(|set| set.owner == record.owner && set.record_type == record.data.record_type())
    };
    now.iter()
        .map(|there| &there.record)
        .filter(|record| touched.contains(&record.owner) && !is_replaced(record))
        .chain(sets.iter().flat_map(|set| &set.after))
        .cloned()
        .collect()
}

/// Whether an alias would stand beside anything (RFC 1034 §3.6.2), or a record twice.
pub(crate) fn has_conflict(records: &[Record]) -> bool {
    let mut at: BTreeMap<&DomainName, Vec<&Record>> = BTreeMap::new();
    for record in records {
        at.entry(&record.owner).or_default().push(record);
    }
    at.values().any(|records| {
        let has_alias = records.iter().any(|record| matches!(record.data, RecordData::Cname(_)));
        let mut data: Vec<&RecordData> = records.iter().map(|record| &record.data).collect();
        data.sort_unstable();
        data.dedup();
        data.len() < records.len() || has_alias && records.len() > 1
    })
}

/// What stands against steps, where `now` is what is at the names that they touch: somebody wrote there since they were
/// planned, or an alias would not be alone.
///
/// `before` is what was listed there. All of it is compared, and not only what goes: a second SPF record, ours beside one that
/// somebody added meanwhile, would make both of them worth nothing (RFC 7208 §3.2).
pub(crate) fn against(now: &[ZoneRecord], before: &[ZoneRecord], steps: &[Step]) -> Option<Refusal> {
    let is_there = |old: &ZoneRecord| {
        now.iter().any(|there| {
            (&there.id, there.kept, there.proxied) == (&old.id, old.kept, old.proxied)
                && is_same(&there.record, &old.record)
        })
    };
    if steps.iter().filter_map(|step| step.action.before()).any(|old| old.kept == Kept::Opaque) {
        return Some(Refusal::RecordRefused);
    }
    let touched: BTreeSet<&DomainName> = steps.iter().map(|step| step.action.owner()).collect();
    let at_names = |records: &[ZoneRecord]| {
        let records = records.iter().map(|there| &there.record);
        let of_names = records.filter(|record| touched.contains(&record.owner));
        let mut all: Vec<_> = of_names.map(|record| (record.owner.clone(), record.data.clone())).collect();
        all.sort_unstable();
        all
    };
    let is_as_listed = at_names(now) == at_names(before);
    if !is_as_listed || !steps.iter().filter_map(|step| step.action.before()).all(is_there) {
        return Some(Refusal::ZoneChanged);
    }
    match of_steps(now, steps) {
        None => Some(Refusal::ZoneChanged),
        Some(after) if has_conflict(&after) => Some(Refusal::Conflict),
        Some(_) => None,
    }
}

/// What stands against sets, where `now` is what is in the zone: somebody wrote there since they were planned, or an alias
/// would not be alone.
pub(crate) fn against_sets(now: &[ZoneRecord], sets: &[SetChange]) -> Option<Refusal> {
    if !sets.iter().all(|set| is_as_listed(now, set)) {
        return Some(Refusal::ZoneChanged);
    }
    has_conflict(&of_sets(now, sets)).then_some(Refusal::Conflict)
}

/// Whether what is there is what was listed: of the sets that are changed, all of it.
pub(crate) fn is_as_listed(now: &[ZoneRecord], set: &SetChange) -> bool {
    let of_set = |there: &&ZoneRecord| {
        there.record.owner == set.owner && there.record.data.record_type() == set.record_type
    };
    let key = |there: &ZoneRecord| (there.record.data.clone(), there.record.ttl, there.kept == Kept::Opaque);
    let mut now: Vec<_> = now.iter().filter(of_set).map(key).collect();
    let mut listed: Vec<_> = set.before.iter().map(key).collect();
    now.sort_unstable();
    listed.sort_unstable();
    now == listed
}

/// Same name and data.
pub(crate) fn is_same(one: &Record, other: &Record) -> bool {
    one.owner == other.owner && one.data == other.data
}

/// The sets that steps change.
pub(crate) fn touched_sets(steps: &[Step]) -> BTreeSet<(DomainName, RecordType)> {
    let of = |record: &Record| (record.owner.clone(), record.data.record_type());
    let each = |action: &Action| {
        let before = action.before().map(|old| of(&old.record));
        before.into_iter().chain(action.after().map(of)).collect::<Vec<_>>()
    };
    steps.iter().flat_map(|step| each(&step.action)).collect()
}
