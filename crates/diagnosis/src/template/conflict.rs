//! Records of one template that cannot stand beside each other, whatever the zone holds.
//!
//! Asked twice: of the records as they are written, where equal texts are equal names, and again with the values
//! put in. Records of different groups may be meant for different occasions, so they are judged only when both are
//! applied.

use crate::profile::{Place, ProfileError, ProfileRecord, ProfileRecordKind};
use std::borrow::Cow;

/// The first two records that conflict, as an error at the later one.
///
/// `name_of` says where a record belongs; names are compared without case.
pub fn check<'r, I: 'r>(
    records: &'r [I],
    name_of: impl Fn(&'r I) -> Cow<'r, str>,
    record_of: impl Fn(&'r I) -> &'r ProfileRecord,
    all_groups: bool,
) -> Result<(), ProfileError> {
    let named: Vec<(Cow<'_, str>, &ProfileRecord)> =
        records.iter().map(|record| (normalised(name_of(record)), record_of(record))).collect();
    for (position, (name, record)) in named.iter().enumerate() {
        for (other_name, other) in &named[..position] {
            let together =
                all_groups || record.group == other.group || record.group.is_none() || other.group.is_none();
            if together && let Some(problem) = problem(name, &record.kind, other_name, &other.kind) {
                let problem = format!("{problem} (records[{}], {})", other.index, line(other.place));
                return Err(ProfileError::Field {
                    place: record.place,
                    field: format!("records[{}]", record.index),
                    problem,
                });
            }
        }
    }
    Ok(())
}

fn line(place: Place) -> String {
    format!("line {}", place.line)
}

/// Names compare without case and final dot; nothing stands for the domain itself.
fn normalised(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_upper = |any: bool, octet: &u8| any | octet.is_ascii_uppercase();
    match &*name {
        "" => "@".into(),
        text if text.ends_with('.') || text.as_bytes().iter().fold(false, is_upper) => {
            normalised(text.trim_end_matches('.').to_ascii_lowercase().into()).into_owned().into()
        }
        _ => name,
    }
}

fn problem(
    name: &str,
    kind: &ProfileRecordKind,
    other_name: &str,
    other: &ProfileRecordKind,
) -> Option<&'static str> {
    use ProfileRecordKind::{Cname, Ns, Txt};
    let same = name == other_name;
    if !same && !matches!(kind, Ns { .. }) && !matches!(other, Ns { .. }) {
        return None;
    }
    match (kind, other) {
        (Cname { .. }, Cname { .. }) if same => {
            Some("a name can have one alias, and another record gives it one too")
        }
        (Cname { .. }, _) | (_, Cname { .. }) if same => {
            Some("nothing can stand beside an alias (CNAME), and another record is at this name")
        }
        (Ns { .. }, Ns { .. }) => None,
        (Ns { .. }, _) if same || is_below(other_name, name) => {
            Some("it delegates the name, and another record is at it or below it")
        }
        (_, Ns { .. }) if same || is_below(name, other_name) => {
            Some("the name is delegated by another record, so nothing else can be at it or below it")
        }
        (Txt { data: one, .. }, Txt { data: two, .. })
            if same && is_policy(name, one) && is_policy(name, two) =>
        {
            Some("a name can have one record of this kind, and another record is one too")
        }
        _ => None,
    }
}

fn is_below(name: &str, above: &str) -> bool {
    above != "@" && name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

/// Two SPF records, two DMARC records or two keys at one name make both void.
fn is_policy(name: &str, data: &str) -> bool {
    mail::spf::is_spf_record(data)
        || mail::dmarc::is_dmarc_record(data)
        || name.split('.').skip(1).any(|label| label == "_domainkey")
}
