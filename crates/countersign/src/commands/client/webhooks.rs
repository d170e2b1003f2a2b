//! `countersign webhooks`: addresses that are told what happens, and what became of it.

use super::{
    Failure, Outcome, PAUSE, PageArgs, ServerArgs, ended, field, find,
    http::{Client, step},
    items, shown,
    table::{facts, table},
    tenant::{self, NewTenantArgs},
    time,
    when::{Moment, duration},
};
use crate::commands::Exit;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What to do with webhooks.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum WebhooksCommand {
    /// List webhooks, newest first
    #[command(after_help = "Example:\n  countersign webhooks list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make a webhook; its secret is shown this once
    #[command(
        after_help = "Examples:\n  countersign webhooks create https://example.com/hook\n  countersign webhooks create https://example.com/hook --event 'domain.*' --event email.bounced --description shop"
    )]
    Create {
        /// Where events are sent: an address that begins with https://
        #[arg(value_name = "URL")]
        target: String,
        /// Which type of event, such as domain.verified or 'domain.*'; may be given several times; all without
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        /// Whether the tenant may be a new one
        #[command(flatten)]
        new_tenant: NewTenantArgs,
    },
    /// Show a webhook
    #[command(after_help = "Example:\n  countersign webhooks show whk_01JD0000000000000000000000")]
    Show {
        /// Its id
        id: String,
    },
    /// Change a webhook, disable it, or enable it again
    #[command(
        after_help = "Examples:\n  countersign webhooks update whk_01JD0000000000000000000000 --new-url https://example.com/new\n  countersign webhooks update whk_01JD0000000000000000000000 --enable"
    )]
    Update {
        /// Its id
        id: String,
        /// What to change
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Delete a webhook; what waits for it is given up
    #[command(after_help = "Example:\n  countersign webhooks delete whk_01JD0000000000000000000000 --yes")]
    Delete {
        /// Its id
        id: String,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Give a webhook a new secret, shown this once
    #[command(
        after_help = "Example:\n  countersign webhooks rotate-secret whk_01JD0000000000000000000000 --overlap 2h"
    )]
    RotateSecret {
        /// Its id
        id: String,
        /// How long requests are signed with the old secret too: 0s, 90s, 20m, 2h or 3d
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = duration)]
        overlap: Duration,
    },
    /// Send a webhook an event of the type webhook.test now; exit code 0 when it was taken
    #[command(after_help = "Example:\n  countersign webhooks test whk_01JD0000000000000000000000")]
    Test {
        /// Its id
        id: String,
    },
    /// List what was and is to be delivered to a webhook, newest first
    #[command(
        after_help = "Examples:\n  countersign webhooks deliveries whk_01JD0000000000000000000000\n  countersign webhooks deliveries whk_01JD0000000000000000000000 --state failed"
    )]
    Deliveries {
        /// The webhook's id
        id: String,
        /// Only those in this state: waiting, delivered or failed
        #[arg(long)]
        state: Option<String>,
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a delivery, and what each attempt came to
    #[command(
        after_help = "Examples:\n  countersign webhooks delivery whd_01JD0000000000000000000000\n  countersign webhooks delivery whd_01JD0000000000000000000000 --watch --deadline 5m"
    )]
    Delivery {
        /// Its id
        id: String,
        /// Whether to wait
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Deliver again: one delivery, or all that a webhook did not take since a time
    #[command(
        after_help = "Examples:\n  countersign webhooks replay whd_01JD0000000000000000000000 --watch\n  countersign webhooks replay whk_01JD0000000000000000000000 --since 2h\n  countersign webhooks replay whk_01JD0000000000000000000000 --since 2027-01-31 --delivered-too"
    )]
    Replay {
        /// The id of a delivery (whd_...) or of a webhook (whk_...)
        id: String,
        /// Of a webhook: events from then on: 2027-01-31, 2027-01-31T12:00:00Z, or 2h ago
        #[arg(long, value_name = "TIME", value_parser = Moment::gone)]
        since: Option<Moment>,
        /// Of a webhook: also those that it took
        #[arg(long, requires = "since")]
        delivered_too: bool,
        /// Of a webhook: go on where the command before ended, as it said
        #[arg(long, requires = "since", value_name = "CURSOR")]
        after: Option<String>,
        /// Of a delivery: whether to wait
        #[command(flatten)]
        watch: WatchArgs,
    },
}

/// What to change of a webhook.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = true)]
pub struct ChangeArgs {
    /// Where events are sent
    #[arg(long = "new-url", value_name = "URL")]
    target: Option<String>,
    /// Only this type of event; may be given several times
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// All types of events
    #[arg(long, conflicts_with = "events")]
    all_events: bool,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Deliver to it again; `replay` fetches up on what it missed
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Deliver nothing to it; what waits for it is given up
    #[arg(long)]
    disable: bool,
}

/// Whether to wait until a delivery is taken or given up.
#[derive(Debug, Clone, clap::Args)]
pub struct WatchArgs {
    /// Wait until it is taken or given up
    #[arg(long)]
    watch: bool,
    /// Wait no longer than this: 90s, 20m or 2h; for ever without
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "watch")]
    deadline: Option<Duration>,
}

impl ChangeArgs {
    fn body(&self) -> Value {
        let mut body = json!({});
        if let Some(target) = &self.target {
            body["url"] = json!(target);
        }
        if self.all_events || !self.events.is_empty() {
            body["event_types"] = json!(self.events);
        }
        if let Some(description) = &self.description {
            body["description"] = json!(description);
        }
        if self.enable || self.disable {
            body["enabled"] = json!(self.enable);
        }
        body
    }
}

/// `countersign webhooks`.
pub async fn run(server: &ServerArgs, command: &WebhooksCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &WebhooksCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        WebhooksCommand::List { page } => {
            let list = client.list("/webhooks", &[], page).await?;
            let ids = if server.json { BTreeSet::new() } else { tenants_of(&list) };
            let tenants = find::names(&client, "tenants", "ref", ids).await;
            Ok(shown(server, &list, |list| of_list(list, &tenants)))
        }
        WebhooksCommand::Create { target, events, description, new_tenant } => {
            tenant::check(server, &client, new_tenant).await?;
            let mut body = json!({"url": target, "event_types": events});
            if let Some(description) = description {
                body["description"] = json!(description);
            }
            let made = client.post("/webhooks", &body).await?;
            Ok(shown(server, &made, with_secret))
        }
        WebhooksCommand::Show { id } => Ok(shown(server, &client.get(&path(id)).await?, of_one)),
        WebhooksCommand::Update { id, change } => {
            Ok(shown(server, &client.patch(&path(id), &change.body()).await?, of_one))
        }
        WebhooksCommand::Delete { id, yes } => {
            if !yes {
                return Err(Failure::Usage(
                    "what waits for the webhook is given up; add --yes to delete it".to_owned(),
                ));
            }
            Ok(shown(server, &client.delete(&path(id)).await?, |_| "Deleted.".to_owned()))
        }
        WebhooksCommand::RotateSecret { id, overlap } => {
            let body = json!({"overlap_seconds": overlap.as_secs()});
            let rotated = client.post(&format!("{}/rotate", path(id)), &body).await?;
            Ok(shown(server, &rotated, with_secret))
        }
        WebhooksCommand::Test { id } => {
            let result = client.post(&format!("{}/test", path(id)), &json!({})).await?;
            let is_good = result["delivered"] == true;
            Ok(match shown(server, &result, of_test) {
                Exit::Good if !is_good => Exit::Problems,
                exit => exit,
            })
        }
        WebhooksCommand::Deliveries { id, state, page } => {
            let query: Vec<_> = state.iter().map(|state| ("state", state.as_str())).collect();
            let list = client.list(&format!("{}/deliveries", path(id)), &query, page).await?;
            Ok(shown(server, &list, of_deliveries))
        }
        WebhooksCommand::Delivery { id, watch } => delivery(server, &client, id, watch).await,
        WebhooksCommand::Replay { id, since, delivered_too, after, watch } => {
            let which = Which { since: *since, delivered_too: *delivered_too, after: after.as_deref() };
            replay(server, &client, id, which, watch).await
        }
    }
}

fn path(id: &str) -> String {
    format!("/webhooks/{}", step(id))
}

/// Which events are delivered again.
struct Which<'a> {
    since: Option<Moment>,
    delivered_too: bool,
    after: Option<&'a str>,
}

async fn replay(
    server: &ServerArgs,
    client: &Client,
    id: &str,
    Which { since, delivered_too, after }: Which<'_>,
    watch: &WatchArgs,
) -> Outcome {
    if id.starts_with("whd_") {
        if since.is_some() {
            return Err(Failure::Usage(
                "--since is for a webhook (whk_...), this is one delivery".to_owned(),
            ));
        }
        client.post(&format!("/webhook-deliveries/{}/replay", step(id)), &json!({})).await?;
        return delivery(server, client, id, watch).await;
    }
    let Some(since) = since else {
        return Err(Failure::Usage("say from when on: --since 2h, or --since 2027-01-31".to_owned()));
    };
    if watch.watch {
        return Err(Failure::Usage(
            "--watch is for one delivery (whd_...); `countersign webhooks deliveries` shows how these go"
                .to_owned(),
        ));
    }
    let since = since.before(super::now());
    let body = json!({"since": since, "delivered_too": delivered_too, "after": after});
    let begun = client.post(&format!("{}/replay", path(id)), &body).await?;
    Ok(shown(server, &begun, |begun| {
        let mut lines = vec![match begun["count"].as_u64().unwrap_or(0) {
            0 => "Nothing since then was not taken.".to_owned(),
            1 => "1 event is on its way.".to_owned(),
            count => format!("{count} events are on their way."),
        }];
        let from = begun["since"].as_str().unwrap_or_default();
        if from.parse::<Timestamp>().is_ok_and(|from| from > since) {
            lines.push(format!(
                "Only what happened since {from}: what was delivered before is not known any more. --delivered-too \
                 delivers all of it."
            ));
        }
        if let Some(next) = begun["next_cursor"].as_str() {
            let all = if delivered_too { " --delivered-too" } else { "" };
            lines.push(format!(
                "There are more: countersign webhooks replay {id} --since {from}{all} --after {next}"
            ));
        }
        lines.join("\n")
    }))
}

/// Shows a delivery, when it is settled where that is waited for. Exit code 0 when it was taken.
async fn delivery(server: &ServerArgs, client: &Client, id: &str, watch: &WatchArgs) -> Outcome {
    let path = format!("/webhook-deliveries/{}", step(id));
    let started = tokio::time::Instant::now();
    let found = loop {
        let found = client.get(&path).await?;
        let is_over = watch.deadline.is_some_and(|deadline| started.elapsed() >= deadline);
        if !watch.watch || is_over || found["state"] != "waiting" {
            break found;
        }
        tokio::time::sleep(PAUSE).await;
    };
    let exit = match found["state"].as_str() {
        Some("failed") => Exit::Problems,
        Some("waiting") if watch.watch => Exit::Unknown,
        _ => Exit::Good,
    };
    Ok(match shown(server, &found, of_delivery) {
        Exit::Good => exit,
        other => other,
    })
}

/// Which events a webhook is told of.
fn told(webhook: &Value) -> String {
    match webhook["event_types"].as_array().map(Vec::len) {
        Some(0) => "all".to_owned(),
        _ => field(webhook, "event_types"),
    }
}

fn tenants_of(list: &Value) -> BTreeSet<String> {
    items(list).iter().filter_map(|webhook| webhook["tenant_id"].as_str().map(str::to_owned)).collect()
}

/// Of a tenant's webhooks it is said whose they are.
fn of_list(list: &Value, tenants: &BTreeMap<String, String>) -> String {
    let row = |webhook: &Value| {
        let state = match (&webhook["status"], &webhook["failing_since"]) {
            (status, Value::String(_)) if status == "enabled" => {
                format!("failing since {}", time(webhook, "failing_since"))
            }
            _ => field(webhook, "status"),
        };
        [
            field(webhook, "url"),
            told(webhook),
            webhook["tenant_id"].as_str().map_or_else(
                || "all".to_owned(),
                |id| tenants.get(id).cloned().unwrap_or_else(|| id.to_owned()),
            ),
            state,
            time(webhook, "last_delivered_at"),
            field(webhook, "id"),
        ]
    };
    let rows: Vec<_> = items(list).iter().map(row).collect();
    let none = "No webhooks. `countersign webhooks create https://example.com/hook` makes one.";
    table(["URL", "EVENTS", "OF TENANT", "STATUS", "LAST DELIVERED", "ID"], &rows, none)
}

fn of_one(webhook: &Value) -> String {
    let mut lines = vec![
        ("Id", field(webhook, "id")),
        ("URL", field(webhook, "url")),
        ("Events", told(webhook)),
        ("Status", field(webhook, "status")),
    ];
    if webhook["disabled_reason"].is_string() {
        lines.push(("Because", field(webhook, "disabled_reason")));
    }
    if webhook["description"].as_str().is_some_and(|text| !text.is_empty()) {
        lines.push(("For", field(webhook, "description")));
    }
    if webhook["tenant_id"].is_string() {
        lines.push(("Tenant", field(webhook, "tenant_id")));
    }
    lines.push(("Last delivered", time(webhook, "last_delivered_at")));
    for (name, of) in [("Failing since", "failing_since"), ("Old secret until", "old_secret_until")] {
        if webhook[of].is_string() {
            lines.push((name, time(webhook, of)));
        }
    }
    facts(&lines)
}

fn with_secret(webhook: &Value) -> String {
    format!(
        "{}\n\n{}\n\nThis is the secret that requests are signed with. Keep it now: it is not shown again.\n\
         `countersign webhooks test {}` tries it.",
        of_one(webhook),
        field(webhook, "secret"),
        field(webhook, "id")
    )
}

fn of_test(result: &Value) -> String {
    let millis = field(result, "millis");
    let mut text = match (result["delivered"] == true, result["status"].as_u64()) {
        (true, Some(status)) => format!("Taken: it answered {status} after {millis} ms."),
        (_, Some(status)) => format!("Not taken: it answered {status} after {millis} ms."),
        (_, None) => format!("Not taken: {}.", field(result, "error").trim_end_matches('.')),
    };
    let answer = result["answer"].as_str().unwrap_or_default().trim();
    if !answer.is_empty() {
        text = format!("{text}\n\n{answer}");
    }
    text
}

fn of_deliveries(list: &Value) -> String {
    let row = |delivery: &Value| {
        let came_to = match (delivery["last_status"].as_u64(), delivery["last_error"].as_str()) {
            (_, Some(error)) => error.to_owned(),
            (Some(status), None) => status.to_string(),
            (None, None) => "-".to_owned(),
        };
        [
            time(delivery, "created_at"),
            field(delivery, "event_type"),
            field(delivery, "state"),
            field(delivery, "attempts"),
            came_to,
            time(delivery, "next_attempt_at"),
            field(delivery, "id"),
        ]
    };
    let rows: Vec<_> = items(list).iter().map(row).collect();
    table(["SINCE", "EVENT", "STATE", "TRIED", "LAST ANSWER", "NEXT", "ID"], &rows, "No deliveries.")
}

fn of_delivery(delivery: &Value) -> String {
    let lines = [
        ("Id", field(delivery, "id")),
        ("Event", format!("{} {}", field(delivery, "event_type"), field(delivery, "event_id"))),
        ("Webhook", field(delivery, "webhook_id")),
        ("State", field(delivery, "state")),
        ("Next attempt", time(delivery, "next_attempt_at")),
    ];
    let row = |attempt: &Value| {
        [
            field(attempt, "attempt"),
            time(attempt, "at"),
            field(attempt, "status"),
            format!("{} ms", field(attempt, "millis")),
            field(attempt, "error"),
            field(attempt, "answer"),
        ]
    };
    let rows: Vec<_> = delivery["attempt_log"].as_array().into_iter().flatten().map(row).collect();
    let attempts = table(["TRY", "WHEN", "STATUS", "TOOK", "ERROR", "ANSWER"], &rows, "Not tried yet.");
    format!("{}\n\n{attempts}", facts(&lines))
}
