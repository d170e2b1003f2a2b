//! From what should be in a zone, and what is, to the steps between them.
//!
//! Name by name: at each the wants are settled against the records that are there ([`crate::place`]). Only records of
//! the ledger are replaced or removed. What else stands in the way is told, and stays; the one exception is the SPF
//! record of a name, of which there can be but one, and which gets our mechanisms.

use crate::{
    Blocked, Capabilities, ChangeSet, Grain, Owned, Reason, Required, Step, Want, Zone, ZoneRecord,
    order::{by_name, by_record, same_data},
    place::{Draft, Found, Place},
};
use model::{DomainName, RecordData, RecordType};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The key of steps for records that nothing asks for any more.
pub const LEFT_OVER: &str = "left_over";

/// The steps from `existing` to `required`, as the host can and as the ledger allows. A second plan after they were
/// done has none. The order of what is given does not matter.
pub fn plan(
    required: &[Required],
    existing: &Zone,
    capabilities: &Capabilities,
    ledger: &[Owned],
) -> ChangeSet {
    let mut required: Vec<&Required> = required.iter().collect();
    required.sort_by(|one, other| {
        let by_rank = other.essential.cmp(&one.essential).then_with(|| one.key.cmp(&other.key));
        by_name(&one.owner, &other.owner)
            .then(by_rank)
            .then_with(|| format!("{:?}", one.want).cmp(&format!("{:?}", other.want)))
    });
    let listed = Listing::new(&required, existing, ledger);
    let mut all = Vec::new();
    let mut blocked = Vec::new();
    let mut settled = Vec::new();
    for owner in &listed.names {
        let here: Vec<&Required> = required.iter().copied().filter(|one| one.owner == **owner).collect();
        let owned: Vec<&Owned> = ledger.iter().filter(|owned| owned.owner == **owner).collect();
        let cuts = listed.cuts(owner);
        let mut found = Found::default();
        if owner.is_at_or_below(&existing.handle.apex) && existing.knows(owner) {
            let below_ours = required.iter().any(|one| is_delegation(one) && owner.is_below(&one.owner));
            let place =
                Place { owner, required: &here, owned: &owned, cuts: &cuts, below_ours, capabilities };
            found = place.settle(listed.records.get(*owner).map_or(&[], Vec::as_slice));
        } else {
            found.blocked = here.iter().map(|one| blocked_by(one, Vec::new(), Reason::NotListed)).collect();
        }
        let essential = here.iter().any(|one| one.essential);
        all.extend(found.steps.into_iter().map(|(key, action, foreign)| (!essential, key, action, foreign)));
        blocked.append(&mut found.blocked);
        settled.append(&mut found.settled);
    }
    // Names that the domain is verified by come first; the sort is stable, and names were gone through in order.
    all.sort_by_key(|(late, ..)| *late);
    let drafts = all.into_iter().map(|(_, key, action, foreign)| (key, action, foreign)).collect();
    settled.sort();
    let mut set = numbered(existing, capabilities, drafts);
    set.blocked = blocked;
    set.settled = settled;
    set
}

/// A change set of these steps (the planned record, what is done, whether it is about another's record).
pub(crate) fn numbered(existing: &Zone, capabilities: &Capabilities, drafts: Vec<Draft>) -> ChangeSet {
    let mut set = ChangeSet {
        version: ChangeSet::VERSION,
        zone: existing.handle.apex.clone(),
        steps: Vec::with_capacity(drafts.len()),
        blocked: Vec::new(),
        settled: Vec::new(),
        before: Vec::new(),
        foreign: BTreeSet::new(),
    };
    for (id, (key, action, foreign)) in (0..u16::MAX).zip(drafts) {
        if foreign {
            set.foreign.insert(id);
        }
        set.steps.push(Step { id, key, action });
    }
    let touched = set.names();
    // A host that takes the zone as a whole would undo whatever is written elsewhere in between.
    let counts = |record: &&ZoneRecord| {
        !touched.is_empty() && (capabilities.grain == Grain::Zone || touched.contains(&record.record.owner))
    };
    let mut before: Vec<ZoneRecord> = existing.records.iter().filter(counts).cloned().collect();
    before.sort_by(by_record);
    set.before = before;
    set
}

pub(crate) fn blocked_by(required: &Required, by: Vec<ZoneRecord>, reason: Reason) -> Blocked {
    Blocked {
        key: required.key.clone(),
        owner: required.owner.clone(),
        essential: required.essential,
        by,
        reason,
    }
}

fn is_delegation(required: &Required) -> bool {
    matches!(required.want, Want::Exactly { data: RecordData::Ns(_) })
}

/// The records of a zone that matter, by name.
struct Listing<'a> {
    /// The names that anything is asked of, in order.
    names: Vec<&'a DomainName>,
    records: HashMap<&'a DomainName, Vec<&'a ZoneRecord>>,
    /// Where the zone hands names to other name servers.
    delegations: Vec<&'a ZoneRecord>,
}

impl<'a> Listing<'a> {
    fn new(required: &[&'a Required], existing: &'a Zone, ledger: &'a [Owned]) -> Self {
        let wanted = required.iter().map(|required| &required.owner);
        let wanted: HashSet<&DomainName> = wanted.chain(ledger.iter().map(|owned| &owned.owner)).collect();
        let mut records: HashMap<&DomainName, Vec<&ZoneRecord>> = HashMap::new();
        let mut delegations = Vec::new();
        for record in &existing.records {
            let owner = &record.record.owner;
            if wanted.contains(owner) {
                records.entry(owner).or_default().push(record);
            }
            // What of ours nothing asks for any more goes with this very plan.
            let goes = || {
                let is_it = |other: &DomainName, data: &RecordData| {
                    other == owner && same_data(data, &record.record.data)
                };
                let asked = required
                    .iter()
                    .any(|one| matches!(&one.want, Want::Exactly { data } if is_it(&one.owner, data)));
                !asked && ledger.iter().any(|owned| is_it(&owned.owner, &owned.data))
            };
            let is_cut = record.record.data.record_type() == RecordType::Ns && *owner != existing.handle.apex;
            if is_cut && !goes() {
                delegations.push(record);
            }
        }
        for at in records.values_mut() {
            at.sort_by(|one, other| by_record(one, other));
        }
        delegations.sort_by(|one, other| by_record(one, other));
        let mut names: Vec<&DomainName> = wanted.into_iter().collect();
        names.sort_by(|one, other| by_name(one, other));
        Self { names, records, delegations }
    }

    /// The name server records by which a name belongs to another zone: those above it, and those at it.
    fn cuts(&self, owner: &DomainName) -> Vec<&'a ZoneRecord> {
        self.delegations.iter().copied().filter(|cut| owner.is_at_or_below(&cut.record.owner)).collect()
    }
}
