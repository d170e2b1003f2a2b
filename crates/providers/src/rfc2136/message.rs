//! Questions and updates, to octets (RFC 1035 §4.1, RFC 2136 §2). Names are not compressed.

use crate::outcome::touched_sets;
use model::{DomainName, Record, RecordData, RecordType};
use publish::{Step, ZoneRecord};
use std::collections::BTreeSet;

/// The type that asks for a whole zone (RFC 5936).
pub(super) const AXFR: u16 = 252;
/// The opcode of an update.
pub(super) const UPDATE: u8 = 5;

const CLASS_IN: u16 = 1;
const CLASS_NONE: u16 = 254;
const TYPE_ANY: u16 = 255;

/// A question.
pub(super) fn question(id: u16, name: &DomainName, of_type: u16) -> Vec<u8> {
    let mut out = header(id, 0);
    push_question(&mut out, name, of_type);
    out
}

fn header(id: u16, opcode: u8) -> Vec<u8> {
    let mut out = vec![0; 12];
    out[..2].copy_from_slice(&id.to_be_bytes());
    out[2] = opcode << 3;
    out[5] = 1;
    out
}

fn push_question(out: &mut Vec<u8>, name: &DomainName, of_type: u16) {
    name.push_wire(out);
    out.extend_from_slice(&of_type.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
}

fn push_record(
    out: &mut Vec<u8>,
    owner: &DomainName,
    of_type: u16,
    class: u16,
    ttl: u32,
    data: &[u8],
) -> Option<()> {
    let length = u16::try_from(data.len()).ok()?;
    owner.push_wire(out);
    out.extend_from_slice(&of_type.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
    Some(())
}

/// Record data on the wire. `None` for a zone's own record, which is never written.
fn data(data: &RecordData) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match data {
        RecordData::A(address) => out.extend_from_slice(&address.octets()),
        RecordData::Aaaa(address) => out.extend_from_slice(&address.octets()),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            name.push_wire(&mut out);
        }
        RecordData::Mx { preference, exchange } => {
            out.extend_from_slice(&preference.to_be_bytes());
            exchange.push_wire(&mut out);
        }
        RecordData::Txt(text) => out.extend_from_slice(text.as_wire()),
        RecordData::Other { octets, .. } => out.extend_from_slice(octets),
        RecordData::Soa(_) => return None,
    }
    Some(out)
}

/// An update.
pub(super) struct Update {
    out: Vec<u8>,
    prerequisites: u16,
    updates: u16,
}

impl Update {
    /// What must be there, then what is to be done. `None` for what is not written, and for what is not in the zone.
    pub(super) fn new(id: u16, apex: &DomainName, before: &[ZoneRecord], steps: &[Step]) -> Option<Self> {
        let mut update = Self { out: header(id, UPDATE), prerequisites: 0, updates: 0 };
        push_question(&mut update.out, apex, RecordType::Soa.code());
        if !steps.iter().all(|step| step.action.owner().is_at_or_below(apex)) {
            return None;
        }
        for (owner, of_type) in &touched_sets(steps) {
            update.require_set(owner, *of_type, before)?;
        }
        let owners: BTreeSet<&DomainName> = steps.iter().map(|step| step.action.owner()).collect();
        for owner in owners {
            update.require_no_other(owner, before, steps)?;
        }
        for old in steps.iter().filter_map(|step| step.action.before()) {
            let Record { owner, data: old, .. } = &old.record;
            update.push(owner, old.record_type(), CLASS_NONE, 0, &data(old)?)?;
            update.updates += 1;
        }
        for new in steps.iter().filter_map(|step| step.action.after()) {
            let of_type = new.data.record_type();
            let sibling = before
                .iter()
                .find(|there| there.record.owner == new.owner && there.record.data.record_type() == of_type);
            // All records of a set have one TTL; the customer's is not changed.
            let ttl = sibling.map_or(new.ttl, |there| there.record.ttl);
            update.push(&new.owner, of_type, CLASS_IN, ttl, &data(&new.data)?)?;
            update.updates += 1;
        }
        Some(update)
    }

    fn push(
        &mut self,
        owner: &DomainName,
        of_type: RecordType,
        class: u16,
        ttl: u32,
        data: &[u8],
    ) -> Option<()> {
        push_record(&mut self.out, owner, of_type.code(), class, ttl, data)
    }

    /// The whole set is as it was listed, record by record (RFC 2136 §2.4.2), or is not there (§2.4.3).
    fn require_set(&mut self, owner: &DomainName, of_type: RecordType, before: &[ZoneRecord]) -> Option<()> {
        let mut is_there = false;
        let of_set = before
            .iter()
            .map(|there| &there.record)
            .filter(|there| there.owner == *owner && there.data.record_type() == of_type);
        for there in of_set {
            is_there = true;
            self.push(owner, of_type, CLASS_IN, 0, &data(&there.data)?)?;
            self.prerequisites += 1;
        }
        if !is_there {
            self.push(owner, of_type, CLASS_NONE, 0, &[])?;
            self.prerequisites += 1;
        }
        Some(())
    }

    /// Nothing is at the name that keeps what is added from being there: servers leave it out, and say yes.
    fn require_no_other(&mut self, owner: &DomainName, before: &[ZoneRecord], steps: &[Step]) -> Option<()> {
        let news = || steps.iter().filter_map(|step| step.action.after()).filter(|new| new.owner == *owner);
        let is_listed = before.iter().any(|there| there.record.owner == *owner);
        let is_alias = |record: &Record| record.data.record_type() == RecordType::Cname;
        if news().any(is_alias) && !is_listed {
            // The name is not in use (§2.4.5).
            push_record(&mut self.out, owner, TYPE_ANY, CLASS_NONE, 0, &[])?;
            self.prerequisites += 1;
        } else if news().any(|new| !is_alias(new))
            && !before.iter().any(|there| there.record.owner == *owner && is_alias(&there.record))
        {
            self.push(owner, RecordType::Cname, CLASS_NONE, 0, &[])?;
            self.prerequisites += 1;
        }
        Some(())
    }

    /// The octets.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out[6..8].copy_from_slice(&self.prerequisites.to_be_bytes());
        self.out[8..10].copy_from_slice(&self.updates.to_be_bytes());
        self.out
    }
}
