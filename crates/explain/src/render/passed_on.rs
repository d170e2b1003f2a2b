//! A domain's records as text to pass on to whoever runs its DNS.

use crate::shown;
use diagnosis::Report;
use model::DomainName;
use std::fmt::Write;

/// Text to pass on, as it stands, to whoever runs the domain's DNS.
pub fn to_pass_on(name: &DomainName, report: &Report) -> String {
    let mut out = format!(
        "Please publish these DNS records, so that mail from {} is signed and accepted.\n\
         Enter \"Host\" where your DNS host adds the zone by itself, else \"Name\".\n",
        name.to_unicode()
    );
    for (index, record) in report.records.iter().enumerate() {
        let planned = &record.planned;
        let wanted = if planned.required { "" } else { " (recommended)" };
        let _ = write!(out, "\n{}. {}{wanted}\n", index + 1, planned.purpose);
        let mut field = |label: &str, content: &str| {
            let content = shown::paste(content);
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
