use super::ExportRecord;
use model::RecordData;

/// Comma-separated values with a header line (RFC 4180). A value that a spreadsheet would take for a formula has an
/// apostrophe in front: a merged SPF record holds what a stranger wrote.
pub fn csv(records: &[ExportRecord]) -> String {
    let mut out = "type,name,host,zone,value,priority,ttl,required,purpose,status\r\n".to_owned();
    for record in records {
        let data = &record.record.data;
        let (value, priority) = match data {
            RecordData::Mx { preference, exchange } => (exchange.to_string(), preference.to_string()),
            other => (other.to_string(), String::new()),
        };
        let fields = [
            data.record_type().to_string(),
            record.record.owner.to_string(),
            record.host(),
            record.zone.to_string(),
            value,
            priority,
            record.record.ttl.to_string(),
            record.required.to_string(),
            record.purpose.clone(),
            record.status.clone(),
        ];
        out.push_str(&fields.map(|text| field(&text)).join(","));
        out.push_str("\r\n");
    }
    out
}

pub(super) fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text != "@" { "'" } else { "" };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}
