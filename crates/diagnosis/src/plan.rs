//! From a profile and a domain to the exact records that should exist.

use crate::profile::{Profile, ProfileError, ProfileRecord, ProfileRecordKind};
use model::{DomainName, Purpose, RecordData, RecordType, TxtData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The records that should exist for one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The sender domain.
    pub domain: DomainName,
    /// The profile's name.
    pub profile: String,
    /// The records, in the order in which people should be shown them.
    pub records: Vec<PlannedRecord>,
}

/// One record that should exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRecord {
    /// Names the record within its plan, the same at every planning: `dkim-1`, `spf`, `return_path-2`.
    pub key: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it belongs, in full.
    pub owner: DomainName,
    /// The TTL we suggest, in seconds.
    pub ttl: u32,
    /// Whether the domain is verified only with it.
    pub required: bool,
    /// What should be there.
    pub expected: Expected,
    /// What the profile says about it, for people.
    pub explanation: String,
}

/// What should be at a planned record's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Expected {
    /// An alias; where it stands for a DKIM key, the key (base64 of the SPKI) that must be found at its end.
    Cname {
        /// Where it points.
        target: DomainName,
        /// The public key behind it.
        dkim_key: Option<String>,
    },
    /// A DKIM key record; `None` takes any valid key (an audit of a domain that is not ours).
    Dkim {
        /// The public key, base64 of the SPKI.
        public_key: Option<String>,
    },
    /// An SPF record that holds these mechanisms; `None` takes any valid record.
    Spf {
        /// Mechanisms of ours, such as `include:spf.send.example.net`.
        rules: Option<String>,
    },
    /// A DMARC policy; the value is what to publish where there is none, any valid one will do.
    Dmarc {
        /// The suggested record.
        suggested: String,
    },
    /// A TXT record with exactly this value.
    Txt {
        /// The value, strings joined.
        value: String,
    },
    /// A mail exchanger.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The host.
        exchange: DomainName,
    },
    /// An address record of a template.
    Address {
        /// A or AAAA data.
        data: RecordData,
    },
}

impl Expected {
    /// The type to publish.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Cname { .. } => RecordType::Cname,
            Self::Mx { .. } => RecordType::Mx,
            Self::Address { data } => data.record_type(),
            Self::Dkim { .. } | Self::Spf { .. } | Self::Dmarc { .. } | Self::Txt { .. } => RecordType::Txt,
        }
    }

    /// The value to paste where nothing is there yet: no quotes, no final dot, an MX without its preference.
    pub fn value(&self) -> String {
        match self {
            Self::Cname { target, .. } => target.to_string(),
            Self::Dkim { public_key: Some(key) } => format!("v=DKIM1; k=rsa; p={key}"),
            Self::Dkim { public_key: None } => "v=DKIM1; k=rsa; p=…".to_owned(),
            Self::Spf { rules: Some(rules) } => format!("v=spf1 {rules} ~all"),
            Self::Spf { rules: None } => "v=spf1 … ~all".to_owned(),
            Self::Dmarc { suggested } => suggested.clone(),
            Self::Txt { value } => value.clone(),
            Self::Mx { exchange, .. } => exchange.to_string(),
            Self::Address { data } => data.to_string(),
        }
    }

    /// The preference of an MX.
    pub fn preference(&self) -> Option<u16> {
        match self {
            Self::Mx { preference, .. } => Some(*preference),
            _ => None,
        }
    }

    /// The data of the record to add where nothing is there yet.
    pub fn data(&self) -> RecordData {
        match self {
            Self::Cname { target, .. } => RecordData::Cname(target.clone()),
            Self::Mx { preference, exchange } => {
                RecordData::Mx { preference: *preference, exchange: exchange.clone() }
            }
            Self::Address { data } => data.clone(),
            other => RecordData::Txt(TxtData::from_text(&other.value())),
        }
    }
}

/// The values of a profile's variables, by name without the percent signs.
pub type Variables = BTreeMap<String, String>;

/// Applies a profile to a domain. `host` and `domain` of the template language are the sender domain's own: a
/// record's host is relative to `domain` here, whatever zone it turns out to be in.
pub fn plan(profile: &Profile, domain: &DomainName, variables: &Variables) -> Result<Plan, ProfileError> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for record in &profile.records {
        *counts.entry(record.purpose.as_str()).or_default() += 1;
    }
    let mut numbers: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut records = Vec::with_capacity(profile.records.len());
    for (index, record) in profile.records.iter().enumerate() {
        let word = record.purpose.as_str();
        let number = numbers.entry(word).or_default();
        *number += 1;
        let key = if counts[word] == 1 { word.to_owned() } else { format!("{word}-{number}") };
        let place = |problem| ProfileError::Record { index, problem };
        let owner = owner_of(record, domain, variables).map_err(place)?;
        let expected = expected_of(record, &owner, domain, variables).map_err(place)?;
        records.push(PlannedRecord {
            key,
            purpose: record.purpose,
            owner,
            ttl: record.ttl,
            required: record.required,
            expected,
            explanation: record.explanation.clone(),
        });
    }
    Ok(Plan { domain: domain.clone(), profile: profile.name.clone(), records })
}

/// A plan for a domain that is not ours: any valid SPF and DMARC record, and the DKIM keys of the given selectors.
pub fn audit(domain: &DomainName, selectors: &[String]) -> Plan {
    let mut records = Vec::new();
    let mut push = |key: String, purpose, owner: Option<DomainName>, required, expected| {
        if let Some(owner) = owner {
            records.push(PlannedRecord {
                key,
                purpose,
                owner,
                ttl: 3600,
                required,
                expected,
                explanation: String::new(),
            });
        }
    };
    push("spf".into(), Purpose::Spf, Some(domain.clone()), true, Expected::Spf { rules: None });
    push(
        "dmarc".into(),
        Purpose::Dmarc,
        domain.prepend("_dmarc").ok(),
        true,
        Expected::Dmarc { suggested: "v=DMARC1; p=none".to_owned() },
    );
    for selector in selectors {
        let owner = domain.prepend(&format!("{selector}._domainkey")).ok();
        push(format!("dkim-{selector}"), Purpose::Dkim, owner, true, Expected::Dkim { public_key: None });
    }
    Plan { domain: domain.clone(), profile: "audit".to_owned(), records }
}

fn owner_of(
    record: &ProfileRecord,
    domain: &DomainName,
    variables: &Variables,
) -> Result<DomainName, String> {
    let host = substitute(&record.host, domain, variables)?;
    if host.is_empty() || host == "@" {
        return Ok(domain.clone());
    }
    if host.ends_with('.') {
        return DomainName::parse(&host).map_err(|error| format!("host: {error}"));
    }
    domain.prepend(&host).map_err(|error| format!("host: {error}"))
}

fn expected_of(
    record: &ProfileRecord,
    owner: &DomainName,
    domain: &DomainName,
    variables: &Variables,
) -> Result<Expected, String> {
    let fill = |text: &str| substitute(text, domain, variables);
    let name = |text: &str| {
        let text = fill(text)?;
        if text == "@" {
            return Ok(domain.clone());
        }
        DomainName::parse(&text).map_err(|error| format!("pointsTo: {error}"))
    };
    Ok(match &record.kind {
        ProfileRecordKind::Cname { points_to } => {
            let dkim_key = record.dkim_key.as_ref().and_then(|variable| variables.get(variable)).cloned();
            Expected::Cname { target: name(points_to)?, dkim_key }
        }
        ProfileRecordKind::Mx { points_to, priority } => {
            Expected::Mx { preference: *priority, exchange: name(points_to)? }
        }
        ProfileRecordKind::Address { points_to } => {
            let address = fill(points_to)?.parse().map_err(|_| "pointsTo is not an IP address".to_owned())?;
            let data = match address {
                std::net::IpAddr::V4(v4) => RecordData::A(v4),
                std::net::IpAddr::V6(v6) => RecordData::Aaaa(v6),
            };
            Expected::Address { data }
        }
        ProfileRecordKind::SpfMerge { rules } => Expected::Spf { rules: Some(fill(rules)?) },
        ProfileRecordKind::Txt { data } => classify_txt(owner, fill(data)?),
    })
}

/// A template writes SPF, DKIM and DMARC as plain TXT; what they are, their value and place tell.
fn classify_txt(owner: &DomainName, value: String) -> Expected {
    if mail::spf::is_spf_record(&value) {
        let rules = value
            .split_ascii_whitespace()
            .skip(1)
            .filter(|term| {
                !matches!(term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase().as_str(), "all")
            })
            .collect::<Vec<_>>()
            .join(" ");
        return Expected::Spf { rules: Some(rules) };
    }
    if owner.labels().next() == Some("_dmarc") {
        return Expected::Dmarc { suggested: value };
    }
    if owner.labels().nth(1) == Some("_domainkey") {
        let key = value.split(';').find_map(|tag| tag.trim().strip_prefix("p=").map(str::to_owned));
        return Expected::Dkim { public_key: key };
    }
    Expected::Txt { value }
}

/// Replaces `%variable%`; `%fqdn%` and `%domain%` are the sender domain. An unknown variable is an error.
fn substitute(text: &str, domain: &DomainName, variables: &Variables) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        let Some(length) = rest[start + 1..].find('%') else {
            return Err(format!("\"{text}\" has a % without its partner"));
        };
        let name = &rest[start + 1..start + 1 + length];
        match name {
            "fqdn" | "domain" => out.push_str(domain.as_str()),
            "host" => {}
            _ => match variables.get(name) {
                Some(value) => out.push_str(value),
                None => return Err(format!("no value for the variable %{name}%")),
            },
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    Ok(out)
}
