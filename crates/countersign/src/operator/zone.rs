//! Our own zone, judged as any customer's domain is, by the same engine: what resolvers find of it.

use app::{
    Settings,
    operator_health::{HealthItem, HealthState, SUB_ZONE_SERVER},
};
use diagnosis::{Report, finding::Defect};
use model::{RecordStatus, Severity, Timestamp};

/// Whether our zone is delegated to us, its records are found, and the servers that send have names.
pub fn judge(report: &Report, settings: &Settings, now: Timestamp) -> Vec<HealthItem> {
    let mut items: Vec<HealthItem> = ["spf_include", "bounces", SUB_ZONE_SERVER]
        .into_iter()
        .filter_map(|key| record(report, settings, key))
        .collect();
    let is_told_apart = |defect: &Defect| matches!(defect, Defect::SenderPtrMissing { .. });
    for finding in &report.findings {
        // What is wrong with a record is told with the record, in words that fit our own zone.
        if finding.severity == Severity::Info || (finding.record.is_some() && !is_told_apart(&finding.defect))
        {
            continue;
        }
        let state = if finding.severity == Severity::Error { HealthState::Fail } else { HealthState::Warn };
        let view = explain::finding_view(finding, report, now);
        let code = if is_told_apart(&finding.defect) { "ptr" } else { finding.code() };
        items.push(HealthItem::not_ok(code, state, view.title, view.steps.join(" ")));
    }
    if !settings.visible_senders().is_empty() && !items.iter().any(|item| item.code == "ptr") {
        items.push(HealthItem::ok(
            "ptr",
            "each address that mail leaves from has a name that leads back to it",
        ));
    }
    items
}

fn record(report: &Report, settings: &Settings, key: &str) -> Option<HealthItem> {
    let record = report.records.iter().find(|record| record.planned.key == key)?;
    let (owner, zone) = (&record.planned.owner, &settings.platform_zone);
    let value = record.planned.expected.value();
    Some(match record.status {
        RecordStatus::Verified => HealthItem::ok(key, format!("resolvers find it at {owner}: {value}")),
        RecordStatus::Unknown => HealthItem::not_ok(
            key,
            HealthState::Unknown,
            format!("no resolver gave a clear answer for {owner}"),
            "Look whether the resolvers of the configuration can be reached from here; it is looked for again by itself.",
        ),
        _ => HealthItem::not_ok(
            key,
            HealthState::Fail,
            not_found(&record.current, owner.as_str()),
            delegate(settings, zone.as_str()),
        ),
    })
}

fn not_found(current: &[String], owner: &str) -> String {
    if current.is_empty() {
        return format!("resolvers find nothing at {owner}");
    }
    format!("resolvers find something else at {owner}: {}", current.join(", "))
}

/// The records that make our zone ours, to be entered one zone above.
fn delegate(settings: &Settings, zone: &str) -> String {
    let mut records: Vec<String> =
        settings.name_servers.iter().map(|server| format!("{zone} NS {}", server.name)).collect();
    for server in
        settings.name_servers.iter().filter(|server| server.name.is_at_or_below(&settings.platform_zone))
    {
        records.extend(server.addresses.iter().map(|address| {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            format!("{} {kind} {address}", server.name)
        }));
    }
    format!(
        "Delegate {zone} to this server, at the DNS host of the zone above: {}. Customers' records lead \
         there: until it is delegated none of them can be verified, and their mail fails.",
        records.join("; ")
    )
}
