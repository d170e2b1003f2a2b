//! A domain's records as files: CSV for spreadsheets, lines for a zone file, text to pass on to whoever runs DNS.
//!
//! All of them hold what to publish, which for an SPF record that exists already is the merged one.

use app::{
    diagnosis::{Expected, RecordReport},
    domains::DomainView,
};
use model::{RecordData, TxtData};
use std::fmt::Write;

/// Comma-separated values with a header line (RFC 4180).
pub fn csv(view: &DomainView) -> String {
    let mut out = "type,name,host,zone,value,priority,ttl,required,purpose,status\r\n".to_owned();
    for record in &view.report.records {
        let planned = &record.planned;
        let fields = [
            record.record_type().to_string(),
            planned.owner.to_string(),
            record.host(),
            record.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            record.value(),
            planned.expected.preference().map(|number| number.to_string()).unwrap_or_default(),
            planned.ttl.to_string(),
            planned.required.to_string(),
            planned.purpose.to_string(),
            record.status.to_string(),
        ];
        out.push_str(&fields.map(|field| csv_field(&field)).join(","));
        out.push_str("\r\n");
    }
    out
}

fn csv_field(text: &str) -> String {
    // A merged SPF record holds what a stranger wrote: a spreadsheet must not take it for a formula.
    let guard = if text.starts_with(['=', '+', '-', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

/// Lines for a zone file (RFC 1035 §5), names in full.
pub fn zone(view: &DomainView) -> String {
    let mut out = format!("; records for {}\n", view.domain.name);
    for record in &view.report.records {
        let planned = &record.planned;
        // Writing to a String does not fail.
        let _ = writeln!(out, "{}\t{}\tIN\t{}", planned.owner.absolute(), planned.ttl, rdata(record));
    }
    out
}

fn rdata(record: &RecordReport) -> String {
    let data = match (&record.replace, &record.planned.expected) {
        (Some(merged), Expected::Spf { .. }) => RecordData::Txt(TxtData::from_text(merged)),
        (_, expected) => expected.data(),
    };
    match &data {
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            format!("{}\t{}", data.record_type(), name.absolute())
        }
        RecordData::Mx { preference, exchange } => format!("MX\t{preference} {}", exchange.absolute()),
        RecordData::Txt(text) => {
            let strings: Vec<_> = text.strings().map(quoted).collect();
            format!("TXT\t{}", strings.join(" "))
        }
        other => format!("{}\t{other}", other.record_type()),
    }
}

/// A character string of a zone file: octets that are not printable ASCII as `\DDD`.
fn quoted(string: &[u8]) -> String {
    let mut out = String::with_capacity(string.len() + 2);
    out.push('"');
    for &byte in string {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
    out.push('"');
    out
}

/// Text to pass on, as it stands, to whoever runs the domain's DNS.
pub fn text(view: &DomainView) -> String {
    let mut out = format!(
        "Please publish these DNS records, so that mail from {} is signed and accepted.\n\
         Enter \"Host\" where your DNS host adds the zone by itself, else \"Name\".\n",
        view.domain.name.to_unicode()
    );
    for (index, record) in view.report.records.iter().enumerate() {
        let planned = &record.planned;
        let wanted = if planned.required { "" } else { " (recommended)" };
        let _ = write!(out, "\n{}. {}{wanted}\n", index + 1, planned.purpose);
        let mut field = |label: &str, content: &str| {
            let content = explain::shown::paste(content);
            let _ = writeln!(out, "   {label:<9}{content}");
        };
        field("Type", &record.record_type().to_string());
        field("Host", &record.host());
        field("Name", planned.owner.as_str());
        if record.replace.is_some() {
            for current in &record.current {
                field("Current", current);
            }
            field("New", &record.value());
        } else {
            field("Value", &record.value());
        }
        if let Some(preference) = planned.expected.preference() {
            field("Priority", &preference.to_string());
        }
        field("TTL", &planned.ttl.to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::diagnosis::{Plan, PlannedRecord, Report};
    use model::{DomainName, Purpose, Timestamp};

    fn record(expected: Expected, replace: Option<&str>) -> RecordReport {
        let planned = PlannedRecord {
            key: "x".into(),
            purpose: Purpose::Spf,
            owner: DomainName::parse("mail.acme.test").unwrap(),
            ttl: 3600,
            required: true,
            expected,
            explanation: String::new(),
        };
        let plan = Plan::new(planned.owner.clone(), "x", vec![planned]);
        let mut record = Report::unchecked(&plan, Timestamp::UNIX_EPOCH).records.remove(0);
        record.replace = replace.map(str::to_owned);
        record
    }

    #[test]
    fn zone_lines_are_what_a_name_server_reads() {
        let name = |text: &str| DomainName::parse(text).unwrap();
        let cname = Expected::Cname { target: name("a.dkim.send.test"), dkim_key: None };
        assert_eq!(rdata(&record(cname, None)), "CNAME\ta.dkim.send.test.");
        let mx = Expected::Mx { preference: 10, exchange: name("mx.send.test"), beside: Vec::new() };
        assert_eq!(rdata(&record(mx, None)), "MX\t10 mx.send.test.");
        let spf = Expected::Spf { rules: Some("include:spf.send.test".into()) };
        assert_eq!(rdata(&record(spf.clone(), None)), "TXT\t\"v=spf1 include:spf.send.test ~all\"");
        assert_eq!(
            rdata(&record(spf, Some("v=spf1 a include:spf.send.test -all"))),
            "TXT\t\"v=spf1 a include:spf.send.test -all\""
        );
        let long =
            Expected::Txt { value: "k".repeat(300), conflict: app::diagnosis::profile::TxtConflict::None };
        assert_eq!(rdata(&record(long, None)).matches('"').count(), 4);
        assert_eq!(quoted(b"a\"b\\c\n;"), "\"a\\\"b\\\\c\\010;\"");
    }

    #[test]
    fn csv_fields_survive_spreadsheets() {
        assert_eq!(csv_field("a,b"), "\"a,b\"");
        assert_eq!(csv_field("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(csv_field("=1+1"), "'=1+1");
        assert_eq!(csv_field("v=spf1 -all"), "v=spf1 -all");
    }
}
