//! Writing records at DNS hosts: what would change, as data.
//!
//! [`plan`] compares the records that should be there with those that are, and says which to remove and which to
//! add. It writes nothing; whoever holds the zone applies the changes. The playground is the only host so far.

use model::{Record, RecordData};

/// A record that is in the zone now, and how its host names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing<Id> {
    /// The host's own name for it.
    pub id: Id,
    /// The record.
    pub record: Record,
}

/// One step of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<Id> {
    /// Take this record out.
    Remove(Id),
    /// Put this record in.
    Add(Record),
}

/// The steps from what is there to what should be there: removals first, since an alias may not stand beside other
/// records. Empty when all wanted records are there already. Records that are in nobody's way stay.
pub fn plan<Id: Clone + PartialEq>(wanted: &[Record], existing: &[Existing<Id>]) -> Vec<Change<Id>> {
    let mut removals = Vec::new();
    let mut additions = Vec::new();
    for record in wanted {
        let at_name = || existing.iter().filter(|old| old.record.owner == record.owner);
        let mut is_there = false;
        for old in at_name() {
            if old.record.data == record.data && !is_there {
                is_there = true;
            } else if stands_in_the_way(&old.record.data, &record.data) {
                let removal = Change::Remove(old.id.clone());
                if !removals.contains(&removal) {
                    removals.push(removal);
                }
            }
        }
        if !is_there {
            additions.push(Change::Add(record.clone()));
        }
    }
    removals.append(&mut additions);
    removals
}

/// Whether a record at the same name keeps the wanted one from being right: anything beside an alias
/// (RFC 1034 §3.6.2), another record of a type that is there once, another text of the same kind (SPF, DMARC, DKIM).
/// Other texts stay.
fn stands_in_the_way(old: &RecordData, wanted: &RecordData) -> bool {
    match (old, wanted) {
        (_, RecordData::Cname(_)) | (RecordData::Cname(_), _) => true,
        (RecordData::Txt(old), RecordData::Txt(wanted)) => kind(&old.joined()) == kind(&wanted.joined()),
        (old, wanted) => old.record_type() == wanted.record_type(),
    }
}

/// What a text begins with up to the first space or semicolon, without the quotation marks somebody may have
/// pasted: `v=spf1`, `v=dmarc1`, `v=dkim1`.
fn kind(text: &str) -> String {
    let bare = text.trim_start_matches(['"', ' ']);
    bare.split([' ', ';', '"']).next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{DomainName, TxtData};

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn record(owner: &str, data: RecordData) -> Record {
        Record { owner: name(owner), ttl: 300, data }
    }

    fn txt(text: &str) -> RecordData {
        RecordData::Txt(TxtData::from_text(text))
    }

    fn existing(records: Vec<Record>) -> Vec<Existing<usize>> {
        records.into_iter().enumerate().map(|(id, record)| Existing { id, record }).collect()
    }

    #[test]
    fn only_what_stands_in_the_way_is_removed() {
        let there = existing(vec![
            record("mail.acme.test", txt("v=spf1 -all")),
            record("mail.acme.test", txt("somebody-elses-proof=1")),
            record("acme.test", txt("v=spf1 mx -all")),
            record("t._domainkey.mail.acme.test", txt("pasted")),
            record(
                "bounce.mail.acme.test",
                RecordData::Mx { preference: 5, exchange: name("mx.other.test") },
            ),
        ]);
        let spf = record("mail.acme.test", txt("v=spf1 include:spf.send.test -all"));
        let key = record("t._domainkey.mail.acme.test", RecordData::Cname(name("t.dkim.send.test")));
        let mx = record(
            "bounce.mail.acme.test",
            RecordData::Mx { preference: 10, exchange: name("fb.send.test") },
        );
        let wanted = vec![spf.clone(), key.clone(), mx.clone()];
        assert_eq!(
            plan(&wanted, &there),
            vec![
                Change::Remove(0),
                Change::Remove(3),
                Change::Remove(4),
                Change::Add(spf),
                Change::Add(key),
                Change::Add(mx)
            ]
        );
    }

    #[test]
    fn a_second_time_changes_nothing_and_a_double_is_reduced_to_one() {
        let spf = record("mail.acme.test", txt("v=spf1 include:spf.send.test ~all"));
        assert_eq!(plan(std::slice::from_ref(&spf), &existing(vec![spf.clone()])), vec![]);
        assert_eq!(
            plan(std::slice::from_ref(&spf), &existing(vec![spf.clone(), spf.clone()])),
            vec![Change::Remove(1)]
        );
    }

    #[test]
    fn pasted_quotation_marks_do_not_hide_a_record_of_the_same_kind() {
        let dmarc = record("_dmarc.acme.test", txt("v=DMARC1; p=none"));
        let there = existing(vec![record("_dmarc.acme.test", txt("\"v=DMARC1; p=reject\""))]);
        assert_eq!(plan(std::slice::from_ref(&dmarc), &there), vec![Change::Remove(0), Change::Add(dmarc)]);
    }
}
