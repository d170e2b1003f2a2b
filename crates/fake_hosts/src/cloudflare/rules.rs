//! What a record has to be like.

use super::name;
use crate::presentation;
use model::{Caa, DomainName, Record, RecordData, Srv, TxtData};
use serde_json::{Value, json};

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub id: String,
    pub kind: String,
    pub name: String,
    pub content: String,
    pub priority: Option<u64>,
    pub data: Value,
    pub ttl: u64,
    pub proxied: bool,
    pub comment: Option<String>,
}

/// A code and its message.
#[derive(Debug)]
pub struct Refused(pub u32, pub String);

fn refused<T>(code: u32, message: &str) -> Result<T, Refused> {
    Err(Refused(code, message.to_owned()))
}

/// What is sent of a record: over that which is there, or whole.
pub fn change(zone: &str, id: String, base: Option<&Stored>, change: &Value) -> Result<Stored, Refused> {
    let text = |field: &str, base: Option<&String>| {
        change[field].as_str().map(str::to_owned).or_else(|| base.cloned()).unwrap_or_default()
    };
    let kind = text("type", base.map(|base| &base.kind)).to_ascii_uppercase();
    let full = inside(&text("name", base.map(|base| &base.name)), zone)?;
    let given = |field: &str, base: Option<Value>| {
        if change[field].is_null() { base.unwrap_or(Value::Null) } else { change[field].clone() }
    };
    let is_web = matches!(kind.as_str(), "A" | "AAAA" | "CNAME");
    let proxied = match given("proxied", base.map(|base| json!(base.proxied))) {
        Value::Null => is_web,
        Value::Bool(true) if !is_web => return refused(9004, "This record type cannot be proxied."),
        Value::Bool(proxied) => proxied,
        _ => return refused(9003, "Invalid 'proxied' value, must be a boolean"),
    };
    let ttl = match given("ttl", base.map(|base| json!(base.ttl))).as_u64() {
        None => 1,
        Some(ttl @ (1 | 60..=86_400)) => ttl,
        Some(_) => {
            return refused(9021, "Invalid TTL. Must be between 60 and 86,400 seconds, or 1 for Automatic.");
        }
    };
    let comment = given("comment", base.map(|base| json!(base.comment)));
    let comment = comment.as_str().map(str::to_owned);
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > 100) {
        return refused(9313, "Comment exceeds the maximum length of 100 characters.");
    }
    if change["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
        return refused(9300, "DNS record has 1 tags, exceeding the quota of 0.");
    }
    let mut stored = Stored {
        id,
        name: full,
        content: text("content", base.map(|base| &base.content)),
        priority: given("priority", base.map(|base| json!(base.priority))).as_u64(),
        data: given("data", base.map(|base| base.data.clone())),
        kind,
        ttl: if proxied { 1 } else { ttl },
        proxied,
        comment,
    };
    check(&mut stored)?;
    Ok(stored)
}

/// The full name: what does not end in the zone's is below it.
fn inside(given: &str, zone: &str) -> Result<String, Refused> {
    let given = given.trim_end_matches('.').to_ascii_lowercase();
    if given.is_empty() {
        return refused(9000, "DNS name is invalid.");
    }
    let full = if given == "@" || given == zone {
        zone.to_owned()
    } else if given.ends_with(&format!(".{zone}")) {
        given
    } else {
        format!("{given}.{zone}")
    };
    if DomainName::parse(&full).is_err() {
        return refused(9000, "DNS name is invalid.");
    }
    Ok(full)
}

fn check(stored: &mut Stored) -> Result<(), Refused> {
    let is_name = |text: &str| name(text).is_some();
    match stored.kind.as_str() {
        "A" if stored.content.parse::<std::net::Ipv4Addr>().is_err() => {
            refused(9005, "Content for A record must be a valid IPv4 address.")
        }
        "AAAA" if stored.content.parse::<std::net::Ipv6Addr>().is_err() => {
            refused(9006, "Content for AAAA record must be a valid IPv6 address.")
        }
        "CNAME" if !is_name(&stored.content) || stored.content == "." => {
            refused(9007, "Content for CNAME record is invalid.")
        }
        "CNAME" if stored.content.trim_end_matches('.') == stored.name => {
            refused(9039, "CNAME content cannot reference itself.")
        }
        "MX" if stored.priority.is_none() => refused(9100, "priority is a required data field."),
        "MX" if !is_name(&stored.content) => refused(9009, "Content for MX record must be a hostname."),
        "NS" if !is_name(&stored.content) => refused(9008, "Content for NS record must be a hostname."),
        "TXT" => {
            let Some(text) = strings(&stored.content) else {
                return refused(9010, "Content for TXT record is not valid: a quotation mark is missing.");
            };
            if text.as_wire().len() > 4_096 {
                return refused(9010, "Content for TXT record is too long.");
            }
            Ok(())
        }
        "SRV" | "CAA" => {
            let Some(data) = data(stored) else { return refused(9101, "data is missing a required field.") };
            stored.content = data.to_string();
            Ok(())
        }
        "A" | "AAAA" | "CNAME" | "MX" | "NS" | "PTR" => Ok(()),
        _ => refused(1004, "This type of record is not supported."),
    }
}

/// Whether a record may stand beside the others.
pub fn conflict(new: &Stored, others: &[Stored]) -> Result<(), Refused> {
    let mut of_texts = 0;
    for old in others.iter().filter(|old| old.name == new.name) {
        let is_web = |kind: &str| matches!(kind, "A" | "AAAA" | "CNAME");
        if old.kind == new.kind && data(old) == data(new) {
            return refused(81058, "An identical record already exists.");
        }
        if new.kind == "CNAME" && is_web(&old.kind) || old.kind == "CNAME" && is_web(&new.kind) {
            return refused(81053, "An A, AAAA, or CNAME record with that host already exists.");
        }
        if new.kind == "CNAME" || old.kind == "CNAME" {
            return refused(81054, "A CNAME record with that host already exists.");
        }
        of_texts += if old.kind == "TXT" { old.content.len() } else { 0 };
    }
    if new.kind == "TXT" && of_texts + new.content.len() > 8_192 {
        return refused(9010, "The texts at this name are too long together.");
    }
    Ok(())
}

pub fn json(stored: &Stored) -> Value {
    let mut out = json!({
        "id": stored.id, "name": stored.name, "type": stored.kind, "content": stored.content,
        "proxiable": matches!(stored.kind.as_str(), "A" | "AAAA" | "CNAME"), "proxied": stored.proxied,
        "ttl": stored.ttl, "settings": {}, "meta": {}, "comment": stored.comment, "tags": [],
        "created_on": "2026-11-01T00:00:00.000000Z", "modified_on": "2026-11-01T00:00:00.000000Z",
    });
    if let Some(priority) = stored.priority {
        out["priority"] = json!(priority);
    }
    if !stored.data.is_null() {
        out["data"] = stored.data.clone();
    }
    out
}

/// A record as its owner writes it.
pub fn stored(id: String, record: &Record) -> Stored {
    let mut stored = Stored {
        id,
        kind: record.data.record_type().to_string(),
        name: record.owner.to_string(),
        content: record.data.to_string(),
        priority: None,
        data: Value::Null,
        ttl: u64::from(record.ttl),
        proxied: false,
        comment: None,
    };
    match &record.data {
        RecordData::Mx { preference, exchange } => {
            stored.priority = Some(u64::from(*preference));
            stored.content = if exchange.is_root() { ".".to_owned() } else { exchange.to_string() };
        }
        RecordData::Txt(text) => stored.content = presentation::quoted(text),
        data @ RecordData::Other { .. } => {
            if let Some(Srv { priority, weight, port, target }) = Srv::from_data(data) {
                stored.data = json!({"priority": priority, "weight": weight, "port": port, "target": target.to_string()});
            } else if let Some(Caa { flags, tag, value }) = Caa::from_data(data) {
                stored.data = json!({"flags": flags, "tag": tag, "value": value});
            }
        }
        _ => {}
    }
    stored
}

/// The record that is answered with.
pub fn record(stored: &Stored) -> Option<Record> {
    let ttl = if stored.ttl == 1 { 300 } else { u32::try_from(stored.ttl).ok()? };
    Some(Record { owner: name(&stored.name)?, ttl, data: data(stored)? })
}

fn data(stored: &Stored) -> Option<RecordData> {
    let content = stored.content.as_str();
    let number = |field: &str| stored.data[field].as_u64().and_then(|number| u16::try_from(number).ok());
    Some(match stored.kind.as_str() {
        "A" => RecordData::A(content.parse().ok()?),
        "AAAA" => RecordData::Aaaa(content.parse().ok()?),
        "CNAME" => RecordData::Cname(name(content)?),
        "NS" => RecordData::Ns(name(content)?),
        "PTR" => RecordData::Ptr(name(content)?),
        "MX" => {
            RecordData::Mx { preference: u16::try_from(stored.priority?).ok()?, exchange: name(content)? }
        }
        "TXT" => RecordData::Txt(strings(content)?),
        "SRV" => Srv {
            priority: number("priority")?,
            weight: number("weight")?,
            port: number("port")?,
            target: name(stored.data["target"].as_str()?)?,
        }
        .to_data(),
        "CAA" => Caa {
            flags: u8::try_from(number("flags")?).ok()?,
            tag: stored.data["tag"].as_str()?.to_owned(),
            value: stored.data["value"].as_str()?.to_owned(),
        }
        .to_data(),
        _ => return None,
    })
}

/// The strings of a text, in quotation marks or without.
fn strings(content: &str) -> Option<TxtData> {
    if content.starts_with('"') { presentation::strings(content) } else { Some(TxtData::from_text(content)) }
}
