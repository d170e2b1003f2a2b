//! DNS hosts as data: how to recognise one by its name servers, and what its panel wants.
//!
//! One TOML file per host under `hosts/` at the root of the workspace, embedded at build time: a new host is a new
//! file and nothing else. Recognition gives candidates, never one forced answer: several hosts share the name servers
//! of one operator.

mod detect;
mod file;
mod reference;

pub use detect::{Certainty, Detection, detect};
pub use file::HostFileError;
pub use reference::reference;

use crate::clock;
use model::{DomainName, RecordType, TxtData};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The embedded files, id and text, sorted by id.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/hosts.rs"));

/// What a panel's name field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostField {
    /// The labels in front of the zone; the panel adds the zone's name.
    #[default]
    Relative,
    /// The whole name.
    Full,
    /// Either of the two; the shorter one is shown.
    Either,
}

/// A DNS host: facts about its panel and its name servers. Lengths of time in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a data file, each yes or no")]
pub struct Host {
    /// Stable id, the file's name.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Patterns of its name servers' names. `*` stands for any run of characters within a label, `?` for one.
    pub name_servers: Vec<String>,
    /// The page with the records.
    #[serde(rename = "where")]
    pub page: String,
    /// The address of that page, where it is known.
    pub url: Option<String>,
    /// What the name field takes.
    pub host_field: HostField,
    /// What the name field takes for the zone's own name; empty when the field stays empty.
    pub apex: String,
    /// Whether TXT values are typed with quotation marks.
    pub quotes: bool,
    /// Whether full names, as field or target, end in a dot.
    pub final_dot: bool,
    /// Whether it can put a proxy in front of a record.
    pub proxied: bool,
    /// Whether it takes Domain Connect templates.
    pub domain_connect: bool,
    /// The TTL it suggests.
    pub ttl_default: Option<u32>,
    /// The shortest TTL it takes.
    #[serde(default)]
    pub ttl_min: u32,
    /// How long resolvers remember that a name was missing, where the host sets that.
    pub negative_ttl: Option<u32>,
    /// The longest TXT value it takes, in characters.
    pub txt_max: Option<usize>,
    /// How long until its name servers serve a change: at the least,
    pub delay_min: u32,
    /// mostly,
    pub delay_usual: u32,
    /// and at worst.
    pub delay_max: u32,
    /// Its API; `None` when it has none for customers.
    pub api: Option<HostApi>,
    /// The month in which all the facts were confirmed; empty when one of them was not.
    pub last_verified: String,
    /// What is odd about it.
    pub quirks: Vec<String>,
    /// The words on its form.
    #[serde(default)]
    pub labels: Labels,
    /// What to do in its panel.
    #[serde(default)]
    pub steps: StepTemplates,
}

/// The programming interface of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostApi {
    /// How it authenticates.
    pub auth: String,
    /// What is odd about it.
    #[serde(default)]
    pub quirks: Vec<String>,
    /// What its owner types so that records are written for them; empty where that is not possible yet.
    #[serde(default)]
    pub fields: Vec<ApiField>,
    /// The least rights that suffice, as its panel calls them.
    #[serde(default)]
    pub rights: Vec<String>,
    /// Where such a credential is made.
    pub token_url: Option<String>,
    /// What writing there was tried against.
    #[serde(default)]
    pub proven: Proven,
    /// The month in which that was.
    pub proven_on: Option<String>,
    /// What of its interface only one source tells, or none: the fake refuses it, the host itself may not.
    #[serde(default)]
    pub unproven: Vec<String>,
}

/// What the owner of a zone types.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiField {
    /// Its name in requests.
    pub name: String,
    /// What people read beside it.
    pub label: String,
    /// Whether it opens something: typed unseen, and never shown.
    #[serde(default)]
    pub secret: bool,
    /// Whether it may be left out.
    #[serde(default)]
    pub optional: bool,
}

/// What writing at a host was tried against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proven {
    /// The real server.
    Server,
    /// A strict fake of ours.
    Fake,
    /// Its protocol, against a server of others that does not keep its rules.
    Wire,
    /// A library's word for it.
    Library,
    /// Nothing: records are not written there.
    #[default]
    None,
}

impl Proven {
    /// Its word in data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Fake => "fake",
            Self::Wire => "wire",
            Self::Library => "library",
            Self::None => "none",
        }
    }

    /// What it means, for people; empty where records are not written.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Server => "the real server",
            Self::Fake => "a strict stand-in of the host, not yet the host itself",
            Self::Wire => "its protocol at a server of others, which does not keep its rules",
            Self::Library => "a library's word for it",
            Self::None => "",
        }
    }
}

/// The words on a panel's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// The record type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The name.
    pub host: String,
    /// The data of a TXT record.
    pub value: String,
    /// The target of a CNAME, where it is called otherwise than `value`.
    pub target: Option<String>,
    /// The time to live.
    pub ttl: String,
    /// The preference of an MX.
    pub priority: String,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            record_type: "Type".to_owned(),
            host: "Host".to_owned(),
            value: "Value".to_owned(),
            target: None,
            ttl: "TTL".to_owned(),
            priority: "Priority".to_owned(),
        }
    }
}

/// Phrases with slots: `{name}`, `{where}`, `{zone}`, `{type}`, `{host}` (as the form wants it), `{short}` (in front of
/// the zone), `{full}`, `{value}`, `{ttl}`, `{priority}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepTemplates {
    /// To get to the zone's records; the beginning of a sentence. Only `{name}`, `{where}` and `{zone}` are filled.
    pub open: String,
    /// To add a record; goes on after `open` and "and".
    pub add: String,
    /// To change a record; goes on after `open` and "and".
    pub edit: String,
    /// To finish; a sentence.
    pub save: String,
    /// What else every record needs; sentences.
    pub all: Vec<String>,
    /// What else an alias needs.
    pub cname: Vec<String>,
    /// What else a TXT record needs.
    pub txt: Vec<String>,
    /// What else a mail exchanger needs.
    pub mx: Vec<String>,
}

impl Default for StepTemplates {
    fn default() -> Self {
        Self {
            open: "At {name}, open {where} for {zone}".to_owned(),
            add: "add a record".to_owned(),
            edit: "edit this {type} record: {host}".to_owned(),
            save: "Save.".to_owned(),
            all: Vec::new(),
            cname: Vec::new(),
            txt: Vec::new(),
            mx: Vec::new(),
        }
    }
}

static ALL: LazyLock<Vec<Host>> = LazyLock::new(|| {
    // The files are part of the program and a test loads each of them; one that did not parse would be left out.
    let mut all: Vec<Host> = FILES.iter().filter_map(|(id, text)| Host::parse(id, text).ok()).collect();
    all.sort_by_key(|host| match host.id.as_str() {
        "generic" => 2,
        "playground" => 1,
        _ => 0,
    });
    all
});
static GENERIC: LazyLock<Host> = LazyLock::new(|| by_id("generic").cloned().unwrap_or_default());

/// All hosts that are known, the playground and the generic one last.
pub fn all() -> &'static [Host] {
    &ALL
}

/// The host with this id.
pub fn by_id(id: &str) -> Option<&'static Host> {
    all().iter().find(|host| host.id == id)
}

/// The guide for a host that is not known.
pub fn generic() -> &'static Host {
    &GENERIC
}

impl Host {
    /// Reads a host's file; `id` is the file's name without its ending.
    pub fn parse(id: &str, text: &str) -> Result<Self, HostFileError> {
        file::parse(id, text)
    }

    /// Whether this is the guide for hosts that are not known.
    pub fn is_generic(&self) -> bool {
        self.id == "generic"
    }

    /// What goes into the name field for this name; empty when the field stays empty.
    pub fn field(&self, name: &DomainName, zone: &DomainName) -> String {
        let relative = match self.host_field {
            HostField::Relative | HostField::Either => name.relative_to(zone),
            HostField::Full => None,
        };
        match relative {
            Some(relative) if relative == "@" => self.apex.clone(),
            Some(relative) => relative,
            None if self.host_field == HostField::Full && self.final_dot => name.absolute(),
            None => name.to_string(),
        }
    }

    /// A value as it is typed here. Strings of a quoted TXT value hold at most 255 octets (RFC 1035 §3.3).
    pub fn typed(&self, record_type: RecordType, value: &str) -> String {
        match record_type {
            RecordType::Txt if self.quotes => quoted(value),
            RecordType::Cname | RecordType::Mx | RecordType::Ns | RecordType::Ptr
                if self.final_dot && !value.ends_with('.') =>
            {
                format!("{value}.")
            }
            _ => value.to_owned(),
        }
    }

    /// The TTL to enter for a wanted one.
    pub fn ttl(&self, wanted: Option<u32>) -> u32 {
        wanted.or(self.ttl_default).unwrap_or(3_600).max(self.ttl_min)
    }

    /// How long changes take here: "usually after 1 to 4 hours, 24 hours at most".
    pub fn delay(&self) -> String {
        let (least, usual, most) =
            (u64::from(self.delay_min), u64::from(self.delay_usual), u64::from(self.delay_max));
        let usually = clock::range(least, usual);
        if most > usual { format!("{usually}, {} at most", clock::span(most)) } else { usually }
    }
}

fn quoted(value: &str) -> String {
    TxtData::from_text(value)
        .strings()
        .map(|string| {
            let text = String::from_utf8_lossy(string).replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{text}\"")
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn every_file_loads() {
        for (id, text) in FILES {
            let host = Host::parse(id, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(host.id, *id);
        }
        assert_eq!(all().len(), FILES.len());
        assert!(generic().is_generic());
        assert_eq!(all().last().unwrap().id, "generic");
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hosts");
        let mut on_disk: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        on_disk.sort();
        let mut embedded: Vec<_> = FILES.iter().map(|(id, _)| (*id).to_owned()).collect();
        embedded.sort();
        assert_eq!(on_disk, embedded);
    }

    #[test]
    fn fields_are_what_the_panel_wants() {
        let (dkim, zone) = (name("a._domainkey.mail.acme.test"), name("acme.test"));
        let host = |id: &str| by_id(id).unwrap();
        assert_eq!(host("cloudflare").field(&dkim, &zone), "a._domainkey.mail");
        assert_eq!(host("vercel").field(&dkim, &zone), "a._domainkey.mail", "the full name would be doubled");
        assert_eq!(host("ns1").field(&dkim, &zone), "a._domainkey.mail", "only its API takes full names");
        assert_eq!(host("google-cloud").field(&dkim, &zone), "a._domainkey.mail.acme.test.");
        assert_eq!(host("godaddy").field(&zone, &zone), "@");
        assert_eq!(host("route53").field(&zone, &zone), "");
        assert_eq!(host("cloudflare").field(&name("other.test"), &zone), "other.test", "outside of the zone");
    }

    #[test]
    fn values_are_typed_as_the_panel_wants() {
        let route53 = by_id("route53").unwrap();
        assert_eq!(route53.typed(RecordType::Txt, "v=spf1 \"x\""), "\"v=spf1 \\\"x\\\"\"");
        let long = route53.typed(RecordType::Txt, &"k".repeat(300));
        assert_eq!(long, format!("\"{}\" \"{}\"", "k".repeat(255), "k".repeat(45)));
        assert_eq!(by_id("gandi").unwrap().typed(RecordType::Cname, "t.example"), "t.example.");
        assert_eq!(by_id("cloudflare").unwrap().typed(RecordType::Cname, "t.example"), "t.example");
        assert_eq!(by_id("bluehost").unwrap().ttl(Some(3_600)), 14_400);
        assert_eq!(by_id("squarespace").unwrap().ttl(None), 3_600);
    }

    #[test]
    fn delays_read_well() {
        let delay = |id: &str| by_id(id).unwrap().delay();
        assert_eq!(delay("cloudflare"), "usually within 30 seconds");
        assert_eq!(delay("godaddy"), "usually after 1 to 4 hours, 24 hours at most");
        assert_eq!(delay("namecheap"), "usually after 1 to 10 minutes, 1 hour at most");
        assert_eq!(delay("vercel"), "usually after 1 to 10 minutes");
        assert_eq!(delay("squarespace"), "usually after 10 minutes to 2 hours, 24 hours at most");
        assert_eq!(delay("gandi"), "usually after 15 to 30 minutes");
    }
}
