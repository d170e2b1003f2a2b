//! A DNS host as a pure model: what hosts hold in common, for tests and for trying a plan before it is written.
//!
//! It refuses what real ones refuse: data beside an alias, a name's second alias, TTLs out of range, what is not there
//! as it is said to be, more records than its quota. A batch is done as a whole or not at all, where the host can.

use crate::{
    Action, Atomic, Batch, Capabilities, Done, Grain, HostError, Kept, Listed, Refusal, Step, Work,
    WriteError, Written, Zone, ZoneHandle, ZoneRecord, order::same_data,
};
use model::{DomainName, Record, RecordType};

/// A host with one zone.
#[derive(Debug, Clone)]
pub struct ModelHost {
    /// What it can.
    pub capabilities: Capabilities,
    /// Whether its records have names of their own.
    pub names_records: bool,
    /// How many records it takes.
    pub quota: usize,
    apex: DomainName,
    records: Vec<ZoneRecord>,
    next_id: u64,
    writes: usize,
}

impl ModelHost {
    /// A host with these records in its zone.
    pub fn new(apex: DomainName, capabilities: Capabilities, records: Vec<ZoneRecord>) -> Self {
        let mut host = Self {
            capabilities,
            names_records: capabilities.grain == Grain::Record,
            quota: usize::MAX,
            apex,
            records: Vec::new(),
            next_id: 1,
            writes: 0,
        };
        host.records = records.into_iter().map(|record| host.named(record)).collect();
        host
    }

    fn named(&mut self, record: ZoneRecord) -> ZoneRecord {
        let id = self.names_records.then(|| format!("r{}", self.next_id));
        self.next_id += 1;
        ZoneRecord { id, ..record }
    }

    /// The whole zone.
    pub fn list(&self) -> Zone {
        Zone {
            handle: ZoneHandle { apex: self.apex.clone(), id: "model".to_owned() },
            records: self.records.clone(),
            listed: Listed::Whole,
            version: None,
        }
    }

    /// How many batches were written.
    pub const fn writes(&self) -> usize {
        self.writes
    }

    /// What somebody else does in the panel.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Vec<ZoneRecord>)) {
        edit(&mut self.records);
        let records = std::mem::take(&mut self.records);
        self.records = records
            .into_iter()
            .map(|record| if self.names_records && record.id.is_none() { self.named(record) } else { record })
            .collect();
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// What it refuses, and how far it came.
    pub fn write(&mut self, batch: &Batch) -> Result<Vec<Written>, WriteError> {
        self.writes += 1;
        let saved = self.records.clone();
        let outcome = match &batch.work {
            Work::Records(steps) => self.write_records(steps),
            Work::Sets(sets) => {
                let mut done = Ok(());
                for set in sets {
                    let exact = |one: &ZoneRecord, other: &ZoneRecord| one.record == other.record;
                    let now: Vec<&ZoneRecord> = self.of_set(&set.owner, set.record_type).collect();
                    let as_said = now.len() == set.before.len()
                        && now.iter().all(|one| set.before.iter().any(|other| exact(one, other)));
                    if !as_said {
                        done = Err((Refusal::ZoneChanged, Vec::new()));
                        break;
                    }
                    let in_set = |record: &Record| {
                        record.owner == set.owner && record.data.record_type() == set.record_type
                    };
                    let old: Vec<ZoneRecord> =
                        self.records.extract_if(.., |record| in_set(&record.record)).collect();
                    for new in &set.after {
                        let known = old.iter().find(|known| same_data(&known.record.data, &new.data));
                        let known = known.cloned().unwrap_or_else(|| ZoneRecord::plain(new.clone()));
                        self.records.push(ZoneRecord { record: new.clone(), ..known });
                    }
                    done = self.check(&set.owner).map_err(|refusal| (refusal, Vec::new()));
                    if done.is_err() {
                        break;
                    }
                }
                done.map(|()| written(&batch.steps))
            }
            Work::Zone(records) => {
                self.records.clone_from(records);
                let owners: Vec<DomainName> =
                    records.iter().map(|record| record.record.owner.clone()).collect();
                let checked = owners.iter().try_for_each(|owner| self.check(owner));
                checked.map(|()| written(&batch.steps)).map_err(|refusal| (refusal, Vec::new()))
            }
        };
        outcome.map_err(|(refusal, written)| {
            let atomic = !matches!((self.capabilities.atomic, &batch.work), (Atomic::Each, Work::Records(_)));
            let done = if atomic || written.is_empty() {
                self.records = saved;
                Done::Nothing
            } else {
                Done::Steps(written)
            };
            WriteError { error: HostError::bare(refusal), done }
        })
    }

    fn of_set<'a>(
        &'a self,
        owner: &'a DomainName,
        record_type: RecordType,
    ) -> impl Iterator<Item = &'a ZoneRecord> {
        let in_set =
            move |record: &Record| record.owner == *owner && record.data.record_type() == record_type;
        self.records.iter().filter(move |record| in_set(&record.record))
    }

    fn write_records(&mut self, steps: &[Step]) -> Result<Vec<Written>, (Refusal, Vec<Written>)> {
        let mut written = Vec::new();
        for step in steps {
            match self.write_record(step) {
                Ok(id) => written.push(Written { step: step.id, id }),
                Err(refusal) => return Err((refusal, written)),
            }
        }
        Ok(written)
    }

    /// One step, or nothing of it.
    fn write_record(&mut self, step: &Step) -> Result<Option<String>, Refusal> {
        let saved = self.records.clone();
        let mut outcome = Ok(None);
        if let Some(old) = step.action.before() {
            // Its TTL may have gone with that of its set.
            let is_it = |record: &ZoneRecord| {
                record.id == old.id
                    && record.record.owner == old.record.owner
                    && record.record.data == old.record.data
            };
            match self.records.iter().position(is_it) {
                Some(at) => drop(self.records.remove(at)),
                None => outcome = Err(Refusal::ZoneChanged),
            }
        }
        if let (Ok(_), Some(new)) = (&outcome, step.action.after()) {
            let kept = match &step.action {
                // A record that is another's keeps its name and its note.
                Action::Replace { old, .. } => {
                    ZoneRecord { proxied: false, record: new.clone(), ..old.clone() }
                }
                _ => self.named(ZoneRecord::plain(new.clone())),
            };
            let id = kept.id.clone();
            self.even_ttl(new);
            self.records.push(kept);
            outcome = self.check(&new.owner).map(|()| id);
        }
        if outcome.is_err() {
            self.records = saved;
        }
        outcome
    }

    /// Adding to a set with another TTL changes it for all (as BIND and Knot do).
    fn even_ttl(&mut self, new: &Record) {
        if !self.capabilities.set_ttl {
            return;
        }
        for known in &mut self.records {
            let same_set =
                known.record.owner == new.owner && known.record.data.record_type() == new.data.record_type();
            if same_set {
                known.record.ttl = new.ttl;
            }
        }
    }

    /// Whether the host takes what would be at a name.
    fn check(&self, owner: &DomainName) -> Result<(), Refusal> {
        let at: Vec<&ZoneRecord> =
            self.records.iter().filter(|record| record.record.owner == *owner).collect();
        let aliases = at.iter().filter(|one| one.record.data.record_type() == RecordType::Cname).count();
        if aliases > 1 || aliases == 1 && at.len() > 1 {
            return Err(Refusal::Conflict);
        }
        let twice = |(place, one): (usize, &&ZoneRecord)| {
            at[..place].iter().any(|other| other.record.data == one.record.data)
        };
        if at.iter().enumerate().any(twice) {
            return Err(Refusal::Conflict);
        }
        let (least, most) = self.capabilities.ttl;
        let out_of_range = |record: &&ZoneRecord| !(least..=most).contains(&record.record.ttl);
        if at.iter().any(|record| record.kept == Kept::Plain && out_of_range(record)) {
            return Err(Refusal::RecordRefused);
        }
        if self.records.len() > self.quota { Err(Refusal::QuotaExceeded) } else { Ok(()) }
    }
}

fn written(steps: &[u16]) -> Vec<Written> {
    steps.iter().map(|&step| Written { step, id: None }).collect()
}
