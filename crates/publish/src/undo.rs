//! Taking back what a change set did.

use crate::place::Draft;
use crate::{
    Action, Blocked, Capabilities, ChangeSet, Kept, Reason, Step, Why, Zone, ZoneRecord, order::same_data,
    plan::numbered,
};
use mail::spf::is_spf_record;
use model::{Record, RecordData, RecordType, TxtData};
use std::collections::BTreeSet;

/// The change set that takes back the steps `done` of `set`, with the zone as it is now. What somebody else changed
/// meanwhile stays and is told; of an SPF record that others wrote into since, only our mechanisms go.
pub fn undo(set: &ChangeSet, done: &BTreeSet<u16>, now: &Zone, capabilities: &Capabilities) -> ChangeSet {
    let mut back =
        Back { drafts: Vec::new(), blocked: Vec::new(), settled: Vec::new(), left: now.records.clone() };
    let steps: Vec<&Step> = set.steps.iter().rev().filter(|step| done.contains(&step.id)).collect();
    // What we put in goes first, so that what was taken out finds its place.
    for step in steps.iter().filter(|step| step.action.after().is_some()) {
        back.take_back(set, step);
    }
    for step in steps {
        if let Action::Remove { old } = &step.action {
            back.put_back(set, step, old);
        }
    }
    let mut undone = numbered(now, capabilities, back.drafts);
    undone.blocked = back.blocked;
    back.settled.sort();
    undone.settled = back.settled;
    undone
}

struct Back {
    drafts: Vec<Draft>,
    blocked: Vec<Blocked>,
    settled: Vec<String>,
    /// What will be there, as far as it was gone through.
    left: Vec<ZoneRecord>,
}

impl Back {
    /// Takes out, or brings back to what it was, what a step wrote.
    fn take_back(&mut self, set: &ChangeSet, step: &Step) {
        let Some(new) = step.action.after() else { return };
        let is_it = |record: &ZoneRecord| {
            record.kept == Kept::Plain
                && record.record.owner == new.owner
                && same_data(&record.record.data, &new.data)
        };
        let before = step.action.before();
        match self.left.iter().position(is_it) {
            Some(at) => match before {
                None => {
                    let old = self.left.remove(at);
                    self.drafts.push((step.key.clone(), Action::Remove { old }, false));
                }
                // Its addresses were the host's own before: nothing that anybody wants back.
                Some(old) if same_data(&old.record.data, &new.data) => self.settled.push(step.key.clone()),
                Some(old) => {
                    let (foreign, was) = (set.foreign.contains(&step.id), old.record.clone());
                    self.replace(step, at, was, foreign);
                }
            },
            None => self.changed_since(set, step, new, before),
        }
    }

    fn replace(&mut self, step: &Step, at: usize, new: Record, foreign: bool) {
        let mut kept = ZoneRecord::plain(new.clone());
        let old = self.left[at].clone();
        kept.note.clone_from(&old.note);
        self.left[at] = kept;
        let why = if foreign { Why::Undo } else { Why::Ours };
        self.drafts.push((step.key.clone(), Action::Replace { old, new, why }, foreign));
    }

    /// What we wrote is not there as we wrote it.
    fn changed_since(&mut self, set: &ChangeSet, step: &Step, new: &Record, before: Option<&ZoneRecord>) {
        if let Some(text) = new.data.text().filter(|text| is_spf_record(text)) {
            let was = before.and_then(|old| old.record.data.text()).unwrap_or_default();
            let rules = mail::spf::put_in(&was, &text);
            let at = self.left.iter().position(|record| {
                record.kept == Kept::Plain
                    && record.record.owner == new.owner
                    && record.record.data.text().is_some_and(|text| is_spf_record(&text))
            });
            let joined = matches!(step.action, Action::Replace { why: Why::SpfJoin, .. });
            if let Some(at) = at.filter(|_| !joined)
                && let Some(text) = self.left[at].record.data.text()
                && let Some(back) = mail::spf::unmerge(&text, &rules)
            {
                let data = RecordData::Txt(TxtData::from_text(&back));
                let record = Record { data, ..self.left[at].record.clone() };
                self.replace(step, at, record, true);
                return;
            }
        }
        let of_type = |record: &&ZoneRecord| {
            let other_text = new.data.record_type() == RecordType::Txt && before.is_none();
            record.record.owner == new.owner
                && record.record.data.record_type() == new.data.record_type()
                && !other_text
                && !set.before.contains(record)
        };
        let by: Vec<ZoneRecord> = self.left.iter().filter(of_type).cloned().collect();
        if by.is_empty() && before.is_none() {
            // It is gone already.
            self.settled.push(step.key.clone());
        } else {
            self.block(step, by);
        }
    }

    /// Puts in again what a step removed.
    fn put_back(&mut self, set: &ChangeSet, step: &Step, old: &ZoneRecord) {
        let alias = |data: &RecordData| data.record_type() == RecordType::Cname;
        let at_name: Vec<&ZoneRecord> =
            self.left.iter().filter(|record| record.record.owner == old.record.owner).collect();
        if at_name.iter().any(|record| same_data(&record.record.data, &old.record.data)) {
            self.settled.push(step.key.clone());
            return;
        }
        let spf = |data: &RecordData| data.text().is_some_and(|text| is_spf_record(&text));
        let known = |record: &ZoneRecord| {
            set.before.iter().any(|before| same_data(&before.record.data, &record.record.data))
        };
        let excludes = |record: &&&ZoneRecord| {
            alias(&record.record.data)
                || alias(&old.record.data)
                || spf(&old.record.data) && spf(&record.record.data) && !known(record)
        };
        let by: Vec<ZoneRecord> = at_name.iter().filter(excludes).map(|record| (*record).clone()).collect();
        if !by.is_empty() {
            self.block(step, by);
            return;
        }
        self.left.push(ZoneRecord::plain(old.record.clone()));
        let new = old.record.clone();
        self.drafts.push((step.key.clone(), Action::Add { new }, set.foreign.contains(&step.id)));
    }

    fn block(&mut self, step: &Step, by: Vec<ZoneRecord>) {
        self.blocked.push(Blocked {
            key: step.key.clone(),
            owner: step.action.owner().clone(),
            essential: false,
            by,
            reason: Reason::ChangedSince,
        });
    }
}
