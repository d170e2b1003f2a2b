//! Which records are the same, and in which order they are gone through: that in which they are given never matters.

use crate::ZoneRecord;
use model::{DomainName, RecordData};
use std::cmp::Ordering;

/// Whether two records hold the same: texts octet by octet, however they are cut into strings (RFC 7208 §3.3,
/// RFC 6376 §3.6.2.2).
pub fn same_data(one: &RecordData, other: &RecordData) -> bool {
    match (one, other) {
        (RecordData::Txt(one), RecordData::Txt(other)) => {
            one == other || one.strings().flatten().eq(other.strings().flatten())
        }
        _ => model::same_data(one, other),
    }
}

/// How many octets a text has, its strings joined; nothing for what is no text.
pub(crate) fn text_octets(data: &RecordData) -> usize {
    match data {
        RecordData::Txt(text) => text.strings().map(<[u8]>::len).sum(),
        _ => 0,
    }
}

/// The canonical order of names: label by label from the right (RFC 4034 §6.1).
pub(crate) fn by_name(one: &DomainName, other: &DomainName) -> Ordering {
    one.labels().rev().cmp(other.labels().rev())
}

/// An order of records that depends on nothing but what they are.
pub(crate) fn by_record(one: &ZoneRecord, other: &ZoneRecord) -> Ordering {
    let (a, b) = (&one.record, &other.record);
    by_name(&a.owner, &b.owner)
        .then_with(|| a.data.record_type().code().cmp(&b.data.record_type().code()))
        .then_with(|| a.data.cmp(&b.data))
        .then_with(|| a.ttl.cmp(&b.ttl))
        .then_with(|| one.id.cmp(&other.id))
        .then_with(|| one.proxied.cmp(&other.proxied))
        .then_with(|| one.note.cmp(&other.note))
}
