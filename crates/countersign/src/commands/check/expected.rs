//! The records that a domain is expected to have, from a file.
//!
//! Three forms are read: a domain as the API shows it (`GET /api/v1/domains/{id}`), the report of an earlier check
//! (`--format json`), and a plan alone. In the first, records are told as they are published, and which key has to be
//! behind an alias is not: then any valid key is right.

use crate::{
    commands::input,
    report_file::{MAX_BYTES, without_place},
};
use diagnosis::{
    Plan,
    plan::{PublishedRecord, from_records},
};
use model::{DomainName, Purpose, RecordType};
use serde::{Deserialize, de::DeserializeOwned};
use std::path::Path;

/// How many records a file may have.
const MAX_RECORDS: usize = 200;

/// What tells the forms apart.
#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    plan: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    data: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    status: Option<serde_json::Value>,
    #[serde(default)]
    code: Option<serde_json::Value>,
    #[serde(default)]
    title: Option<serde_json::Value>,
    #[serde(default)]
    detail: Option<serde_json::Value>,
    #[serde(default)]
    records: Vec<FormRecord>,
}

impl Form {
    /// What the API said in place of a domain (`application/problem+json`, RFC 9457).
    fn problem(&self) -> Option<String> {
        let status = self.status.as_ref()?.as_u64()?;
        self.code.as_ref()?.as_str()?;
        let title = self.title.as_ref()?.as_str()?.trim_end_matches('.');
        let detail = self.detail.as_ref().and_then(|detail| detail.as_str());
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        Some(format!("the API answered with an error, not with a domain ({status}): {title}{detail}"))
    }
}

#[derive(Deserialize)]
struct FormRecord {
    #[serde(default)]
    expected: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ReportForm {
    plan: Plan,
}

#[derive(Deserialize)]
struct ShownDomain {
    domain: DomainName,
    #[serde(default)]
    profile: Option<String>,
    records: Vec<ShownRecord>,
}

#[derive(Deserialize)]
struct ShownRecord {
    #[serde(default)]
    purpose: Option<Purpose>,
    #[serde(rename = "type")]
    record_type: RecordType,
    name: DomainName,
    value: String,
    #[serde(default)]
    priority: Option<u16>,
    #[serde(default)]
    ttl: Option<u32>,
    #[serde(default)]
    required: Option<bool>,
}

/// Reads a file, or standard input where the path is `-`.
pub fn read(path: &Path) -> Result<Plan, String> {
    let (name, bytes) = input::read(path, MAX_BYTES)?;
    parse(&bytes).map_err(|problem| format!("{name}: {problem}"))
}

fn parse(bytes: &[u8]) -> Result<Plan, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(
            "it is no JSON object; give a domain as the API shows it, or an earlier report".to_owned()
        );
    }
    let form: Form = of(bytes)?;
    if let Some(problem) = form.problem() {
        return Err(problem);
    }
    let is_plan = form.records.first().is_some_and(|record| record.expected.is_some());
    let plan = match form {
        Form { plan: Some(_), .. } => of::<ReportForm>(bytes)?.plan,
        _ if is_plan => of::<Plan>(bytes)?,
        Form { data: Some(_), records, .. } if records.is_empty() => {
            return Err(
                "it is a list; give one domain of it, as GET /api/v1/domains/{id} shows it".to_owned()
            );
        }
        _ => shown(of(bytes)?)?,
    };
    if plan.records.len() > MAX_RECORDS {
        return Err(format!("it has {} records, and {MAX_RECORDS} are allowed", plan.records.len()));
    }
    if plan.records.is_empty() {
        return Err("it has no records".to_owned());
    }
    Ok(plan)
}

/// Reads a value, or says where it is wrong.
fn of<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." || !error.inner().is_data() { String::new() } else { format!("{path}: ") };
        let inner = error.inner();
        format!("line {}, column {}: {at}{}", inner.line(), inner.column(), without_place(inner))
    })?;
    reader.end().map_err(|error| {
        format!("line {}, column {}: {}", error.line(), error.column(), without_place(&error))
    })?;
    Ok(value)
}

fn shown(domain: ShownDomain) -> Result<Plan, String> {
    const DEFAULT_TTL: u32 = 3600;
    let records: Vec<PublishedRecord> = domain
        .records
        .into_iter()
        .take(MAX_RECORDS + 1)
        .map(|record| PublishedRecord {
            purpose: record.purpose,
            record_type: record.record_type,
            owner: record.name,
            value: record.value,
            preference: record.priority,
            ttl: record.ttl.unwrap_or(DEFAULT_TTL),
            required: record.required.unwrap_or(true),
        })
        .collect();
    let profile = domain.profile.as_deref().unwrap_or("expected");
    from_records(&domain.domain, profile, &records)
        .map_err(|(index, problem)| format!("records[{index}]: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        let shown = r#"{"object":"domain","domain":"acme.test","profile":"two-txt","records":[
            {"id":"rec_1","purpose":"spf","type":"TXT","name":"acme.test","value":"v=spf1 include:spf.x.test ~all",
             "priority":null,"ttl":3600,"required":true,"status":"missing"}]}"#;
        let plan = parse(shown.as_bytes()).unwrap();
        assert_eq!((plan.records.len(), plan.profile.as_str()), (1, "two-txt"));
        let alone = serde_json::to_string(&plan).unwrap();
        assert_eq!(parse(alone.as_bytes()).as_ref(), Ok(&plan));
        let report = format!("{{\"domain\":\"acme.test\",\"records\":[],\"plan\":{alone}}}");
        assert_eq!(parse(report.as_bytes()).as_ref(), Ok(&plan));
    }

    #[test]
    fn what_cannot_be_expected_is_told_with_its_place() {
        for (text, words) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{\n \"domain\": 7, \"records\": []}", "line 2, column 12: domain: invalid type"),
            (r#"{"object":"list","data":[]}"#, "it is a list"),
            (r#"{"domain":"a.test","records":[]}"#, "no records"),
            (
                r#"{"type":"https://docs/errors/unauthorized","title":"Key is wrong.","status":401,"code":"unauthorized","detail":"Give a key."}"#,
                "an error, not with a domain (401): Key is wrong: Give a key.",
            ),
            (r#"{"domain":"a.test"}"#, "missing field `records`"),
            (
                r#"{"domain":"a.test","records":[{"type":"A","name":"a.test","value":"x"}]}"#,
                "records[0]: \"x\"",
            ),
            (r#"{"plan":{"domain":"a.test"}}"#, "plan: missing field `profile`"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
