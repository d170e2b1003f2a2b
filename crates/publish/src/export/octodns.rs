use super::{ExportError, ExportRecord, by_set, by_zone, json_string};
use model::{DomainName, RecordData, RecordType};
use std::{collections::BTreeMap, fmt::Write};

/// A zone's file for octoDNS (YAML). Its records go beside those that are in the file already.
pub fn octodns(records: &[ExportRecord]) -> Result<String, ExportError> {
    let zones = by_zone(records);
    if zones.len() > 1 {
        let names: Vec<&str> = zones.keys().map(|zone| zone.as_str()).collect();
        return Err(ExportError::SeveralZones(names.join(", ")));
    }
    let Some((zone, records)) = zones.into_iter().next() else { return Ok("---\n{}\n".to_owned()) };
    let mut out = "---\n".to_owned();
    // octoDNS refuses names that are not in their natural order.
    let mut hosts: BTreeMap<Natural, Vec<_>> = BTreeMap::new();
    for ((owner, record_type), set) in by_set(&records) {
        let host = owner.relative_to(zone).unwrap_or_else(|| owner.to_string());
        let host = if host == "@" { String::new() } else { host };
        hosts.entry(Natural::of(&host)).or_default().push((host, record_type, set));
    }
    for sets in hosts.into_values() {
        let Some(host) = sets.first().map(|(host, ..)| host.clone()) else { continue };
        for note in sets.iter().flat_map(|(_, _, set)| set).flat_map(|record| record.notes()) {
            let _ = writeln!(out, "# {note}");
        }
        let _ = writeln!(out, "{}:", json_string(&host));
        let several = sets.len() > 1;
        for (_, record_type, set) in sets {
            let mut lines = entry(record_type, &set)?;
            for (index, line) in lines.iter_mut().enumerate() {
                let indent = match (several, index) {
                    (false, _) => "  ",
                    (true, 0) => "  - ",
                    (true, _) => "    ",
                };
                let _ = writeln!(out, "{indent}{line}");
            }
        }
    }
    Ok(out)
}

/// A name by its natural order: digits count as the number that they are, so `t2` comes before `t10`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Natural(Vec<(String, Option<(usize, String)>)>, String);

impl Natural {
    fn of(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (words, after) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
            let (digits, after) =
                after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()));
            let digits = digits.trim_start_matches('0');
            let number = rest.len() > words.len();
            parts.push((words.to_owned(), number.then(|| (digits.len(), digits.to_owned()))));
            rest = after;
        }
        Self(parts, text.to_owned())
    }
}

/// The lines of a set.
fn entry(record_type: RecordType, set: &[&ExportRecord]) -> Result<Vec<String>, ExportError> {
    let ttl = set.iter().map(|record| record.record.ttl).min().unwrap_or_default();
    let mut lines = vec![format!("ttl: {ttl}"), format!("type: {record_type}")];
    let values: Result<Vec<Value>, _> = set.iter().map(|record| value(&record.record.data)).collect();
    let values = values?;
    match values.as_slice() {
        [Value::Text(text)] => lines.push(format!("value: {}", json_string(text))),
        values => {
            lines.push("values:".to_owned());
            for value in values {
                match value {
                    Value::Text(text) => lines.push(format!("- {}", json_string(text))),
                    Value::Fields(fields) => {
                        for (index, (name, content)) in fields.iter().enumerate() {
                            let dash = if index == 0 { "- " } else { "  " };
                            lines.push(format!("{dash}{name}: {content}"));
                        }
                    }
                }
            }
        }
    }
    Ok(lines)
}

enum Value {
    Text(String),
    Fields(Vec<(&'static str, String)>),
}

fn value(data: &RecordData) -> Result<Value, ExportError> {
    let name = |name: &DomainName| json_string(&name.absolute());
    Ok(match data {
        RecordData::Cname(target) | RecordData::Ns(target) | RecordData::Ptr(target) => {
            Value::Text(target.absolute())
        }
        RecordData::A(_) | RecordData::Aaaa(_) => Value::Text(data.to_string()),
        // A semicolon that is not escaped is refused; long texts are split by octoDNS.
        RecordData::Txt(text) => Value::Text(text.joined().replace(';', "\\;")),
        RecordData::Mx { preference, exchange } => {
            Value::Fields(vec![("exchange", name(exchange)), ("preference", preference.to_string())])
        }
        other => match (model::Srv::from_data(other), model::Caa::from_data(other)) {
            (Some(srv), _) => Value::Fields(vec![
                ("port", srv.port.to_string()),
                ("priority", srv.priority.to_string()),
                ("target", name(&srv.target)),
                ("weight", srv.weight.to_string()),
            ]),
            (_, Some(caa)) => Value::Fields(vec![
                ("flags", caa.flags.to_string()),
                ("tag", json_string(&caa.tag)),
                ("value", json_string(&caa.value)),
            ]),
            _ => return Err(ExportError::Type { tool: "octoDNS", record_type: other.record_type() }),
        },
    })
}
