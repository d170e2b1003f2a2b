//! A record as Cloudflare writes it, to and from ours.

use super::AUTOMATIC_TTL;
use crate::text::{Escapes, record_type, unread};
use model::{Caa, DomainName, Record, RecordData, RecordType, Srv, TxtData};
use publish::{Kept, ZoneRecord};
use serde_json::{Map, Value, json};

/// A name of an answer, which may be written with letters of all languages.
pub(super) fn name(value: &Value) -> Option<DomainName> {
    let text = value.as_str()?;
    if text.is_ascii() { Escapes::Decimal.name(text) } else { DomainName::parse(text).ok() }
}

/// A record of an answer; `None` where the answer is not one.
pub(super) fn read(value: &Value, apex: &DomainName) -> Option<ZoneRecord> {
    let owner = name(&value["name"])?;
    let content = value["content"].as_str().unwrap_or_default();
    let of_type = record_type(value["type"].as_str()?);
    let ttl = match value["ttl"].as_u64()? {
        0 | 1 => AUTOMATIC_TTL,
        seconds => u32::try_from(seconds).ok()?,
    };
    let data = data(of_type, content, value);
    // An alias at the topmost name, or one that it is told to, is answered with the addresses that it leads to.
    let is_flat = of_type == RecordType::Cname
        && (owner == *apex || value["settings"]["flatten_cname"].as_bool() == Some(true));
    // The host's own services (mail routing, and the like) keep their records from being changed.
    let is_locked =
        value["meta"]["read_only"].as_bool() == Some(true) || value["locked"].as_bool() == Some(true);
    let kept = if data.is_none() || is_flat || is_locked { Kept::Opaque } else { Kept::Plain };
    let data = data.unwrap_or_else(|| unread(of_type, content));
    Some(ZoneRecord {
        id: Some(value["id"].as_str().filter(|id| super::is_id(id))?.to_owned()),
        record: Record { owner, ttl, data },
        proxied: value["proxied"].as_bool() == Some(true),
        kept,
        note: value["comment"].as_str().filter(|note| !note.is_empty()).map(str::to_owned),
    })
}

fn data(of_type: RecordType, content: &str, value: &Value) -> Option<RecordData> {
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let parts = &value["data"];
    match of_type {
        // It keeps a text as it was given: in quotation marks or not.
        RecordType::Txt if content.starts_with('"') => Escapes::Decimal.strings(content).map(RecordData::Txt),
        RecordType::Txt => Some(RecordData::Txt(TxtData::from_text(content))),
        RecordType::Mx => Some(RecordData::Mx {
            preference: number(&value["priority"])?,
            exchange: Escapes::Decimal.name(content)?,
        }),
        RecordType::Srv => Some(
            Srv {
                priority: number(&parts["priority"])?,
                weight: number(&parts["weight"])?,
                port: number(&parts["port"])?,
                target: name(&parts["target"])?,
            }
            .to_data(),
        ),
        RecordType::Caa => {
            let flags = u8::try_from(parts["flags"].as_u64()?).ok()?;
            let (tag, value) = (parts["tag"].as_str()?, parts["value"].as_str()?);
            Some(Caa { flags, tag: tag.to_ascii_lowercase(), value: value.to_owned() }.to_data())
        }
        RecordType::Soa | RecordType::Other(_) => None,
        _ => Escapes::Decimal.parse(of_type, content),
    }
}

/// What the host is told of a record's data: its type, content, priority. `None` for a type that we do not write.
pub(super) fn content(data: &RecordData) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    out.insert("type".to_owned(), json!(data.record_type().to_string()));
    let mut put = |field: &str, value: Value| drop(out.insert(field.to_owned(), value));
    match data {
        RecordData::A(address) => put("content", json!(address)),
        RecordData::Aaaa(address) => put("content", json!(address)),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            put("content", json!(plain(name)));
        }
        RecordData::Mx { preference, exchange } => {
            put("content", json!(plain(exchange)));
            put("priority", json!(preference));
        }
        RecordData::Txt(text) => put("content", json!(Escapes::Decimal.quoted(text))),
        RecordData::Other { .. } => {
            if let Some(srv) = Srv::from_data(data) {
                let Srv { priority, weight, port, target } = srv;
                let parts =
                    json!({"priority": priority, "weight": weight, "port": port, "target": plain(&target)});
                put("data", parts);
            } else {
                let Caa { flags, tag, value } = Caa::from_data(data)?;
                put("data", json!({"flags": flags, "tag": tag, "value": value}));
            }
        }
        RecordData::Soa(_) => return None,
    }
    Some(out)
}

/// A whole new record. It is named in full: a name that does not end in the zone's would be put below it.
pub(super) fn new(record: &Record, apex: &DomainName, note: &str) -> Option<Value> {
    if !record.owner.is_at_or_below(apex) {
        return None;
    }
    let mut out = content(&record.data)?;
    out.insert("name".to_owned(), json!(record.owner.as_str()));
    out.insert("ttl".to_owned(), json!(record.ttl));
    // Left out, addresses and aliases would be answered with the host's own addresses.
    if matches!(record.data.record_type(), RecordType::A | RecordType::Aaaa | RecordType::Cname) {
        out.insert("proxied".to_owned(), json!(false));
    }
    if !note.is_empty() {
        out.insert("comment".to_owned(), json!(note));
    }
    Some(Value::Object(out))
}

/// A name without its final dot, the root with it.
fn plain(name: &DomainName) -> &str {
    if name.is_root() { "." } else { name.as_str() }
}
