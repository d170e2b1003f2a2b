//! Doing what a remedy says, at every server of the zone: what a customer does who follows the report to the letter.

use crate::{
    world::World,
    zone::Zone,
    zone_text::{DS, from_value},
};
use diagnosis::Remedy;
use model::{DomainName, Record, RecordData, RecordType};
use std::sync::Arc;

impl World {
    /// Does what a remedy says in the closest zone around its name; says whether it is a change of records at all.
    pub fn follow(&mut self, remedy: &Remedy) -> bool {
        match remedy {
            Remedy::Add { name, record_type, value, preference } => {
                self.change(name, &[*record_type], |zone| put(zone, name, *record_type, value, *preference));
            }
            Remedy::Replace { name, record_type, current, value, preference } => {
                self.change(name, &[*record_type], |zone| {
                    zone.records.retain(|record| record.owner != *name || !is_one_of(&record.data, current));
                    put(zone, name, *record_type, value, *preference);
                });
            }
            Remedy::Move { from, to, record_type, value, preference } => {
                let goes = |record: &Record| {
                    record.owner == *from
                        && record.data.record_type() == *record_type
                        && says(&record.data, value)
                };
                self.change(from, &[], |zone| zone.records.retain(|record| !goes(record)));
                self.change(to, &[], |zone| put(zone, to, *record_type, value, *preference));
            }
            Remedy::MergeSpf { name, current, replace_with } => self.change(name, &[], |zone| {
                zone.records.retain(|record| record.owner != *name || !is_one_of(&record.data, current));
                put(zone, name, RecordType::Txt, replace_with, None);
            }),
            Remedy::Remove { name, record_types, values } => self.change(name, record_types, |zone| {
                zone.records.retain(|record| {
                    let is_meant = values.is_empty() || is_one_of(&record.data, values);
                    record.owner != *name || !record_types.contains(&record.data.record_type()) || !is_meant
                });
            }),
            _ => return false,
        }
        true
    }

    fn change(&mut self, name: &DomainName, record_types: &[RecordType], change: impl Fn(&mut Zone)) {
        // What the zone above says of a zone is in the zone above.
        let is_above = record_types.iter().any(|kind| *kind == RecordType::Ns || kind.code() == DS);
        let apex = self.zone_of(name).map(|served| served.zone.apex.clone());
        let above = name.parent().filter(|_| is_above && apex.as_ref() == Some(name));
        let apex = match above {
            Some(parent) => self.zone_of(&parent).map(|served| served.zone.apex.clone()),
            None => apex,
        };
        let Some(apex) = apex else { return };
        for served in self.served.iter_mut().filter(|served| served.zone.apex == apex) {
            change(Arc::make_mut(&mut served.zone));
        }
    }
}

fn put(zone: &mut Zone, name: &DomainName, record_type: RecordType, value: &str, preference: Option<u16>) {
    let record = from_value(name, record_type, value, preference);
    if !zone.records.contains(&record) {
        zone.records.push(record);
    }
}

fn is_one_of(data: &RecordData, values: &[String]) -> bool {
    values.iter().any(|value| says(data, value))
}

/// Whether a report shows a record as this value: a text as a whole, names with or without their final dot.
fn says(data: &RecordData, value: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    match data {
        RecordData::Txt(text) => text.joined() == value,
        RecordData::Mx { exchange, .. } => {
            bare(&exchange.to_string()) == bare(value) || bare(&data.to_string()) == bare(value)
        }
        other => bare(&other.to_string()) == bare(value),
    }
}
