//! The files as they are read: one struct for each table of the format.

use crate::expect::{Expect, OnTheWire};
use diagnosis::{Plan, Profile, Variables, inquiry::AddressFamily, plan};
use model::{DomainName, RecordType};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, net::IpAddr, path::PathBuf, sync::LazyLock};

/// One scenario: the top level of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// What is the matter, for people.
    pub title: String,
    /// The sender domain.
    pub domain: DomainName,
    /// A built-in profile, `audit` or `template`.
    pub profile: String,
    /// For `template`: a Domain Connect template, applied at the domain itself.
    #[serde(default)]
    pub template: String,
    /// For `template`: the values of its variables.
    #[serde(default)]
    pub values: Variables,
    /// For `audit`: the DKIM selectors to look at.
    #[serde(default)]
    pub selectors: Vec<String>,
    /// For `audit` without selectors: whether those that many have are tried.
    #[serde(default)]
    pub try_selectors: bool,
    /// The recursive resolvers that are asked, the first one preferred.
    #[serde(default = "default_resolvers")]
    pub resolvers: Vec<IpAddr>,
    /// At which addresses name servers are asked: `any`, `ipv4` or `ipv6`.
    #[serde(default)]
    pub family: AddressFamily,
    /// Whether name servers at private and loopback addresses are asked, as in development: scenarios have no others
    /// unless they say so.
    #[serde(default = "yes")]
    pub private_addresses: bool,
    /// The zones; those of the root, of public suffixes and of the platform need not be given.
    #[serde(default, rename = "zone")]
    pub zones: Vec<ZoneText>,
    /// Servers that do not do what they should.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// What resolvers still hold from before.
    #[serde(default)]
    pub cached: Vec<Cached>,
    /// What must come of it.
    pub expect: Expect,
    /// Where real packets and programs behave in another way, and why.
    #[serde(default)]
    pub wire: OnTheWire,
}

/// One zone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneText {
    /// Its apex.
    pub apex: DomainName,
    /// `name address` of each server of the zone; they are its NS records, unless `records` has some at `@`.
    pub servers: Vec<String>,
    /// `name [address]` of each server that the parent lists, where that differs from `servers`. With an address
    /// the server is there and serves the zone too, unless a fault says otherwise.
    pub delegation: Option<Vec<String>>,
    /// The SOA record's TTL and MINIMUM, in seconds: how long a missing name may be remembered.
    #[serde(default = "default_negative_ttl")]
    pub negative_ttl: u32,
    /// The SOA's serial number.
    #[serde(default = "default_serial")]
    pub serial: u32,
    /// Whether resolvers validate it.
    #[serde(default)]
    pub dnssec: Dnssec,
    /// Its records.
    #[serde(default)]
    pub records: String,
}

/// What a validating resolver makes of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dnssec {
    /// Nothing: it is not signed.
    #[default]
    Unsigned,
    /// It is signed, and all is well.
    Signed,
    /// Its signatures do not go with the DS record: SERVFAIL with extended error 6, unless asked with CD=1.
    Bogus,
}

/// A server that does not do what it should, for every question or for some.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The server.
    pub address: IpAddr,
    /// What it does.
    pub kind: FaultKind,
    /// Only for questions for this name.
    pub name: Option<DomainName>,
    /// Only for questions for this type.
    #[serde(rename = "type")]
    pub record_type: Option<RecordType>,
    /// For `records`: which of the server's zones; the first one where it is not said.
    pub zone: Option<DomainName>,
    /// For `records`: what this server has in place of the zone's records.
    #[serde(default)]
    pub records: String,
    /// For `records`: the serial number of this server's copy, where it is not the zone's.
    pub serial: Option<u32>,
    /// The extended error (RFC 8914) that goes with its answers.
    pub extended_error: Option<u16>,
    /// For `slow`: after how many milliseconds the answer comes.
    #[serde(default)]
    pub ms: u64,
}

/// The ways to be at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// SERVFAIL.
    Servfail,
    /// REFUSED.
    Refused,
    /// NOTIMP.
    Notimp,
    /// FORMERR to everything.
    Formerr,
    /// FORMERR to queries with EDNS, right answers to those without.
    FormerrToEdns,
    /// Never answers.
    Timeout,
    /// Answers late, by `ms`.
    Slow,
    /// The first query for each name and type is lost on its way.
    FirstLost,
    /// NXDOMAIN for names that only have others below them, as servers did before RFC 8020.
    NxdomainForEnt,
    /// Right answers, without the AA bit.
    NotAuthoritative,
    /// Refers everybody to the root.
    UpwardReferral,
    /// Says that nothing is there without an SOA record.
    NoSoa,
    /// Nothing but the code NXDOMAIN, whatever is there.
    Nxdomain,
    /// Right answers, with an extended error: `extended_error`.
    ExtendedError,
    /// Right answers, with the code NXDOMAIN.
    NxdomainWithAnswer,
    /// Other records than the zone's: `records`.
    Records,
    /// TC over UDP, the answer over TCP.
    Truncated,
    /// TC over UDP, and TCP is blocked.
    TruncatedTcpBlocked,
    /// Answers of more than 512 octets are lost on their way over UDP.
    LongLost,
    /// Answers under another id than the query's.
    WrongId,
    /// Answers another question than the query's.
    WrongQuestion,
    /// Answers with another id come first, then the right one.
    StrayFirst,
    /// The answer is cut off in the middle of its records.
    Malformed,
    /// Octets that are no DNS message.
    Garbage,
    /// Right answers, and beside them records for names that nobody asked for.
    ForeignRecords,
    /// Right answers, and behind an alias records at its target, which is none of this server's business.
    ForeignTargets,
    /// Every owner name in changing case.
    MixedCase,
}

impl FaultKind {
    /// Whether the server does all as it should, with other records.
    pub fn is_zone_data(self) -> bool {
        self == Self::Records
    }
}

/// What a resolver answers in place of what the name servers have now.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cached {
    /// Which resolver; all of them where it is not said.
    pub resolver: Option<IpAddr>,
    /// The name.
    pub name: DomainName,
    /// The type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// For how many seconds it still remembers that nothing was there.
    #[serde(default)]
    pub negative_ttl: u32,
    /// It answers SERVFAIL.
    #[serde(default)]
    pub servfail: bool,
    /// What it still has, as lines of a zone with full names; nothing means that it remembers nothing being there.
    #[serde(default)]
    pub records: String,
}

fn default_resolvers() -> Vec<IpAddr> {
    vec![IpAddr::from([127, 0, 0, 53])]
}

fn yes() -> bool {
    true
}

fn default_negative_ttl() -> u32 {
    300
}

fn default_serial() -> u32 {
    1
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

/// Public DKIM keys for zones and plans: `{key1}` in a record stands for the first one.
pub fn keys() -> &'static BTreeMap<String, String> {
    static KEYS: LazyLock<BTreeMap<String, String>> =
        LazyLock::new(|| toml::from_str(&fs::read_to_string(folder().join("keys.toml")).unwrap()).unwrap());
    &KEYS
}

/// Every scenario, in the order of the files' names.
///
/// # Panics
/// Where a file cannot be read: with its name and the place.
pub fn all() -> Vec<Scenario> {
    let mut paths: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with("keys.toml")
    });
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            Scenario::parse(&name, &fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The scenario of one file, named without `.toml`.
///
/// # Panics
/// Where there is none, or it cannot be read.
pub fn load(name: &str) -> Scenario {
    let path = folder().join(format!("{name}.toml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Scenario::parse(name, &text)
}

impl Scenario {
    /// Reads the text of a file.
    ///
    /// # Panics
    /// Where it is no scenario: with the name and the place.
    pub fn parse(name: &str, text: &str) -> Self {
        let scenario: Self = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), ..scenario }
    }

    /// The scenario at addresses that are asked for strangers, too: `127.0.x.y` is `9.0.x.y` for name servers, and
    /// `2001:db8:` is `2a00:db8:`.
    pub fn at_public_addresses(name: &str) -> Self {
        let text = fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
        let text =
            (1..=6).fold(text, |text, net| text.replace(&format!("127.0.{net}."), &format!("9.0.{net}.")));
        Self { private_addresses: false, ..Self::parse(name, &text.replace("2001:db8:", "2a00:db8:")) }
    }

    /// The values of the variables of its profile.
    pub fn variables(&self) -> Variables {
        if self.profile == "template" {
            return self.values.clone();
        }
        let mut variables: Variables = keys().clone();
        for (name, value) in [
            ("token1", "tok1"),
            ("token2", "tok2"),
            ("token3", "tok3"),
            ("platform", "send.example.net"),
            ("dmarcrua", "dmarc@send.example.net"),
            ("nameservers", "tok4.ns1.send.example.net tok4.ns2.send.example.net"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let profile = self.built_in_profile();
        let mut known = profile.variables();
        known.extend(profile.records.iter().filter_map(|record| record.dkim_key.clone()));
        variables.retain(|name, _| known.contains(name));
        variables
    }

    fn built_in_profile(&self) -> Profile {
        let profiles = Profile::built_in();
        let profile = profiles.iter().find(|profile| profile.name == self.profile);
        profile.unwrap_or_else(|| panic!("{}: no profile {}", self.name, self.profile)).clone()
    }

    /// The records that should exist.
    ///
    /// # Panics
    /// Where no built-in profile has the name, or the template is wrong.
    pub fn plan(&self) -> Plan {
        if self.profile == "audit" {
            let plan = plan::audit(&self.domain, &self.selectors);
            return if self.try_selectors { plan.trying_selectors() } else { plan };
        }
        if self.profile == "template" {
            let profile = Profile::parse(&self.template).unwrap();
            return plan::from_template(&profile, &self.domain, "", &self.values).unwrap();
        }
        let profile = self.built_in_profile();
        plan::plan(&profile, &self.domain, &self.variables()).unwrap()
    }
}
