//! From a profile and a domain to the exact records that should exist.

mod planning;
mod published;

use crate::{
    profile::{Profile, ProfileError, TxtConflict},
    template::{self, variables::Scope},
};
use model::{DomainName, Purpose, RecordData, RecordType, TxtData};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};

/// The records that should exist for one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The sender domain.
    pub domain: DomainName,
    /// The profile's name.
    pub profile: String,
    /// The records, in the order in which people should be shown them. Reports share them.
    pub records: Vec<Arc<PlannedRecord>>,
    /// The certificate authority (the domain that it names itself by in CAA records, such as `letsencrypt.org`) that
    /// issues for the plan's hosts with web pages or links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// Addresses of the servers that send, where the operator wants their reverse DNS looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<IpAddr>,
    /// DKIM selectors that are tried where none is known: what is found at them is examined, and nothing depends on it
    /// ([`crate::well_known`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried_selectors: Vec<String>,
}

impl Plan {
    /// A plan of these records, and nothing besides.
    pub fn new(domain: DomainName, profile: &str, records: Vec<PlannedRecord>) -> Self {
        Self {
            domain,
            profile: profile.to_owned(),
            records: records.into_iter().map(Arc::new).collect(),
            certificate_authority: None,
            senders: Vec::new(),
            tried_selectors: Vec::new(),
        }
    }

    /// Adds a DKIM key that stands beside those of the profile, as a TXT record at a selector of its own. Nothing depends on
    /// it: the domain is verified by its profile.
    ///
    /// # Errors
    /// When the selector makes no name at this domain.
    pub fn add_key_beside(&mut self, beside: KeyBeside) -> Result<(), model::DomainNameError> {
        let owner = DomainName::parse(&format!("{}._domainkey.{}", beside.selector, self.domain))?;
        let of_keys = |record: &Arc<PlannedRecord>| record.purpose == Purpose::Dkim;
        let place = self.records.iter().rposition(of_keys).map_or(self.records.len(), |last| last + 1);
        let record = PlannedRecord {
            hosted: self.delegation().is_some(),
            key: beside.key,
            purpose: Purpose::Dkim,
            owner,
            ttl: 3600,
            required: false,
            expected: Expected::Dkim { public_key: Some(beside.public_key), record: None },
            explanation: beside.explanation,
        };
        self.records.insert(place, Arc::new(record));
        Ok(())
    }

    /// The zone that is to be delegated to us, with the name servers, where the plan is for one.
    pub fn delegation(&self) -> Option<(&DomainName, Vec<&DomainName>)> {
        let mut names = self.records.iter().filter_map(|record| match &record.expected {
            Expected::Delegation { name_server, .. } => Some((&record.owner, name_server)),
            _ => None,
        });
        let (zone, first) = names.next()?;
        Some((zone, std::iter::once(first).chain(names.map(|(_, name)| name)).collect()))
    }

    /// The same plan, with the selectors of [`crate::well_known`] tried where it has no DKIM record.
    #[must_use]
    pub fn trying_selectors(mut self) -> Self {
        if !self.records.iter().any(|record| record.purpose == Purpose::Dkim) {
            self.tried_selectors = crate::well_known::selectors();
        }
        self
    }

    /// The records for hosts that web pages or links are served from, over HTTPS: those of the group `tracking`, and
    /// where a template has groups of its own its aliases and addresses, but for names that are no hosts (`_acme`).
    pub fn web_hosts(&self) -> impl Iterator<Item = &Arc<PlannedRecord>> {
        let is_host = |record: &&Arc<PlannedRecord>| {
            let leads_there =
                matches!(record.expected, Expected::Cname { dkim_key: None, .. } | Expected::Address { .. });
            match record.purpose {
                Purpose::Tracking => true,
                Purpose::Other => leads_there && !record.owner.labels().any(|label| label.starts_with('_')),
                _ => false,
            }
        };
        self.records.iter().filter(is_host)
    }

    /// Whether mail is to be sent from the domain. A plan for a shop's website or a proof of control says nothing of
    /// mail, and what is missing for that is none of its business.
    pub fn is_for_sending(&self) -> bool {
        let is_for_it =
            |purpose| matches!(purpose, Purpose::Dkim | Purpose::Spf | Purpose::ReturnPath | Purpose::Dmarc);
        let is_its_name =
            |record: &Arc<PlannedRecord>| record.owner.labels().any(|label| label == "_domainkey");
        self.records.iter().any(|record| is_for_it(record.purpose) || is_its_name(record))
    }
}

/// A DKIM key beside those of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBeside {
    /// Names its record within the plan.
    pub key: String,
    /// Its selector (RFC 6376 section 3.1).
    pub selector: String,
    /// The public key, RSA: base64 of the SPKI.
    pub public_key: String,
    /// What it is there for, for people.
    pub explanation: String,
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
    /// Whether it is in a zone that is delegated to us: we serve it, and nobody has to publish it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hosted: bool,
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
        /// The public key: base64 of the SPKI, or of an Ed25519 key.
        public_key: Option<String>,
        /// The record to publish, where a template writes it out; else it is made of the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<String>,
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
        /// Which TXT records beside it have to go.
        #[serde(default, skip_serializing_if = "TxtConflict::is_none")]
        conflict: TxtConflict,
    },
    /// A mail exchanger.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The host.
        exchange: DomainName,
        /// The other exchangers that the plan has at this name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<DomainName>,
    },
    /// An address record of a template.
    Address {
        /// A or AAAA data.
        data: RecordData,
    },
    /// One of the NS records by which the zone above delegates a zone to us. What counts is what that zone says.
    Delegation {
        /// The name server.
        name_server: DomainName,
        /// The others of the set.
        beside: Vec<DomainName>,
    },
    /// Any other record, to be there as it is: SRV, NS, CAA.
    Exact {
        /// Its data.
        data: RecordData,
    },
}

impl Expected {
    /// The type to publish.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Cname { .. } => RecordType::Cname,
            Self::Mx { .. } => RecordType::Mx,
            Self::Delegation { .. } => RecordType::Ns,
            Self::Address { data } | Self::Exact { data } => data.record_type(),
            Self::Dkim { .. } | Self::Spf { .. } | Self::Dmarc { .. } | Self::Txt { .. } => RecordType::Txt,
        }
    }

    /// The value to paste where nothing is there yet: no quotes, no final dot, an MX without its preference.
    pub fn value(&self) -> String {
        match self {
            Self::Cname { target, .. } => target.to_string(),
            Self::Dkim { record: Some(record), .. } => record.clone(),
            Self::Dkim { public_key: Some(key), .. } => format!("v=DKIM1; k=rsa; p={key}"),
            Self::Dkim { public_key: None, .. } => "v=DKIM1; k=rsa; p=…".to_owned(),
            Self::Spf { rules: Some(rules) } => format!("v=spf1 {rules} ~all"),
            Self::Spf { rules: None } => "v=spf1 … ~all".to_owned(),
            Self::Dmarc { suggested } => suggested.clone(),
            Self::Txt { value, .. } => value.clone(),
            Self::Mx { exchange, .. } => exchange.to_string(),
            Self::Delegation { name_server, .. } => name_server.to_string(),
            Self::Address { data } | Self::Exact { data } => data.to_string(),
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
            Self::Mx { preference, exchange, .. } => {
                RecordData::Mx { preference: *preference, exchange: exchange.clone() }
            }
            Self::Delegation { name_server, .. } => RecordData::Ns(name_server.clone()),
            Self::Address { data } | Self::Exact { data } => data.clone(),
            other => RecordData::Txt(TxtData::from_text(&other.value())),
        }
    }
}

pub use crate::template::variables::Variables;
pub use published::{PublishedRecord, from_records};

/// Applies a profile to a domain. `host` and `domain` of the template language are the sender domain's own: a
/// record's host is relative to `domain` here, whatever zone it turns out to be in.
pub fn plan(profile: &Profile, domain: &DomainName, variables: &Variables) -> Result<Plan, ProfileError> {
    planning::apply(profile, &Scope { domain, host: "", fqdn: domain, values: variables })
}

/// Applies a template as a DNS host does: to `host` within `domain`, which usually is a zone. An empty host, or
/// `@`, is the domain itself. [`Profile::with_groups`] leaves groups out, [`Profile::variables`] says what is to be
/// given; what else is given is not looked at.
pub fn from_template(
    profile: &Profile,
    domain: &DomainName,
    host: &str,
    variables: &Variables,
) -> Result<Plan, ProfileError> {
    let host = if host == "@" { "" } else { host };
    if host.is_empty() {
        if profile.settings.host_required {
            return Err(ProfileError::HostRequired);
        }
        return plan(profile, domain, variables);
    }
    let fqdn = domain.prepend(host).map_err(|error| ProfileError::Host {
        host: template::variables::clip(host),
        problem: error.to_string(),
    })?;
    planning::apply(profile, &Scope { domain, host, fqdn: &fqdn, values: variables })
}

/// A plan for a domain that is not ours: any valid SPF and DMARC record, and the DKIM keys of the given selectors.
pub fn audit(domain: &DomainName, selectors: &[String]) -> Plan {
    let mut records = Vec::new();
    let mut push = |key: String, purpose, owner: Option<DomainName>, required, expected| {
        if let Some(owner) = owner {
            records.push(PlannedRecord {
                hosted: false,
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
        push(
            format!("dkim-{selector}"),
            Purpose::Dkim,
            owner,
            true,
            Expected::Dkim { public_key: None, record: None },
        );
    }
    Plan::new(domain.clone(), "audit", records)
}
