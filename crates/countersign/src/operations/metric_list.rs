//! Every metric there is, each with what it says: the help of `/metrics`, and the table of `docs/OPERATING.md`, which a
//! test compares with it.
//!
//! Labels have few values, and none of them is chosen by strangers: no domain, no address, no path. Counters whose values
//! are known begin at 0, so that the first time something happens is seen as a change.

use diagnosis::finding::Defect;
use model::{DomainStatus, Verdict};
use store::{DeliveryState, WebhookDeliveryState};

/// What kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often something took how long.
    Histogram,
}

/// The labels of a metric.
#[derive(Debug, Clone, Copy)]
pub enum Labels {
    /// None.
    None,
    /// One, with these values.
    Of(&'static str, fn() -> Vec<&'static str>),
    /// These, with values that are known when they are seen.
    Seen(&'static [&'static str]),
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// Its labels.
    pub labels: Labels,
    /// What it says.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

fn verdicts() -> Vec<&'static str> {
    Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect()
}

fn statuses() -> Vec<&'static str> {
    DomainStatus::ALL.iter().map(|status| status.as_str()).collect()
}

/// What an attempt can come to; nothing goes back to where it was before the first one.
fn delivery_states() -> Vec<&'static str> {
    let after = DeliveryState::ALL.iter().filter(|state| **state != DeliveryState::Queued);
    after.map(|state| state.as_str()).collect()
}

fn webhook_states() -> Vec<&'static str> {
    WebhookDeliveryState::ALL.iter().map(|state| state.as_str()).collect()
}

fn swept() -> Vec<&'static str> {
    vec!["events", "webhook_deliveries", "audit"]
}

/// Every code that a check of a domain can find.
fn finding_codes() -> Vec<&'static str> {
    Defect::CODES.to_vec()
}

/// Every metric, in the order of `docs/OPERATING.md`.
pub const METRICS: &[Metric] = &[
    gauge(
        "countersign_health",
        Labels::Seen(&["code"]),
        "How the platform is: 0 in order, 1 not seen, 2 look, 3 fix",
    ),
    gauge("countersign_queue_deliveries", Labels::None, "Deliveries that wait"),
    gauge("countersign_queue_oldest_seconds_now", Labels::None, "How long the oldest delivery waits"),
    gauge("countersign_domains", Labels::Of("status", statuses), "Domains of all organisations"),
    counter("countersign_checks_total", Labels::Of("verdict", verdicts), "Checks of sender domains"),
    counter(
        "countersign_findings_total",
        Labels::Of("code", finding_codes),
        "What checks of sender domains found",
    ),
    counter(
        "countersign_checks_deferred_total",
        Labels::None,
        "Late checks that were moved to their next time",
    ),
    gauge(
        "countersign_demotions_held",
        Labels::None,
        "1 while no domain is taken down since the fault may be ours",
    ),
    counter("countersign_claim_looks_total", Labels::Seen(&["found"]), "Looks for the records of claims"),
    counter("countersign_domain_changes_total", Labels::Seen(&["event"]), "Changes of domains' statuses"),
    counter("countersign_keys_rotated_total", Labels::None, "Keys that began to sign"),
    counter("countersign_domains_paused_total", Labels::None, "Domains whose sending was paused"),
    counter("countersign_alerts_total", Labels::Seen(&["event"]), "Alerts to contacts of domains"),
    counter("countersign_emails_accepted_total", Labels::None, "Messages that were accepted"),
    counter(
        "countersign_delivery_attempts_total",
        Labels::Of("state", delivery_states),
        "Attempts to deliver, by what the delivery came to",
    ),
    counter("countersign_notices_total", Labels::None, "Messages of the platform itself"),
    counter("countersign_messages_received_total", Labels::None, "Messages that arrived by SMTP"),
    counter(
        "countersign_webhook_attempts_total",
        Labels::Of("state", webhook_states),
        "Attempts at webhooks, by what the delivery came to",
    ),
    gauge("countersign_clock_skew_seconds", Labels::None, "How far this node's clock is from the database's"),
    gauge("countersign_key_pool_keys", Labels::None, "DKIM keys that are made in advance"),
    Metric {
        name: "countersign_http_request_seconds",
        kind: Kind::Histogram,
        labels: Labels::Seen(&["route", "method"]),
        help: "How long requests to the API took",
    },
    counter(
        "countersign_http_requests_total",
        Labels::Seen(&["route", "method", "status"]),
        "Requests to the API",
    ),
    counter("countersign_connections_refused_total", Labels::None, "Connections that were one too many"),
    counter(
        "countersign_free_checks_total",
        Labels::Of("verdict", verdicts),
        "Checks of any domain, by the API and the public page",
    ),
    counter("countersign_free_checks_refused_total", Labels::None, "Checks of any domain that were too many"),
    counter(
        "countersign_logins_refused_total",
        Labels::None,
        "Logins with a wrong password, or a wrong second factor",
    ),
    counter(
        "countersign_swept_total",
        Labels::Of("what", swept),
        "Rows that were deleted, since they were kept long enough",
    ),
    counter("countersign_spans_sent_total", Labels::None, "Spans that the collector took"),
    counter(
        "countersign_spans_dropped_total",
        Labels::Of("reason", || vec!["queue_full", "not_taken", "refused", "stopped"]),
        "Spans that the collector did not get, or did not want",
    ),
    counter("countersign_task_panics_total", Labels::None, "Parts of the program that failed and began anew"),
];

/// Says what each metric is, and begins the counters whose labels are known.
pub fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
        match (metric.kind, metric.labels) {
            (Kind::Counter, Labels::None) => metrics::counter!(metric.name).increment(0),
            (Kind::Counter, Labels::Of(label, values)) => {
                for value in values() {
                    metrics::counter!(metric.name, label => value).increment(0);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// A metric as the table has it: its name, and its labels in braces.
    fn in_words(metric: &Metric) -> String {
        let labels = match metric.labels {
            Labels::None => return metric.name.to_owned(),
            Labels::Of(label, _) => label.to_owned(),
            Labels::Seen(labels) => labels.join(","),
        };
        format!("{}{{{labels}}}", metric.name)
    }

    #[test]
    fn the_table_for_operators_has_every_metric_with_its_labels_and_no_other() {
        let page = fs::read_to_string(root().join("docs/OPERATING.md")).unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| `countersign_"));
        let told: Vec<String> = rows
            .flat_map(|row| {
                let names = row.trim_start_matches("| ").split(" |").next().unwrap();
                names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>()
            })
            .collect();
        let there: Vec<String> = METRICS.iter().map(in_words).collect();
        assert_eq!(told, there);
    }

    /// The names that the code counts by, with their labels.
    fn counted(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                counted(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                for kind in ["counter", "gauge", "histogram"] {
                    for part in text.split(&format!("metrics::{kind}!(\"")).skip(1) {
                        let name = part.split('"').next().unwrap();
                        let ends = [".increment(", ".set(", ".record("];
                        let end = ends.iter().filter_map(|end| part.find(end)).min().unwrap();
                        let mut before: Vec<&str> = part[..end].split(" => ").collect();
                        before.pop();
                        let labels: Vec<&str> =
                            before.iter().map(|text| text.rsplit('"').nth(1).unwrap()).collect();
                        let labels = labels.join(",");
                        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
                        found.insert(format!("{name}{labels}"));
                    }
                }
            }
        }
    }

    #[test]
    fn every_metric_that_the_code_counts_is_in_the_list_and_every_one_of_the_list_is_counted() {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(root().join("crates")).unwrap() {
            let sources = entry.unwrap().path().join("src");
            if sources.is_dir() {
                counted(&sources, &mut found);
            }
        }
        let there: BTreeSet<String> = METRICS.iter().map(in_words).collect();
        assert_eq!(found, there);
    }
}
