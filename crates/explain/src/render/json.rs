//! Reports for programs: the same shape in API and CLI.

use super::outline::headline;
use crate::{verdict, view};
use diagnosis::{Expected, Observation, Plan, RecordReport, Report};
use model::{CheckStatus, Purpose, Timestamp};
use serde_json::{Value, json};

/// The report as JSON: statuses, records, findings with their words, and the DNS host. The fields are documented, one
/// by one, in `docs/report.md`; they are only ever added to.
///
/// Observed values are kept as they are: JSON escapes control characters, and programs compare.
pub fn json(report: &Report, now: Timestamp) -> Value {
    let findings: Vec<_> =
        report.findings.iter().map(|finding| view::finding_view(finding, report, now)).collect();
    let records: Vec<Value> = report.records.iter().map(|item| record(item, report, now)).collect();
    json!({
        "domain": report.domain,
        "unicode": report.domain.to_unicode(),
        "profile": report.profile,
        "checked_at": report.checked_at,
        "verdict": report.verdict,
        "summary": headline(report),
        "meaning": verdict::meaning(report),
        "spf_status": status(report, Purpose::Spf, report.spf_status),
        "dkim_status": status(report, Purpose::Dkim, report.dkim_status),
        "dmarc_status": status(report, Purpose::Dmarc, report.dmarc_status),
        "return_path_status": status(report, Purpose::ReturnPath, report.return_path_status),
        "not_checked": view::not_checked(report),
        "tried_selectors": report.tried_selectors,
        "zone": report.zone,
        "name_servers": report.name_servers,
        "dns_host": view::dns_host(report),
        "domain_connect": report.domain_connect,
        "records": records,
        "findings": findings,
        "mail": report.mail,
        "visible_everywhere_by": report.visible_everywhere_by,
        "questions_asked": report.questions_asked,
    })
}

/// The same as of the time of the check, and beside it what the report was made of, so that it can be made again
/// (`countersign explain`): `plan` says what should be there, `observation` holds every question and its raw answer.
pub fn report_file(report: &Report, plan: &Plan, observation: &Observation) -> Value {
    let mut value = json(report, report.checked_at);
    if let Value::Object(fields) = &mut value {
        // What is made of derived types always serialises.
        let mut insert = |name: &str, part: Result<Value, _>| {
            fields.insert(name.to_owned(), part.unwrap_or_default());
        };
        insert("plan", serde_json::to_value(plan));
        insert("observation", serde_json::to_value(observation));
        insert("started_at", serde_json::to_value(report.started_at));
    }
    value
}

/// The status of a mechanism; none where the plan has no record for it, for nothing is missing then.
pub(super) fn status(report: &Report, purpose: Purpose, status: CheckStatus) -> Option<CheckStatus> {
    let is_planned = report.all().filter(|record| !report.is_stray_key(record)).any(|record| {
        let planned = &record.planned;
        planned.purpose == purpose
            || (purpose == Purpose::Spf && matches!(planned.expected, Expected::Spf { .. }))
    });
    is_planned.then_some(status)
}

fn record(record: &RecordReport, report: &Report, now: Timestamp) -> Value {
    let planned = &record.planned;
    json!({
        "key": planned.key,
        "purpose": planned.purpose,
        "type": record.record_type(),
        "name": planned.owner,
        "host": record.host(),
        "zone": record.zone,
        "value": planned.expected.value(),
        "priority": planned.expected.preference(),
        "ttl": planned.ttl,
        "required": planned.required,
        "status": record.status,
        "explanation": view::record_explanation(record, report, now),
        "current": record.current,
        "replace": record.replace,
        "findings": record.findings,
        "seen": record.seen,
        "propagation": record.propagation,
    })
}
