//! The records table: every planned record as it is to be entered, and what was seen of it.

use crate::{domains::encoded, pill::Pill};
use app::diagnosis::{RecordReport, Report, Seen, observation::Server};
use explain::{Host, shown};
use jiff::Timestamp;
use model::{Purpose, RecordStatus, ZoneId};

/// How many values at a name, and servers asked about it, are shown.
const MOST: usize = 8;

/// A planned record.
pub(crate) struct RecordRow {
    pub key: String,
    pub purpose: &'static str,
    pub record_type: String,
    /// What goes into the name field; empty when the field stays empty.
    pub host: String,
    pub name: String,
    pub value: String,
    pub ttl: u32,
    pub priority: Option<u16>,
    pub required: bool,
    pub status: Pill,
    pub done: bool,
    /// Values that are replaced.
    pub current: Vec<String>,
    pub seen: Option<String>,
    pub servers: Vec<ServerRow>,
    pub explanation: String,
    /// The playground's form, filled in.
    pub enter: Option<String>,
}

/// One server and what it said.
pub(crate) struct ServerRow {
    pub who: String,
    pub kind: &'static str,
    pub said: &'static str,
    pub ttl: Option<u32>,
}

/// The rows, in the plan's order.
pub(crate) fn rows(report: &Report, host: &Host, zone_id: Option<ZoneId>, now: Timestamp) -> Vec<RecordRow> {
    report.records.iter().map(|record| row(record, report, host, zone_id, now)).collect()
}

fn row(
    record: &RecordReport,
    report: &Report,
    host: &Host,
    zone_id: Option<ZoneId>,
    now: Timestamp,
) -> RecordRow {
    let planned = &record.planned;
    let zone = record
        .zone
        .clone()
        .or_else(|| report.zone.clone())
        .or_else(|| model::registrable_domain(&planned.owner));
    let field = zone.map_or_else(|| planned.owner.to_string(), |zone| host.field(&planned.owner, &zone));
    let record_type = record.record_type();
    let value = shown::paste(&host.typed(record_type, &record.value()));
    let priority = planned.expected.preference();
    let ttl = host.ttl(Some(planned.ttl));
    let done = record.status == RecordStatus::Verified;
    // Where something else is there it has to be edited, not added to.
    let is_absent =
        matches!(record.status, RecordStatus::Missing | RecordStatus::Unknown) && record.replace.is_none();
    // A record that has all that is wanted of it stays as it is.
    let current = match &record.replace {
        Some(new) if record.current.as_slice() != std::slice::from_ref(new) => {
            record.current.iter().take(MOST).map(|value| shown::line(value, shown::ON_LINE)).collect()
        }
        _ => Vec::new(),
    };
    let enter = zone_id.filter(|_| is_absent).map(|zone| {
        let priority = priority.map_or_else(String::new, |priority| format!("&priority={priority}"));
        format!(
            "/playground/zones/{zone}?host={}&record_type={record_type}&value={}&ttl={ttl}{priority}#add",
            encoded(&field),
            encoded(&value)
        )
    });
    RecordRow {
        key: planned.key.clone(),
        purpose: purpose(planned.purpose),
        record_type: record_type.to_string(),
        host: field,
        name: planned.owner.to_string(),
        value,
        ttl,
        priority,
        required: planned.required,
        status: record.status.into(),
        done,
        current,
        seen: explain::view::seen_line(&record.seen).map(|line| crate::page::sentence(&line)),
        servers: record.seen.iter().take(2 * MOST).map(server).collect(),
        explanation: explain::record_explanation(record, report, now),
        enter,
    }
}

pub(crate) const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Dkim => "DKIM key",
        Purpose::Spf => "SPF",
        Purpose::ReturnPath => "Return path",
        Purpose::Dmarc => "DMARC policy",
        Purpose::Inbound => "Incoming mail",
        Purpose::Delegation => "Delegation",
        Purpose::Tracking => "Tracking",
        Purpose::Ownership => "Proof of ownership",
        Purpose::Other => "Other",
    }
}

fn server(seen: &Seen) -> ServerRow {
    let (who, kind) = match &seen.server {
        Server::Authority { name, address, .. } => (format!("{name} ({address})"), "name server"),
        Server::Resolver { address } => (address.to_string(), "resolver"),
    };
    let said = match seen.right {
        Some(true) => "has the right record",
        Some(false) => "does not have it",
        None => "gave no clear answer",
    };
    ServerRow { who: shown::line(&who, shown::IN_SENTENCE), kind, said, ttl: seen.right.map(|_| seen.ttl) }
}
