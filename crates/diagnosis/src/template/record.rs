//! One record of a template.

use super::{
    Ours,
    fields::{File, Object},
    variables::{clip, has_variables, sample},
};
use crate::profile::{Number, ProfileError, ProfileRecord, ProfileRecordKind, TxtConflict};
use model::{DomainName, Purpose};

/// What records get when a template names no TTL.
const DEFAULT_TTL: u32 = 3600;

/// RFC 2181 §8.
const MAX_TTL: u32 = i32::MAX.unsigned_abs();

/// Fields that any record may have.
const COMMON: [&str; 4] = ["type", "groupId", "essential", "crit"];

/// Types that tell the DNS host to do something, and put no record of their own into the DNS.
const NOT_DNS: [&str; 3] = ["REDIR301", "REDIR302", "APEXCNAME"];

/// Types of the DNS that templates may hold as data, and that are not compared here.
const NOT_COMPARED: [&str; 15] = [
    "ALIAS",
    "ANAME",
    "CERT",
    "DNAME",
    "DS",
    "HINFO",
    "HTTPS",
    "LOC",
    "NAPTR",
    "OPENPGPKEY",
    "PTR",
    "SMIMEA",
    "SSHFP",
    "SVCB",
    "TLSA",
];

/// Reads a record; `None` for one that is passed over.
pub fn read(
    file: &mut File<'_>,
    object: Object<'_>,
    index: usize,
    ours: &Ours,
) -> Result<Option<ProfileRecord>, ProfileError> {
    let written = object.required(file, "type", "a record")?;
    let record_type = written.trim().to_ascii_uppercase();
    if NOT_DNS.contains(&record_type.as_str()) {
        let text = format!("{record_type} is no DNS record but a request to the DNS host; it is passed over");
        file.note(object.at, &object.field("type"), text);
        return Ok(None);
    }
    let generic = record_type.strip_prefix("TYPE").is_some_and(|code| code.parse::<u16>().is_ok());
    if generic || NOT_COMPARED.contains(&record_type.as_str()) {
        let text = format!("{record_type} records are not checked here; it is passed over");
        file.note(object.at, &object.field("type"), text);
        return Ok(None);
    }
    let kind = kind(file, object, written, &record_type)?;
    object.check_names(file, &known_fields(&record_type))?;
    let host = host(file, object, &record_type)?;
    let group = object.text(file, "groupId")?.filter(|group| !group.is_empty());
    if let Some(group) = group
        && group.contains('%')
    {
        return Err(object.error(
            file,
            "groupId",
            format!("\"{}\" holds a variable, which no group may", clip(group)),
        ));
    }
    let on_apply = on_apply(file, object)?;
    let ttl = object.number(file, "ttl", MAX_TTL)?.unwrap_or(Number::Fixed(DEFAULT_TTL));
    let named = group.unwrap_or_default();
    let required =
        if ours.present { !ours.optional_groups.iter().any(|group| group == named) } else { !on_apply };
    Ok(Some(ProfileRecord {
        index,
        place: file.place(object.at),
        group: group.map(str::to_owned),
        purpose: Purpose::from_word(named).unwrap_or_else(|| guess_purpose(host, &kind)),
        host: host.to_owned(),
        ttl,
        required,
        on_apply,
        dkim_key: ours.key_variables.get(host).cloned(),
        explanation: ours.explanations.get(named).cloned().unwrap_or_default(),
        kind,
    }))
}

fn known_fields(record_type: &str) -> Vec<&'static str> {
    let own: &[&str] = match record_type {
        "TXT" => &["host", "ttl", "data", "txtConflictMatchingMode", "txtConflictMatchingPrefix"],
        "MX" => &["host", "ttl", "pointsTo", "priority"],
        "SRV" => &[
            "host", "name", "ttl", "target", "pointsTo", "priority", "weight", "port", "protocol", "service",
        ],
        // The TTL of a merged record is the DNS host's; templates name one all the same.
        "SPFM" => &["host", "ttl", "spfRules"],
        "CAA" => &["host", "ttl", "data"],
        _ => &["host", "ttl", "pointsTo"],
    };
    COMMON.iter().chain(own).copied().collect()
}

fn kind(
    file: &File<'_>,
    object: Object<'_>,
    written: &str,
    record_type: &str,
) -> Result<ProfileRecordKind, ProfileError> {
    let of = format!(
        "{} {record_type} record",
        if record_type.starts_with(['A', 'M', 'N', 'S']) { "an" } else { "a" }
    );
    let number = |name| {
        object
            .number(file, name, u32::from(u16::MAX))?
            .ok_or_else(|| object.error(file, name, format!("{of} needs it")))
    };
    let target = |name| target(file, object, name, &of, record_type);
    Ok(match record_type {
        "CNAME" => ProfileRecordKind::Cname { points_to: target("pointsTo")? },
        "NS" => ProfileRecordKind::Ns { points_to: target("pointsTo")? },
        "MX" => ProfileRecordKind::Mx { points_to: target("pointsTo")?, priority: number("priority")? },
        "A" | "AAAA" => {
            let v6 = record_type == "AAAA";
            ProfileRecordKind::Address { points_to: address(file, object, &of, v6)?, v6 }
        }
        "TXT" => ProfileRecordKind::Txt {
            data: object.with_variables(file, "data", &of)?.to_owned(),
            conflict: conflict(file, object)?,
        },
        "SPFM" => ProfileRecordKind::SpfMerge { rules: rules(file, object, &of)? },
        "SRV" => ProfileRecordKind::Srv {
            service: object.with_variables(file, "service", &of)?.to_owned(),
            protocol: object.with_variables(file, "protocol", &of)?.to_owned(),
            priority: number("priority")?,
            weight: number("weight")?,
            port: number("port")?,
            target: target(if object.get("target").is_some() { "target" } else { "pointsTo" })?,
        },
        "CAA" => ProfileRecordKind::Caa { data: caa(file, object, &of)? },
        _ => {
            let problem = format!(
                "the type \"{}\" is not known; known are A, AAAA, CAA, CNAME, MX, NS, SPFM, SRV and TXT",
                clip(written)
            );
            return Err(object.error(file, "type", problem));
        }
    })
}

/// The name a record points at.
fn target(
    file: &File<'_>,
    object: Object<'_>,
    name: &str,
    of: &str,
    record_type: &str,
) -> Result<String, ProfileError> {
    // A missing SRV target is named by the field it should be in.
    let name = if record_type == "SRV" && object.get(name).is_none() { "target" } else { name };
    let text = object.with_variables(file, name, of)?;
    let stands_alone = match text {
        "@" if record_type == "NS" => {
            return Err(object.error(file, name, "\"@\" would delegate a name to itself"));
        }
        "@" => true,
        "." => matches!(record_type, "MX" | "SRV"),
        _ => false,
    };
    if !stands_alone {
        let sample = sample(text).map_err(|problem| object.error(file, name, problem))?;
        DomainName::parse(&sample).map_err(|problem| object.error(file, name, problem.to_string()))?;
    }
    Ok(text.to_owned())
}

fn address(file: &File<'_>, object: Object<'_>, of: &str, v6: bool) -> Result<String, ProfileError> {
    let text = object.with_variables(file, "pointsTo", of)?;
    if !has_variables(text) {
        let right = if v6 {
            text.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            text.parse::<std::net::Ipv4Addr>().is_ok()
        };
        if !right {
            let family = if v6 { "an IPv6 address" } else { "an IPv4 address" };
            return Err(object.error(file, "pointsTo", format!("\"{}\" is not {family}", clip(text))));
        }
    }
    Ok(text.to_owned())
}

fn rules(file: &File<'_>, object: Object<'_>, of: &str) -> Result<String, ProfileError> {
    let text = object.with_variables(file, "spfRules", of)?;
    let sample = sample(text).map_err(|problem| object.error(file, "spfRules", problem))?;
    let wrong = |problem: String| object.error(file, "spfRules", problem);
    for term in sample.split_ascii_whitespace() {
        let bare = term.trim_start_matches(['+', '-', '~', '?']);
        if term.eq_ignore_ascii_case("v=spf1") || bare.eq_ignore_ascii_case("all") {
            return Err(wrong(format!("\"{term}\" does not belong in it: it holds mechanisms only")));
        }
    }
    if sample.trim().is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    // A variable may stand for anything: only what is written out can be judged.
    if !has_variables(text) {
        mail::spf::SpfRecord::parse(&format!("v=spf1 {sample}")).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(text.to_owned())
}

fn caa(file: &File<'_>, object: Object<'_>, of: &str) -> Result<String, ProfileError> {
    let text = object.with_variables(file, "data", of)?;
    let sample = sample(text).map_err(|problem| object.error(file, "data", problem))?;
    model::Caa::parse(&sample)
        .ok_or_else(|| object.error(file, "data", "it must be like: 0 issue \"ca.example\""))?;
    Ok(text.to_owned())
}

fn conflict(file: &File<'_>, object: Object<'_>) -> Result<TxtConflict, ProfileError> {
    const MODE: &str = "txtConflictMatchingMode";
    const PREFIX: &str = "txtConflictMatchingPrefix";
    let prefix = object.text(file, PREFIX)?.filter(|prefix| !prefix.is_empty());
    let written = object.text(file, MODE)?.unwrap_or("None");
    match written.to_ascii_lowercase().as_str() {
        "" | "none" => Ok(TxtConflict::None),
        "all" => Ok(TxtConflict::All),
        "prefix" => match prefix {
            Some(prefix) => Ok(TxtConflict::Prefix(prefix.to_owned())),
            None => Err(object.error(file, PREFIX, format!("{MODE} is Prefix, and there is none"))),
        },
        _ => Err(object.error(file, MODE, format!("\"{}\" is none of None, All and Prefix", clip(written)))),
    }
}

/// Whether the record may go once it was applied (`essential`).
fn on_apply(file: &File<'_>, object: Object<'_>) -> Result<bool, ProfileError> {
    let written = object.text(file, "essential")?.unwrap_or("Always");
    match written.to_ascii_lowercase().as_str() {
        "" | "always" => Ok(false),
        "onapply" => Ok(true),
        _ => {
            let problem = format!("\"{}\" is neither Always nor OnApply", clip(written));
            Err(object.error(file, "essential", problem))
        }
    }
}

/// Where the record belongs: for SRV `name`, which some templates call `host` like everywhere else.
fn host<'n>(file: &File<'_>, object: Object<'n>, record_type: &str) -> Result<&'n str, ProfileError> {
    let field = if record_type == "SRV" && object.get("name").is_some() { "name" } else { "host" };
    let host = object.with_variables(file, field, "a record")?;
    if host.is_empty() || host == "@" {
        return Ok(host);
    }
    let sample = sample(host).map_err(|problem| object.error(file, field, problem))?;
    match DomainName::parse(&sample) {
        Ok(_) => Ok(host),
        Err(error) => Err(object.error(file, field, error.to_string())),
    }
}

/// For templates of others, whose groups have names of their own.
fn guess_purpose(host: &str, kind: &ProfileRecordKind) -> Purpose {
    let labels: Vec<&str> = host.split('.').collect();
    match kind {
        _ if labels.contains(&"_domainkey") => Purpose::Dkim,
        _ if labels.first() == Some(&"_dmarc") => Purpose::Dmarc,
        ProfileRecordKind::SpfMerge { .. } => Purpose::Spf,
        ProfileRecordKind::Txt { data, .. } if mail::spf::is_spf_record(data) => Purpose::Spf,
        ProfileRecordKind::Txt { .. } => Purpose::Ownership,
        ProfileRecordKind::Mx { .. } => Purpose::Inbound,
        _ => Purpose::Other,
    }
}
