//! Whether a zone is still what a change set was made from.

use crate::{ChangeSet, Grain, Zone, ZoneRecord, order::by_record};
use serde::{Deserialize, Serialize};

/// What is different, at the names that count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Difference {
    /// Records that were there and are not.
    pub gone: Vec<ZoneRecord>,
    /// Records that are there and were not.
    pub new: Vec<ZoneRecord>,
}

/// Compares the names that a change set touches with what is there now: a host that takes the zone as a whole, all of
/// it. Notes do not count.
///
/// # Errors
/// The difference. Nothing may be written then.
pub fn guard(set: &ChangeSet, now: &Zone, grain: Grain) -> Result<(), Difference> {
    if set.steps.is_empty() {
        return Ok(());
    }
    let touched = set.names();
    let counts = |record: &&ZoneRecord| grain == Grain::Zone || touched.contains(&record.record.owner);
    let mut new: Vec<&ZoneRecord> = now.records.iter().filter(counts).collect();
    let mut gone = Vec::new();
    for old in &set.before {
        match new.iter().position(|record| is_same(old, record)) {
            Some(at) => {
                new.remove(at);
            }
            None => gone.push(old.clone()),
        }
    }
    if gone.is_empty() && new.is_empty() {
        return Ok(());
    }
    let mut new: Vec<ZoneRecord> = new.into_iter().cloned().collect();
    new.sort_by(by_record);
    Err(Difference { gone, new })
}

fn is_same(one: &ZoneRecord, other: &ZoneRecord) -> bool {
    one.id == other.id && one.record == other.record && one.proxied == other.proxied && one.kept == other.kept
}
