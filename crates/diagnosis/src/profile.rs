//! Profiles: which records a platform asks of a sender domain, as Domain Connect templates.
//!
//! A profile is a file in the Domain Connect template format with one object of our own, `x-countersign`, that
//! tells which groups are optional, which variable holds the key behind a DKIM alias, and what to tell people.
//! A template without that object loads too: all of its records are required then. A new profile touches no code.

use model::Purpose;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A parsed profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name: the template's `serviceId`.
    pub name: String,
    /// A title for people.
    pub title: String,
    /// One sentence for people.
    pub description: String,
    /// How many DKIM keys a domain of this profile has.
    pub dkim_keys: usize,
    /// The records, in the template's order.
    pub records: Vec<ProfileRecord>,
}

/// One record of a profile, its variables not yet filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRecord {
    /// What it is for.
    pub purpose: Purpose,
    /// Relative to the sender domain; `@` is the domain itself, a final dot makes it a full name.
    pub host: String,
    /// In seconds.
    pub ttl: u32,
    /// Whether a domain is verified only with it.
    pub required: bool,
    /// The variable that holds the public key behind this alias.
    pub dkim_key: Option<String>,
    /// For people.
    pub explanation: String,
    /// Type and data.
    pub kind: ProfileRecordKind,
}

/// Type and data of a template's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileRecordKind {
    /// An alias.
    Cname {
        /// Where to.
        points_to: String,
    },
    /// A mail exchanger.
    Mx {
        /// The host.
        points_to: String,
        /// Its preference.
        priority: u16,
    },
    /// A or AAAA.
    Address {
        /// The address.
        points_to: String,
    },
    /// Text.
    Txt {
        /// The value.
        data: String,
    },
    /// Mechanisms to merge into the SPF record there (`SPFM`).
    SpfMerge {
        /// The mechanisms, without `v=spf1` and `all`.
        rules: String,
    },
}

/// Why a profile cannot be used. Every error names its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not JSON, or not of the template's shape.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// One record is wrong.
    #[error("records[{index}]: {problem}")]
    Record {
        /// Counted from 0.
        index: usize,
        /// What is wrong.
        problem: String,
    },
    /// Keys and records do not go together.
    #[error(
        "dkimKeys is {stated}, and the records use {used:?}: they must use key1 to key{stated}, each once and in this order"
    )]
    Keys {
        /// How many keys the template says a domain has.
        stated: usize,
        /// The key variables in the order of the records.
        used: Vec<String>,
    },
    /// No records at all.
    #[error("the template has no records")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Template {
    #[serde(default)]
    provider_name: String,
    service_id: String,
    #[serde(default)]
    service_name: String,
    #[serde(default)]
    description: String,
    records: Vec<TemplateRecord>,
    #[serde(rename = "x-countersign", default)]
    ours: Ours,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateRecord {
    #[serde(rename = "type")]
    record_type: String,
    #[serde(default)]
    group_id: Option<String>,
    #[serde(default)]
    host: String,
    points_to: Option<String>,
    data: Option<String>,
    spf_rules: Option<String>,
    #[serde(default)]
    ttl: Option<Number>,
    #[serde(default)]
    priority: Option<Number>,
}

/// Published templates write numbers as numbers and as strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u32),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ours {
    #[serde(default)]
    optional_groups: Vec<String>,
    #[serde(default)]
    dkim_keys: usize,
    /// Host of a DKIM alias (as written in the record) → the variable with the key behind it.
    #[serde(default)]
    key_variables: BTreeMap<String, String>,
    #[serde(default)]
    explanations: BTreeMap<String, String>,
}

/// What records get when a template names no TTL.
const DEFAULT_TTL: u32 = 3600;

impl Profile {
    /// Parses a Domain Connect template.
    pub fn parse(json: &str) -> Result<Self, ProfileError> {
        let template: Template = serde_json::from_str(json).map_err(|error| ProfileError::Json {
            line: error.line(),
            column: error.column(),
            problem: error.to_string(),
        })?;
        if template.records.is_empty() {
            return Err(ProfileError::Empty);
        }
        let records = template
            .records
            .iter()
            .enumerate()
            .map(|(index, record)| {
                profile_record(record, &template.ours)
                    .map_err(|problem| ProfileError::Record { index, problem })
            })
            .collect::<Result<Vec<_>, _>>()?;
        check_keys(template.ours.dkim_keys, &records)?;
        let title = [&template.service_name, &template.provider_name, &template.service_id]
            .into_iter()
            .find(|text| !text.is_empty())
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            name: template.service_id,
            title,
            description: template.description,
            dkim_keys: template.ours.dkim_keys,
            records,
        })
    }

    /// The profiles that come with Countersign, the default one first.
    pub fn built_in() -> Vec<Self> {
        BUILT_IN.iter().filter_map(|json| Self::parse(json).ok()).collect()
    }
}

const BUILT_IN: [&str; 5] = [
    include_str!("../../../profiles/three-cname.json"),
    include_str!("../../../profiles/two-txt.json"),
    include_str!("../../../profiles/five-records.json"),
    include_str!("../../../profiles/aggregate.json"),
    include_str!("../../../profiles/contact-domain.json"),
];

/// A domain's keys are given to its DKIM records in their order: a template that names them otherwise would make
/// every signature fail.
fn check_keys(stated: usize, records: &[ProfileRecord]) -> Result<(), ProfileError> {
    let used: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.kind {
            ProfileRecordKind::Txt { data } => {
                let start = data.find("%key")? + 1;
                Some(data[start..].split('%').next()?.to_owned())
            }
            _ => record.dkim_key.clone(),
        })
        .collect();
    let is_in_order = used.iter().enumerate().all(|(index, key)| *key == format!("key{}", index + 1));
    if used.len() == stated && is_in_order { Ok(()) } else { Err(ProfileError::Keys { stated, used }) }
}

fn profile_record(record: &TemplateRecord, ours: &Ours) -> Result<ProfileRecord, String> {
    let points_to =
        || record.points_to.clone().ok_or_else(|| format!("a {} record needs pointsTo", record.record_type));
    let kind = match record.record_type.as_str() {
        "CNAME" => ProfileRecordKind::Cname { points_to: points_to()? },
        "MX" => {
            let priority =
                record.priority.as_ref().and_then(Number::value).ok_or("an MX record needs a priority")?;
            let priority = u16::try_from(priority).map_err(|_| "priority is at most 65535")?;
            ProfileRecordKind::Mx { points_to: points_to()?, priority }
        }
        "A" | "AAAA" => ProfileRecordKind::Address { points_to: points_to()? },
        "TXT" => ProfileRecordKind::Txt { data: record.data.clone().ok_or("a TXT record needs data")? },
        "SPFM" => ProfileRecordKind::SpfMerge {
            rules: record.spf_rules.clone().ok_or("an SPFM record needs spfRules")?,
        },
        other => {
            return Err(format!(
                "type \"{other}\" is not supported; known are A, AAAA, CNAME, MX, TXT, SPFM"
            ));
        }
    };
    let ttl = match &record.ttl {
        None => DEFAULT_TTL,
        Some(ttl) => ttl.value().ok_or("ttl is not a number of seconds")?,
    };
    let group = record.group_id.clone().unwrap_or_default();
    let purpose = Purpose::from_word(&group).unwrap_or_else(|| guess_purpose(record));
    Ok(ProfileRecord {
        purpose,
        host: record.host.clone(),
        ttl,
        required: !ours.optional_groups.contains(&group),
        dkim_key: ours.key_variables.get(&record.host).cloned(),
        explanation: ours.explanations.get(&group).cloned().unwrap_or_default(),
        kind,
    })
}

/// For templates of others, whose groups have names of their own.
fn guess_purpose(record: &TemplateRecord) -> Purpose {
    let data = record.data.as_deref().unwrap_or_default();
    let host = record.host.as_str();
    match record.record_type.as_str() {
        _ if host.contains("_domainkey") => Purpose::Dkim,
        _ if host.starts_with("_dmarc") => Purpose::Dmarc,
        "SPFM" => Purpose::Spf,
        "TXT" if data.starts_with("v=spf1") => Purpose::Spf,
        "TXT" => Purpose::Ownership,
        "MX" => Purpose::Inbound,
        _ => Purpose::Tracking,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Expected, Variables, plan};
    use model::DomainName;

    fn variables() -> Variables {
        [
            ("token1", "tok1"),
            ("token2", "tok2"),
            ("token3", "tok3"),
            ("key1", "AAAA"),
            ("key2", "BBBB"),
            ("key3", "CCCC"),
            ("platform", "send.example.net"),
            ("dmarcrua", "dmarc@send.example.net"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    #[test]
    fn every_built_in_profile_parses_and_plans() {
        let profiles = Profile::built_in();
        let names: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, ["three-cname", "two-txt", "five-records", "aggregate", "contact-domain"]);
        let domain = DomainName::parse("mail.acme.test").unwrap();
        for profile in &profiles {
            let plan = plan(profile, &domain, &variables()).unwrap();
            assert!(plan.records.iter().any(|record| record.required));
            assert!(plan.records.iter().all(|record| !record.explanation.is_empty()), "{}", profile.name);
            for record in &plan.records {
                if let Expected::Cname { dkim_key, .. } = &record.expected {
                    assert_eq!(
                        dkim_key.is_some(),
                        record.purpose == Purpose::Dkim,
                        "{} {}",
                        profile.name,
                        record.key
                    );
                }
            }
        }
    }

    #[test]
    fn a_malformed_template_is_refused_with_its_place() {
        let json = "{\n \"serviceId\": \"x\",\n \"records\": [ { \"type\": \"CNAME\", \"host\": \"a\" } ] }";
        assert_eq!(
            Profile::parse(json),
            Err(ProfileError::Record { index: 0, problem: "a CNAME record needs pointsTo".into() })
        );
        let json = r#"{"serviceId":"x","records":[{"type":"TXT","host":"a._domainkey","data":"v=DKIM1; p=%key2%"}],
            "x-countersign":{"dkimKeys":1}}"#;
        assert_eq!(Profile::parse(json), Err(ProfileError::Keys { stated: 1, used: vec!["key2".into()] }));
        assert!(matches!(Profile::parse("{\n  nonsense"), Err(ProfileError::Json { line: 2, .. })));
        let json = r#"{"serviceId":"x","records":[{"type":"CNAME","host":"%who%","pointsTo":"a.example"}]}"#;
        let domain = DomainName::parse("acme.test").unwrap();
        let error = plan(&Profile::parse(json).unwrap(), &domain, &Variables::new()).unwrap_err();
        assert_eq!(error.to_string(), "records[0]: no value for the variable %who%");
    }
}
