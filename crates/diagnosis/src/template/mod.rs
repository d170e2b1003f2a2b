//! Reading Domain Connect templates (draft-ietf-dconn-domainconnect, and the template files published before it).
//!
//! Templates come from strangers. A file, its records and the values put in are bounded; every error names the line,
//! the column and the field; what can be used all the same, though not quite as it is written, is a [`Note`].
//! Fields that nobody defined are passed over, as the format demands, unless the template calls them critical.
//!
//! Here a template becomes a [`Profile`]; [`crate::plan`] applies that to a domain. Types that are no DNS records
//! (`REDIR301`, `REDIR302`, `APEXCNAME`) are for the DNS host to do something about, and are passed over, as are
//! types that this program does not compare.

pub(crate) mod conflict;
mod fields;
mod json;
mod record;
pub(crate) mod variables;
pub(crate) mod write;

use crate::profile::{Note, Profile, ProfileError, ProfileRecord, ProfileRecordKind, Settings};
use fields::{File, Object};
use json::{Node, Value};
use std::collections::BTreeMap;

/// The largest file that is read, in octets.
pub const MAX_TEMPLATE: usize = 256 * 1024;

/// How many records a template may have.
const MAX_RECORDS: usize = 200;

const KNOWN: &[&str] = &[
    "providerId",
    "providerName",
    "serviceId",
    "serviceName",
    "version",
    "templateSpecVersion",
    "logoUrl",
    "description",
    "variableDescription",
    "syncBlock",
    "shared",
    "sharedProviderName",
    "sharedServiceName",
    "syncPubKeyDomain",
    "syncRedirectDomain",
    "multiInstance",
    "warnPhishing",
    "hostRequired",
    "crit",
    "records",
    "x-countersign",
];

const OUR_FIELDS: [&str; 6] =
    ["optionalGroups", "dkimKeys", "keyVariables", "explanations", "certificateAuthority", "delegated"];

/// What the object of our own says.
#[derive(Default)]
struct Ours {
    optional_groups: Vec<String>,
    dkim_keys: usize,
    /// Host of a DKIM alias (as written in the record) → the variable with the key behind it.
    key_variables: BTreeMap<String, String>,
    explanations: BTreeMap<String, String>,
    /// The certificate authority, as CAA records name it.
    certificate_authority: Option<String>,
    /// What is said of the delegation, where the records are in a zone that is delegated to us.
    delegated: Option<String>,
    /// Whether the object is there.
    present: bool,
}

/// Parses a template.
pub fn parse(json: &str) -> Result<(Profile, Vec<Note>), ProfileError> {
    if json.len() > MAX_TEMPLATE {
        return Err(ProfileError::TooLarge(json.len()));
    }
    // Some editors put a byte order mark in front.
    let text = json.strip_prefix('\u{feff}').unwrap_or(json);
    if text.trim().is_empty() {
        return Err(ProfileError::NoText);
    }
    let root = json::parse(text)?;
    let mut file = File { text, notes: Vec::new() };
    let template = Object::of(&file, &root, "")?;
    template.check_names(&mut file, KNOWN)?;
    check_version(&file, template)?;
    let ours = ours(&mut file, template)?;
    let records = records(&mut file, template, &ours)?;
    if records.is_empty() {
        return Err(ProfileError::Empty);
    }
    if ours.present {
        check_keys(ours.dkim_keys, &records)?;
    }
    conflict::check(&records, |record| name_of(record).into(), |record| record, false)?;
    note_ttls(&mut file, &records);
    let profile = profile(&mut file, template, ours, records)?;
    Ok((profile, file.notes))
}

fn profile(
    file: &mut File<'_>,
    template: Object<'_>,
    ours: Ours,
    records: Vec<ProfileRecord>,
) -> Result<Profile, ProfileError> {
    let name = template.required(file, "serviceId", "a template")?;
    if name.is_empty() {
        return Err(template.error(file, "serviceId", "it is empty"));
    }
    for field in ["providerId", "providerName", "serviceName"] {
        if template.text(file, field)?.is_none_or(str::is_empty) {
            file.note(template.at, field, "a template should have it");
        }
    }
    let text = |name| Ok(template.text(file, name)?.unwrap_or_default().to_owned());
    let title = ["serviceName", "providerName", "serviceId"]
        .into_iter()
        .filter_map(|field| template.text(file, field).ok().flatten())
        .find(|text| !text.is_empty())
        .unwrap_or(name);
    Ok(Profile {
        name: name.to_owned(),
        provider: text("providerId")?,
        title: title.to_owned(),
        description: text("description")?,
        variable_description: text("variableDescription")?,
        certificate_authority: ours.certificate_authority,
        delegated: ours.delegated,
        dkim_keys: ours.dkim_keys,
        // It is for people: one that is no number is no reason to refuse the template.
        version: template
            .number(file, "version", u32::MAX)
            .ok()
            .flatten()
            .and_then(|version| version.fixed()),
        settings: Settings {
            host_required: template.flag(file, "hostRequired")?,
            sync_block: template.flag(file, "syncBlock")?,
            sync_public_key_domain: template
                .text(file, "syncPubKeyDomain")?
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            warn_phishing: template.flag(file, "warnPhishing")?,
            multi_instance: template.flag(file, "multiInstance")?,
        },
        records,
    })
}

/// Where a record belongs, as it is written.
fn name_of(record: &ProfileRecord) -> String {
    match &record.kind {
        ProfileRecordKind::Srv { service, protocol, .. } => format!("{service}.{protocol}.{}", record.host),
        _ => record.host.clone(),
    }
}

/// The version of the format; without it a template is of version 1.
fn check_version(file: &File<'_>, template: Object<'_>) -> Result<(), ProfileError> {
    match template.get("templateSpecVersion").map(|node| &node.value) {
        None | Some(Value::Number(Some(1))) => Ok(()),
        Some(_) => {
            Err(template.error(file, "templateSpecVersion", "only version 1 of the format is known here"))
        }
    }
}

fn ours(file: &mut File<'_>, template: Object<'_>) -> Result<Ours, ProfileError> {
    let Some(node) = template.get("x-countersign") else { return Ok(Ours::default()) };
    let object = Object::of(file, node, "x-countersign.")?;
    if let Some(member) = object.members.iter().find(|member| !OUR_FIELDS.contains(&member.name.as_str())) {
        let field = object.field(&variables::clip(&member.name));
        return Err(file.error(
            member.at,
            &field,
            format!("no such field is known; known are {}", OUR_FIELDS.join(", ")),
        ));
    }
    let dkim_keys = object.number(file, "dkimKeys", 20)?.and_then(|number| number.fixed()).unwrap_or(0);
    Ok(Ours {
        optional_groups: object.texts(file, "optionalGroups")?.into_iter().map(str::to_owned).collect(),
        dkim_keys: usize::try_from(dkim_keys).unwrap_or_default(),
        key_variables: texts_by_name(file, object, "keyVariables")?,
        explanations: texts_by_name(file, object, "explanations")?,
        delegated: object.text(file, "delegated")?.map(str::to_owned),
        certificate_authority: object.text(file, "certificateAuthority")?.map(str::to_owned),
        present: true,
    })
}

fn texts_by_name(
    file: &File<'_>,
    object: Object<'_>,
    name: &str,
) -> Result<BTreeMap<String, String>, ProfileError> {
    let Some(node) = object.get(name) else { return Ok(BTreeMap::new()) };
    let path = format!("{}.", object.field(name));
    let inner = Object::of(file, node, &path)?;
    inner
        .members
        .iter()
        .map(|member| Ok((member.name.clone(), inner.required(file, &member.name, name)?.to_owned())))
        .collect()
}

fn records(
    file: &mut File<'_>,
    template: Object<'_>,
    ours: &Ours,
) -> Result<Vec<ProfileRecord>, ProfileError> {
    let nodes: &[Node] = match template.get("records").map(|node| &node.value) {
        None => return Err(template.error(file, "records", "a template needs it")),
        Some(Value::List(nodes)) => nodes,
        Some(other) => {
            return Err(template.error(file, "records", format!("it must be a list, not {}", other.kind())));
        }
    };
    if nodes.len() > MAX_RECORDS {
        let problem = format!("it has {} records, {MAX_RECORDS} are allowed", nodes.len());
        return Err(template.error(file, "records", problem));
    }
    let mut records: Vec<ProfileRecord> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let path = format!("records[{index}].");
        let object = Object::of(file, node, &path)?;
        let Some(record) = record::read(file, object, index, ours)? else { continue };
        let is_same = |other: &&ProfileRecord| {
            other.kind == record.kind && other.host == record.host && other.group == record.group
        };
        if let Some(earlier) = records.iter().find(is_same) {
            let text = format!("it repeats records[{}] and is passed over", earlier.index);
            file.note(object.at, path.trim_end_matches('.'), text);
            continue;
        }
        records.push(record);
    }
    Ok(records)
}

/// A domain's keys are given to its DKIM records in their order: a template that names them otherwise would make
/// every signature fail. Templates of others name their variables as they like.
fn check_keys(stated: usize, records: &[ProfileRecord]) -> Result<(), ProfileError> {
    let used: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.kind {
            ProfileRecordKind::Txt { data, .. } => {
                let start = data.find("%key")? + 1;
                let name = data[start..].split('%').next()?;
                name.strip_prefix("key")?.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.to_owned())
            }
            _ => record.dkim_key.clone(),
        })
        .collect();
    let is_in_order = used.iter().enumerate().all(|(index, key)| *key == format!("key{}", index + 1));
    if used.len() == stated && is_in_order { Ok(()) } else { Err(ProfileError::Keys { stated, used }) }
}

/// The records of one set must have one TTL (RFC 2181 §5.2).
fn note_ttls(file: &mut File<'_>, records: &[ProfileRecord]) {
    for (position, record) in records.iter().enumerate() {
        let same_set = |other: &&ProfileRecord| {
            other.host.eq_ignore_ascii_case(&record.host)
                && other.kind.type_and_value().0 == record.kind.type_and_value().0
                && !matches!(other.kind, ProfileRecordKind::SpfMerge { .. })
        };
        let Some(other) = records[..position].iter().find(same_set) else { continue };
        if other.ttl != record.ttl && !matches!(record.kind, ProfileRecordKind::SpfMerge { .. }) {
            let text = format!(
                "it stands beside records[{}] and has another ttl; the records of one name and type share one",
                other.index
            );
            file.notes.push(Note {
                place: record.place,
                field: format!("records[{}].ttl", record.index),
                text,
            });
        }
    }
}
