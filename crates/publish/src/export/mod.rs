//! Records as files for the tools people keep their DNS in. All of them hold what to publish, which for an SPF record
//! that exists already is the merged one.
//!
//! | form | loaded by |
//! |---|---|
//! | [`zone_file`] | every name server (RFC 1035 §5) |
//! | [`terraform_cloudflare`], [`terraform_route53`] | Terraform, OpenTofu |
//! | [`cloudformation`] | AWS CloudFormation, CDK (`CfnInclude`) |
//! | [`octodns`] | octoDNS |
//! | [`dnscontrol`] | DNSControl |
//! | [`csv`] | spreadsheets (RFC 4180) |

mod cloudformation;
mod csv;
mod dnscontrol;
mod octodns;
mod terraform;
mod zone_file;

pub use cloudformation::cloudformation;
pub use csv::csv;
pub use dnscontrol::dnscontrol;
pub use octodns::octodns;
pub use terraform::{terraform_cloudflare, terraform_route53};
pub use zone_file::zone_file;

use model::{DomainName, Record, RecordData, RecordType, TxtData};
use std::{collections::BTreeMap, fmt::Write as _};

/// Why there is no file in a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Its files are of one zone each.
    #[error(
        "the records belong to several zones ({0}), and this form has a file for each: choose one of them"
    )]
    SeveralZones(String),
    /// The tool has no such type.
    #[error("{tool} has no records of type {record_type}; choose another form")]
    Type {
        /// Which tool.
        tool: &'static str,
        /// Which type.
        record_type: RecordType,
    },
}

/// A record to publish, with what a file says beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRecord {
    /// Its name within its plan: `dkim-1`, `spf`.
    pub key: String,
    /// What it is for, in words.
    pub purpose: String,
    /// Whether the domain is verified only with it.
    pub required: bool,
    /// The zone it belongs to.
    pub zone: DomainName,
    /// What to publish.
    pub record: Record,
    /// The texts that are there now and whose place it takes.
    pub replaces: Vec<String>,
    /// How it stands, in one word.
    pub status: String,
}

impl ExportRecord {
    /// Its name within its zone; `@` at the top.
    fn host(&self) -> String {
        self.record.owner.relative_to(&self.zone).unwrap_or_else(|| self.record.owner.to_string())
    }

    /// What a reader of the file should know, in one line each.
    fn notes(&self) -> Vec<String> {
        let wanted = if self.required { "" } else { " (recommended)" };
        let mut notes = vec![format!("{}{wanted}", one_line(&self.purpose))];
        for old in &self.replaces {
            notes.push(format!("takes the place of: {}", one_line(old)));
        }
        notes
    }
}

/// The records of each zone, in the order of names.
fn by_zone(records: &[ExportRecord]) -> BTreeMap<&DomainName, Vec<&ExportRecord>> {
    let mut zones: BTreeMap<&DomainName, Vec<&ExportRecord>> = BTreeMap::new();
    for record in records {
        zones.entry(&record.zone).or_default().push(record);
    }
    zones
}

/// The records of each set: those of a name and a type, which many tools keep as one.
fn by_set<'a>(records: &[&'a ExportRecord]) -> BTreeMap<(&'a DomainName, RecordType), Vec<&'a ExportRecord>> {
    let mut sets: BTreeMap<_, Vec<&ExportRecord>> = BTreeMap::new();
    for record in records {
        sets.entry((&record.record.owner, record.record.data.record_type())).or_default().push(record);
    }
    sets
}

/// A text that stays in its line and in its comment, whatever a stranger wrote into it.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

/// A name for something in a file: letters, digits and underscores; two records never get the same one.
fn identifier(zone: &DomainName, key: &str) -> String {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    };
    format!("{}_{}", plain(zone.as_str()), plain(key))
}

/// Record data as in a zone file (RFC 1035 §5.1), names with their final dot.
fn master(data: &RecordData) -> String {
    match data {
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => name.absolute(),
        RecordData::Mx { preference, exchange } => format!("{preference} {}", exchange.absolute()),
        RecordData::Txt(text) => quoted_strings(text, |byte| format!("\\{byte:03}")),
        RecordData::Other { octets, .. } => {
            match (model::Srv::from_data(data), model::Caa::from_data(data)) {
                (Some(srv), _) => {
                    format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.absolute())
                }
                (_, Some(caa)) => caa.to_string(),
                // RFC 3597 §5.
                _ => {
                    let hex = octets.iter().fold(String::new(), |mut hex, byte| {
                        let _ = write!(hex, "{byte:02x}");
                        hex
                    });
                    format!("\\# {} {hex}", octets.len()).trim_end().to_owned()
                }
            }
        }
        other => other.to_string(),
    }
}

/// The strings of a text, each in quotation marks. `escape` writes an octet that is not printable ASCII.
fn quoted_strings(text: &TxtData, escape: impl Fn(u8) -> String) -> String {
    let strings: Vec<String> = text
        .strings()
        .map(|string| {
            let mut out = String::from('"');
            for &byte in string {
                match byte {
                    b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
                    b' '..=b'~' => out.push(char::from(byte)),
                    _ => out.push_str(&escape(byte)),
                }
            }
            out.push('"');
            out
        })
        .collect();
    strings.join(" ")
}

/// Record data as Amazon Route 53 wants it: as in a zone file, but octal escapes.
fn route53_value(data: &RecordData) -> String {
    match data {
        RecordData::Txt(text) => quoted_strings(text, |byte| format!("\\{byte:03o}")),
        other => master(other),
    }
}

/// A string literal of JSON, which is one of JavaScript and of YAML too.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
