//! A record as DigitalOcean writes it, to and from ours.

use crate::{
    json::{owner, relative},
    text::{Escapes, record_type, unread},
};
use model::{Caa, DomainName, Record, RecordData, RecordType, Srv, TxtData};
use publish::{Kept, ZoneRecord};
use serde_json::{Value, json};

/// How many octets a text may have: with quotation marks around each 255 of them and a space between, it takes 509.
pub(super) const TEXT_MAX: usize = 504;

/// What is said of records that are not written.
pub(super) const RULES: &str = "DigitalOcean takes texts of at most 504 characters, of printable ASCII without quotation marks and \
     backslashes, and no null MX";

/// A record's id, which is a number.
pub(super) fn id(value: &Value) -> Option<String> {
    value["id"].as_u64().map(|id| id.to_string())
}

/// A record of an answer; `None` where the answer is not one.
pub(super) fn read(value: &Value, apex: &DomainName) -> Option<ZoneRecord> {
    let of_type = record_type(value["type"].as_str()?);
    let content = value["data"].as_str().unwrap_or_default();
    let data = data(of_type, content, value, apex);
    let is_told = !matches!(&data, Some(RecordData::Txt(text)) if !is_plain(&text.joined()));
    let kept = if data.is_none() || !is_told { Kept::Opaque } else { Kept::Plain };
    let data = data.unwrap_or_else(|| unread(of_type, content));
    let ttl = u32::try_from(value["ttl"].as_u64()?).ok()?;
    let record = Record { owner: owner(value["name"].as_str()?, apex)?, ttl, data };
    Some(ZoneRecord { id: Some(id(value)?), kept, ..ZoneRecord::plain(record) })
}

fn data(of_type: RecordType, content: &str, value: &Value, apex: &DomainName) -> Option<RecordData> {
    let number = |field: &str| value[field].as_u64().and_then(|number| u16::try_from(number).ok());
    // The zone's own name comes back as "@", other names without their final dot.
    let target = || match content {
        "" => None,
        "@" => Some(apex.clone()),
        name => Escapes::Decimal.name(name),
    };
    Some(match of_type {
        RecordType::Txt => RecordData::Txt(TxtData::from_text(content)),
        RecordType::A | RecordType::Aaaa => Escapes::Decimal.parse(of_type, content)?,
        RecordType::Cname => RecordData::Cname(target()?),
        RecordType::Ns => RecordData::Ns(target()?),
        RecordType::Ptr => RecordData::Ptr(target()?),
        RecordType::Mx => RecordData::Mx { preference: number("priority")?, exchange: target()? },
        RecordType::Srv => Srv {
            priority: number("priority")?,
            weight: number("weight")?,
            port: number("port")?,
            target: target()?,
        }
        .to_data(),
        RecordType::Caa => Caa {
            flags: u8::try_from(number("flags")?).ok()?,
            tag: value["tag"].as_str()?.to_ascii_lowercase(),
            value: content.to_owned(),
        }
        .to_data(),
        RecordType::Soa | RecordType::Other(_) => return None,
    })
}

/// Whether it is known what becomes of a text.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\'))
}

/// What the host is told of a record: names of targets with their final dot. `None` for what is not written.
pub(super) fn new(record: &Record, apex: &DomainName) -> Option<Value> {
    let of_type = record.data.record_type();
    let mut out =
        json!({"type": of_type.to_string(), "name": relative(&record.owner, apex)?, "ttl": record.ttl});
    let target = |name: &DomainName| json!(Escapes::Decimal.absolute(name));
    let host = |name: &DomainName| (!name.is_root()).then(|| target(name));
    out["data"] = match &record.data {
        RecordData::A(address) => json!(address),
        RecordData::Aaaa(address) => json!(address),
        RecordData::Cname(name) | RecordData::Ns(name) => host(name)?,
        RecordData::Mx { preference, exchange } => {
            out["priority"] = json!(preference);
            host(exchange)?
        }
        RecordData::Txt(text) => {
            let text = text.joined();
            (is_plain(&text) && text.len() <= TEXT_MAX).then(|| json!(text))?
        }
        data @ RecordData::Other { .. } => {
            let Srv { priority, weight, port, target: to } = Srv::from_data(data)?;
            out["priority"] = json!(priority);
            out["weight"] = json!(weight);
            out["port"] = json!(port);
            target(&to)
        }
        RecordData::Ptr(_) | RecordData::Soa(_) => return None,
    };
    Some(out)
}
