//! Scenario files: zones, faults, and what must and must not be found.

use diagnosis::{Plan, Profile, Variables, plan};
use model::{DomainName, Record, RecordData, RecordType, TxtData};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, net::IpAddr, path::PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub title: String,
    pub domain: DomainName,
    pub profile: String,
    #[serde(default)]
    pub selectors: Vec<String>,
    #[serde(default, rename = "zone")]
    pub zones: Vec<ZoneText>,
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    #[serde(default)]
    pub cached: Vec<Cached>,
    pub expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneText {
    pub apex: DomainName,
    /// `name address`.
    pub servers: Vec<String>,
    pub records: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub address: IpAddr,
    pub kind: String,
    /// For `records`: what this server has in place of the zone's records.
    #[serde(default)]
    pub records: String,
}

/// What the resolver answers in place of what the name servers have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cached {
    pub name: DomainName,
    #[serde(rename = "type")]
    pub record_type: RecordType,
    #[serde(default)]
    pub negative_ttl: u32,
    #[serde(default)]
    pub servfail: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub verdict: String,
    pub findings: Vec<String>,
    pub forbidden: Vec<String>,
    #[serde(default)]
    pub records: BTreeMap<String, String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

pub fn keys() -> BTreeMap<String, String> {
    toml::from_str(&fs::read_to_string(folder().join("keys.toml")).unwrap()).unwrap()
}

pub fn all() -> Vec<(String, Scenario)> {
    let mut paths: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap() != "keys.toml");
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, scenario)
        })
        .collect()
}

impl Scenario {
    pub fn plan(&self) -> Plan {
        if self.profile == "audit" {
            return plan::audit(&self.domain, &self.selectors);
        }
        let mut variables: Variables = keys();
        for (name, value) in [
            ("token1", "tok1"),
            ("token2", "tok2"),
            ("token3", "tok3"),
            ("platform", "send.example.net"),
            ("dmarcrua", "dmarc@send.example.net"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let profiles = Profile::built_in();
        let profile = profiles.iter().find(|profile| profile.name == self.profile).unwrap();
        plan::plan(profile, &self.domain, &variables).unwrap()
    }
}

/// Lines of `host TYPE data`; names without a final dot are relative to the zone, `{name}` is a key.
pub fn records(text: &str, apex: &DomainName) -> Vec<Record> {
    let keys = keys();
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| record(line, apex, &keys)).collect()
}

fn record(line: &str, apex: &DomainName, keys: &BTreeMap<String, String>) -> Record {
    let mut line = line.to_owned();
    for (name, key) in keys {
        line = line.replace(&format!("{{{name}}}"), key);
    }
    let (host, rest) = line.trim().split_once(char::is_whitespace).unwrap();
    let (kind, value) = rest.trim().split_once(char::is_whitespace).unwrap();
    let value = value.trim();
    let name = |text: &str| match text.strip_suffix('.') {
        Some(absolute) => DomainName::parse(absolute).unwrap(),
        None => apex.prepend(text).unwrap(),
    };
    let owner = if host == "@" { apex.clone() } else { name(host) };
    let data = match kind {
        "A" => RecordData::A(value.parse().unwrap()),
        "AAAA" => RecordData::Aaaa(value.parse().unwrap()),
        "CNAME" => RecordData::Cname(name(value)),
        "MX" => {
            let (preference, exchange) = value.split_once(' ').unwrap();
            RecordData::Mx { preference: preference.parse().unwrap(), exchange: name(exchange.trim()) }
        }
        "TXT" => RecordData::Txt(TxtData::from_strings(strings(value))),
        other => panic!("a scenario with a {other} record"),
    };
    Record { owner, ttl: 300, data }
}

/// `"a" "b\"c"` → the character strings, each cut at 255 octets.
fn strings(text: &str) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let mut inside = None::<Vec<u8>>;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (byte, &mut inside) {
            (b'"', None) => inside = Some(Vec::new()),
            (b'"', Some(_)) => strings.extend(inside.take().unwrap().chunks(255).map(<[u8]>::to_vec)),
            (b'\\', Some(string)) => string.push(bytes.next().unwrap()),
            (_, Some(string)) => string.push(byte),
            (_, None) => {}
        }
    }
    strings
}
