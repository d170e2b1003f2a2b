use super::{ExportError, ExportRecord, by_zone, json_string};
use model::RecordData;
use std::fmt::Write;

/// Statements for `dnsconfig.js` of `DNSControl`: they add to zones that are defined there.
pub fn dnscontrol(records: &[ExportRecord]) -> Result<String, ExportError> {
    let mut out = String::new();
    for (zone, records) in by_zone(records) {
        let _ = write!(out, "D_EXTEND({}", json_string(zone.as_str()));
        for record in records {
            out.push_str(",\n");
            for note in record.notes() {
                let _ = writeln!(out, "  // {note}");
            }
            let _ = write!(out, "  {}", statement(record)?);
        }
        out.push_str("\n);\n");
    }
    Ok(out)
}

fn statement(record: &ExportRecord) -> Result<String, ExportError> {
    let (host, ttl) = (json_string(&record.host()), record.record.ttl);
    let data = &record.record.data;
    let record_type = data.record_type();
    Ok(match data {
        RecordData::Cname(target) | RecordData::Ns(target) | RecordData::Ptr(target) => {
            format!("{record_type}({host}, {}, TTL({ttl}))", json_string(&target.absolute()))
        }
        RecordData::Mx { preference, exchange } => {
            format!("MX({host}, {preference}, {}, TTL({ttl}))", json_string(&exchange.absolute()))
        }
        RecordData::Txt(text) => format!("TXT({host}, {}, TTL({ttl}))", json_string(&text.joined())),
        RecordData::A(_) | RecordData::Aaaa(_) => {
            format!("{record_type}({host}, {}, TTL({ttl}))", json_string(&data.to_string()))
        }
        other => other_type(other, &host, ttl)?,
    })
}

fn other_type(data: &RecordData, host: &str, ttl: u32) -> Result<String, ExportError> {
    if let Some(srv) = model::Srv::from_data(data) {
        let target = json_string(&srv.target.absolute());
        return Ok(format!(
            "SRV({host}, {}, {}, {}, {target}, TTL({ttl}))",
            srv.priority, srv.weight, srv.port
        ));
    }
    if let Some(caa) = model::Caa::from_data(data) {
        let critical = if caa.flags & 128 == 128 { ", CAA_CRITICAL" } else { "" };
        let (tag, value) = (json_string(&caa.tag), json_string(&caa.value));
        return Ok(format!("CAA({host}, {tag}, {value}{critical}, TTL({ttl}))"));
    }
    Err(ExportError::Type { tool: "DNSControl", record_type: data.record_type() })
}
