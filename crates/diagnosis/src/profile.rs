//! Profiles: which records a platform asks of a sender domain, as Domain Connect templates.
//!
//! A profile is a file in the Domain Connect template format with one object of our own, `x-countersign`, that
//! tells which groups are optional, which variable holds the key behind a DKIM alias, and what to tell people.
//! A template of others, without that object, loads too: its records are required then, but for those that it calls
//! `"essential": "OnApply"`. A new profile touches no code. [`crate::template`] reads the format.

use crate::template::{self, variables::Variables};
use model::Purpose;
use std::collections::BTreeSet;

pub use crate::template::{MAX_TEMPLATE, write::ServiceProvider};

/// A parsed profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name: the template's `serviceId`.
    pub name: String,
    /// Whose template it is: `providerId`; empty when the template does not say.
    pub provider: String,
    /// A title for people.
    pub title: String,
    /// One sentence for people.
    pub description: String,
    /// What the variables are, for whoever fills them in.
    pub variable_description: String,
    /// The certificate authority that issues for hosts with web pages or links, as CAA records name it.
    pub certificate_authority: Option<String>,
    /// Where the records are in a zone of the domain's name that is delegated to us: what is said of the delegation, for
    /// people. It is all that the owner publishes, to the name servers that the variable `nameservers` has, with blanks
    /// between.
    pub delegated: Option<String>,
    /// How many DKIM keys a domain of this profile has.
    pub dkim_keys: usize,
    /// Which edition of the template it is (`version`), where it says so.
    pub version: Option<u32>,
    /// What the template says of itself.
    pub settings: Settings,
    /// The records, in the template's order.
    pub records: Vec<ProfileRecord>,
}

/// What a template says about how it is to be applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the format has these flags, each by itself")]
pub struct Settings {
    /// `hostRequired`: it is made for a subdomain, not for the top of a zone.
    pub host_required: bool,
    /// `syncBlock`: DNS hosts apply it only by the asynchronous flow.
    pub sync_block: bool,
    /// `syncPubKeyDomain`: requests to apply it are signed with the key there.
    pub sync_public_key_domain: Option<String>,
    /// `warnPhishing`: DNS hosts warn before applying it.
    pub warn_phishing: bool,
    /// `multiInstance`: it may be applied several times at one place.
    pub multi_instance: bool,
}

/// One record of a profile, its variables not yet filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRecord {
    /// Its number in the file, from 0: records that are no DNS records are passed over, and counted.
    pub index: usize,
    /// Where it begins in the file.
    pub place: Place,
    /// The group it can be applied with (`groupId`).
    pub group: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// Relative to the sender domain; `@` is the domain itself, a final dot makes it a full name.
    pub host: String,
    /// In seconds.
    pub ttl: Number,
    /// Whether a domain is verified only with it.
    pub required: bool,
    /// Whether it may go once it was applied (`essential` is `OnApply`).
    pub on_apply: bool,
    /// The variable that holds the public key behind this alias.
    pub dkim_key: Option<String>,
    /// For people.
    pub explanation: String,
    /// Type and data.
    pub kind: ProfileRecordKind,
}

/// The variable with the name servers that a zone is delegated to.
pub const NAME_SERVERS: &str = "nameservers";

/// A place in a file, counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A number of a template, which may be a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// Written out.
    Fixed(u32),
    /// A text with variables, which has to become a number.
    Variable(String),
}

impl Number {
    /// The number, unless values have to be put in first.
    pub fn fixed(&self) -> Option<u32> {
        match self {
            Self::Fixed(number) => Some(*number),
            Self::Variable(_) => None,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(number) => number.fmt(f),
            Self::Variable(text) => text.fmt(f),
        }
    }
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
        priority: Number,
    },
    /// A or AAAA.
    Address {
        /// The address.
        points_to: String,
        /// Whether it is AAAA.
        v6: bool,
    },
    /// Text.
    Txt {
        /// The value.
        data: String,
        /// Which TXT records beside it have to go.
        conflict: TxtConflict,
    },
    /// Mechanisms to merge into the SPF record there (`SPFM`).
    SpfMerge {
        /// The mechanisms, without `v=spf1` and `all`.
        rules: String,
    },
    /// The delegation of a name.
    Ns {
        /// The name server.
        points_to: String,
    },
    /// Where a service is (RFC 2782).
    Srv {
        /// Its name, such as `_sip`.
        service: String,
        /// `_tcp`, `_udp` or `_tls`.
        protocol: String,
        /// Lower is tried first.
        priority: Number,
        /// The share among those of one priority.
        weight: Number,
        /// The port.
        port: Number,
        /// The host; `.` says that there is no such service.
        target: String,
    },
    /// Who may issue certificates (RFC 8659), as in a zone file: `0 issue "ca.example"`.
    Caa {
        /// The data.
        data: String,
    },
}

impl ProfileRecordKind {
    /// The type to publish, and the value with its variables, as people read it.
    pub fn type_and_value(&self) -> (&'static str, String) {
        match self {
            Self::Cname { points_to } => ("CNAME", points_to.clone()),
            Self::Mx { points_to, priority } => ("MX", format!("{priority} {points_to}")),
            Self::Address { points_to, v6 } => (if *v6 { "AAAA" } else { "A" }, points_to.clone()),
            Self::Txt { data, .. } => ("TXT", data.clone()),
            Self::SpfMerge { rules } => ("TXT", rules.clone()),
            Self::Ns { points_to } => ("NS", points_to.clone()),
            Self::Srv { priority, weight, port, target, .. } => {
                ("SRV", format!("{priority} {weight} {port} {target}"))
            }
            Self::Caa { data } => ("CAA", data.clone()),
        }
    }
}

/// Which TXT records at the name have to give way when a template's is put there (`txtConflictMatchingMode`).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TxtConflict {
    /// None: they may stand beside each other.
    #[default]
    None,
    /// All others.
    All,
    /// Those that begin like this.
    Prefix(String),
}

impl TxtConflict {
    /// Whether nothing has to go.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether a TXT record with this value has to give way to one of ours with the value `ours`.
    pub fn displaces(&self, other: &str, ours: &str) -> bool {
        other != ours
            && match self {
                Self::None => false,
                Self::All => true,
                Self::Prefix(prefix) => other.starts_with(prefix.as_str()),
            }
    }
}

/// Something about a template that people should know, though it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// Which field, such as `records[3].ttl`.
    pub field: String,
    /// What, in one sentence.
    pub text: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.place, self.field, self.text)
    }
}

/// Why a profile cannot be used, or not for this domain. Every error names its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No template is that large.
    #[error("the file has {0} octets, {MAX_TEMPLATE} are allowed")]
    TooLarge(usize),
    /// Nothing but white space.
    #[error("the file is empty; a template is a JSON object")]
    NoText,
    /// Not JSON.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// One field is wrong, as it is written or with the values put in.
    #[error("{place} ({field}): {problem}")]
    Field {
        /// Where.
        place: Place,
        /// Which, such as `records[3].pointsTo`.
        field: String,
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
    #[error("the template has no records that can be checked")]
    Empty,
    /// Variables without a value, all of them.
    #[error("no value for {}", list(.names))]
    MissingVariables {
        /// Their names, without percent signs.
        names: Vec<String>,
    },
    /// The template is for subdomains only, and was to be applied to a domain itself.
    #[error("this template is for a subdomain (hostRequired); give a host")]
    HostRequired,
    /// The host to apply the template to is no host.
    #[error("the host \"{host}\": {problem}")]
    Host {
        /// As it was given.
        host: String,
        /// What is wrong.
        problem: String,
    },
    /// A group that no record belongs to.
    #[error("no record is in the group \"{name}\"; the template's groups are {}", listed(.known))]
    UnknownGroup {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("%{name}%")).collect();
    format!("{} {}", if names.len() == 1 { "the variable" } else { "the variables" }, names.join(", "))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Profile {
    /// Parses a Domain Connect template.
    pub fn parse(json: &str) -> Result<Self, ProfileError> {
        Self::parse_with_notes(json).map(|(profile, _)| profile)
    }

    /// The same, with what people should know about the template all the same.
    pub fn parse_with_notes(json: &str) -> Result<(Self, Vec<Note>), ProfileError> {
        template::parse(json)
    }

    /// The profiles that come with Countersign, the default one first.
    pub fn built_in() -> Vec<Self> {
        BUILT_IN.iter().filter_map(|json| Self::parse(json).ok()).collect()
    }

    /// The groups that records belong to, in the order of the template.
    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = Vec::new();
        for group in self.records.iter().filter_map(|record| record.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        groups
    }

    /// Only the records of these groups, and those that belong to none. Without any group nothing is left out.
    pub fn with_groups(mut self, groups: &[String]) -> Result<Self, ProfileError> {
        let known = self.groups();
        if let Some(name) = groups.iter().find(|name| !known.contains(name)) {
            return Err(ProfileError::UnknownGroup { name: name.clone(), known });
        }
        if !groups.is_empty() {
            self.records.retain(|record| record.group.as_ref().is_none_or(|group| groups.contains(group)));
        }
        Ok(self)
    }

    /// The profile as a template file for DNS hosts, under the name of a service provider. `fixed` are variables that are
    /// the same for every domain: they are written out, so that a link can change as little as possible.
    #[must_use]
    pub fn to_template(&self, provider: &ServiceProvider<'_>, fixed: &Variables) -> String {
        template::write::template(self, provider, fixed)
    }

    /// The variables that need a value, without percent signs.
    pub fn variables(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for text in self.records.iter().flat_map(ProfileRecord::texts) {
            template::variables::collect(text, &mut names);
        }
        names.extend(self.delegated.is_some().then(|| NAME_SERVERS.to_owned()));
        names
    }
}

impl ProfileRecord {
    /// Every text in which variables may stand.
    pub(crate) fn texts(&self) -> Vec<&str> {
        fn number(number: &Number) -> Option<&str> {
            match number {
                Number::Fixed(_) => None,
                Number::Variable(text) => Some(text),
            }
        }
        let mut texts = vec![self.host.as_str()];
        texts.extend(number(&self.ttl));
        match &self.kind {
            ProfileRecordKind::Cname { points_to }
            | ProfileRecordKind::Ns { points_to }
            | ProfileRecordKind::Address { points_to, .. } => texts.push(points_to),
            ProfileRecordKind::Mx { points_to, priority } => {
                texts.push(points_to);
                texts.extend(number(priority));
            }
            ProfileRecordKind::Txt { data, .. } | ProfileRecordKind::Caa { data } => texts.push(data),
            ProfileRecordKind::SpfMerge { rules } => texts.push(rules),
            ProfileRecordKind::Srv { service, protocol, priority, weight, port, target } => {
                texts.extend([service.as_str(), protocol, target]);
                texts.extend([priority, weight, port].into_iter().filter_map(number));
            }
        }
        texts
    }
}

const BUILT_IN: [&str; 6] = [
    include_str!("../../../profiles/three-cname.json"),
    include_str!("../../../profiles/two-txt.json"),
    include_str!("../../../profiles/five-records.json"),
    include_str!("../../../profiles/aggregate.json"),
    include_str!("../../../profiles/contact-domain.json"),
    include_str!("../../../profiles/delegated.json"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Expected, plan};
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
            ("nameservers", "tok4.ns1.send.example.net tok4.ns2.send.example.net"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    #[test]
    fn every_built_in_profile_parses_and_plans() {
        let profiles = Profile::built_in();
        let names: Vec<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(
            names,
            ["three-cname", "two-txt", "five-records", "aggregate", "contact-domain", "delegated"]
        );
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
    fn keys_go_with_their_records() {
        let json = r#"{"serviceId":"x","records":[{"type":"TXT","host":"a._domainkey","data":"v=DKIM1; p=%key2%"}],
            "x-countersign":{"dkimKeys":1}}"#;
        assert_eq!(Profile::parse(" \n"), Err(ProfileError::NoText));
        assert_eq!(Profile::parse(json), Err(ProfileError::Keys { stated: 1, used: vec!["key2".into()] }));
        let none = json.replace("\"dkimKeys\":1", "");
        assert_eq!(Profile::parse(&none), Err(ProfileError::Keys { stated: 0, used: vec!["key2".into()] }));
        let of_others = none.replace("x-countersign", "x-other");
        assert!(Profile::parse(&of_others).is_ok());
    }
}
