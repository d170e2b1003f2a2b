//! A plan again from records as an API, a page or a file shows them: type, name and value.

use super::{Expected, Plan, PlannedRecord, planning};
use crate::profile::TxtConflict;
use model::{Caa, DomainName, Purpose, RecordData, RecordType};
use std::collections::BTreeMap;

/// A record as it is shown to whoever publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRecord {
    /// What it is for; `None` for a guess by type, name and value.
    pub purpose: Option<Purpose>,
    /// Its type.
    pub record_type: RecordType,
    /// Its name, in full.
    pub owner: DomainName,
    /// Its value: no quotes, an MX without its preference.
    pub value: String,
    /// The preference of an MX.
    pub preference: Option<u16>,
    /// In seconds.
    pub ttl: u32,
    /// Whether the domain is verified only with it.
    pub required: bool,
}

/// The plan of these records. What cannot be told from a record's value is not part of the plan: which key has to be
/// behind an alias. An error names the record by its place in the list, counted from 0.
pub fn from_records(
    domain: &DomainName,
    profile: &str,
    records: &[PublishedRecord],
) -> Result<Plan, (usize, String)> {
    let mut expected: Vec<Expected> = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        expected.push(expected_of(record, records).map_err(|problem| (index, problem))?);
    }
    let purposes: Vec<Purpose> = records
        .iter()
        .zip(&expected)
        .map(|(record, expected)| record.purpose.unwrap_or_else(|| guess(record, expected)))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for purpose in &purposes {
        *counts.entry(purpose.as_str()).or_default() += 1;
    }
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let planned = records.iter().zip(expected).zip(purposes).map(|((record, expected), purpose)| {
        let word = purpose.as_str();
        let number = numbers.entry(word).or_default();
        *number += 1;
        PlannedRecord {
            hosted: false,
            key: if counts[word] == 1 { word.to_owned() } else { format!("{word}-{number}") },
            purpose,
            owner: record.owner.clone(),
            ttl: record.ttl,
            required: record.required,
            expected,
            explanation: String::new(),
        }
    });
    Ok(Plan::new(domain.clone(), profile, planned.collect()))
}

fn expected_of(record: &PublishedRecord, all: &[PublishedRecord]) -> Result<Expected, String> {
    let value = record.value.trim();
    let name = || DomainName::parse(value).map_err(|error| error.to_string());
    let wrong = |what: &str| format!("\"{}\" is not {what}", value.chars().take(80).collect::<String>());
    Ok(match record.record_type {
        RecordType::Cname => Expected::Cname { target: name()?, dkim_key: None },
        RecordType::Mx => Expected::Mx {
            preference: record.preference.ok_or("an MX record needs its priority")?,
            exchange: exchange(value)?,
            beside: all
                .iter()
                .filter(|other| other.record_type == RecordType::Mx && other.owner == record.owner)
                .filter_map(|other| exchange(other.value.trim()).ok())
                .filter(|other| exchange(value).as_ref() != Ok(other))
                .collect(),
        },
        RecordType::A => {
            Expected::Address { data: RecordData::A(value.parse().map_err(|_| wrong("an IPv4 address"))?) }
        }
        RecordType::Aaaa => {
            Expected::Address { data: RecordData::Aaaa(value.parse().map_err(|_| wrong("an IPv6 address"))?) }
        }
        RecordType::Ns if record.purpose == Some(Purpose::Delegation) => {
            let of_set =
                all.iter().filter(|other| other.record_type == RecordType::Ns && other.owner == record.owner);
            let names = of_set.filter_map(|other| DomainName::parse(other.value.trim()).ok());
            let name_server = name()?;
            Expected::Delegation {
                beside: names.filter(|other| *other != name_server).collect(),
                name_server,
            }
        }
        RecordType::Ns => Expected::Exact { data: RecordData::Ns(name()?) },
        RecordType::Caa => Expected::Exact {
            data: Caa::parse(value).ok_or_else(|| wrong("like: 0 issue \"ca.example\""))?.to_data(),
        },
        RecordType::Txt if value.is_empty() => return Err("the value is empty".to_owned()),
        RecordType::Txt => planning::classify(&record.owner, value.to_owned(), &TxtConflict::None),
        other => return Err(format!("records of the type {other} cannot be expected")),
    })
}

/// The root stands for "no mail" (RFC 7505).
fn exchange(value: &str) -> Result<DomainName, String> {
    if value == "." {
        return Ok(DomainName::root());
    }
    DomainName::parse(value).map_err(|error| error.to_string())
}

fn guess(record: &PublishedRecord, expected: &Expected) -> Purpose {
    match expected {
        _ if record.owner.labels().skip(1).any(|label| label == "_domainkey") => Purpose::Dkim,
        Expected::Dkim { .. } => Purpose::Dkim,
        Expected::Spf { .. } => Purpose::Spf,
        Expected::Dmarc { .. } => Purpose::Dmarc,
        Expected::Mx { .. } => Purpose::Inbound,
        Expected::Delegation { .. } => Purpose::Delegation,
        Expected::Txt { .. } | Expected::Exact { .. } => Purpose::Ownership,
        Expected::Cname { .. } | Expected::Address { .. } => Purpose::Tracking,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Profile, plan::plan};
    use std::sync::Arc;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn a_shown_plan_is_the_plan_again_but_for_the_keys_behind_aliases() {
        let variables =
            ["token1", "token2", "token3", "key1", "key2", "key3", "platform", "dmarcrua", "nameservers"]
                .map(|variable| (variable.to_owned(), format!("{variable}.example")))
                .into();
        for profile in Profile::built_in() {
            let mut original = plan(&profile, &name("mail.acme.test"), &variables).unwrap();
            // What we serve is shown to nobody who publishes.
            original.records.retain(|record| !record.hosted);
            let shown: Vec<PublishedRecord> = original
                .records
                .iter()
                .map(|record| PublishedRecord {
                    purpose: Some(record.purpose),
                    record_type: record.expected.record_type(),
                    owner: record.owner.clone(),
                    value: record.expected.value(),
                    preference: record.expected.preference(),
                    ttl: record.ttl,
                    required: record.required,
                })
                .collect();
            let mut expected = original;
            for record in expected.records.iter_mut().map(Arc::make_mut) {
                record.explanation.clear();
                if let Expected::Cname { dkim_key, .. } = &mut record.expected {
                    *dkim_key = None;
                }
            }
            assert_eq!(from_records(&expected.domain, &profile.name, &shown).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn a_record_that_makes_no_sense_is_named() {
        let record = |record_type, value: &str| PublishedRecord {
            purpose: None,
            record_type,
            owner: name("acme.test"),
            value: value.to_owned(),
            preference: None,
            ttl: 300,
            required: true,
        };
        let domain = name("acme.test");
        let good = record(RecordType::Txt, "v=spf1 include:spf.example ~all");
        let plan = from_records(&domain, "expected", std::slice::from_ref(&good)).unwrap();
        assert_eq!((plan.records[0].key.as_str(), plan.records[0].purpose), ("spf", Purpose::Spf));
        for (bad, words) in [
            (record(RecordType::A, "nonsense"), "is not an IPv4 address"),
            (record(RecordType::Mx, "mx.example"), "priority"),
            (record(RecordType::Cname, "a b"), "cannot have"),
            (record(RecordType::Soa, "x"), "SOA cannot be expected"),
        ] {
            let (index, problem) = from_records(&domain, "expected", &[good.clone(), bad]).unwrap_err();
            assert!(index == 1 && problem.contains(words), "{problem}");
        }
    }
}
