//! `countersign domains`: sender domains, from added to verified.

use super::{
    Failure, Outcome, PAUSE, PageArgs, ServerArgs, ended, field,
    find::domain_path as path,
    http::{Client, commands, step, with_query},
    items, shown,
    table::{facts, table},
    tenant::{self, NewTenantArgs},
    time,
    when::duration,
};
use crate::commands::{Exit, show};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

/// What to do with domains. A domain is named by its name or its id.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DomainsCommand {
    /// List domains, newest first
    #[command(
        after_help = "Examples:\n  countersign domains list\n  countersign domains list --status pending --json | jq -r .data[].domain"
    )]
    List {
        /// Only those that stand there: pending, verified, failed or disabled
        #[arg(long)]
        status: Option<String>,
        /// Only those whose name contains this
        #[arg(long, value_name = "PART")]
        search: Option<String>,
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Add a domain, and show the records to publish
    #[command(
        after_help = "Examples:\n  countersign domains add mail.example.com\n  countersign domains add mail.example.com --profile two-txt --watch\n  countersign domains add mail.example.com --tenant cust_12345 --create-tenant"
    )]
    Add {
        /// The domain
        domain: String,
        /// Which records it is to have; `GET /api/v1/profiles` lists them
        #[arg(long)]
        profile: Option<String>,
        /// Whether the tenant may be a new one
        #[command(flatten)]
        new_tenant: NewTenantArgs,
        /// Whether to wait
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show a domain and its records
    #[command(after_help = "Example:\n  countersign domains show mail.example.com")]
    Show {
        /// Name or id
        domain: String,
    },
    /// Print the records to publish
    #[command(
        after_help = "Examples:\n  countersign domains records mail.example.com\n  countersign domains records mail.example.com --format zone"
    )]
    Records {
        /// Name or id
        domain: String,
        /// In place of the table: zone, csv, text or json
        #[arg(long)]
        format: Option<String>,
    },
    /// Check a domain's DNS now; exit code 0 when it is verified
    #[command(
        after_help = "Examples:\n  countersign domains verify mail.example.com\n  countersign domains verify mail.example.com --watch --deadline 20m"
    )]
    Verify {
        /// Name or id
        domain: String,
        /// Whether to wait
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Explain what is wrong with a domain's records, and what to do at its DNS host
    #[command(after_help = "Example:\n  countersign domains report mail.example.com")]
    Report {
        /// Name or id
        domain: String,
    },
    /// Say why a domain cannot send; exit code 0 when it can
    #[command(after_help = "Example:\n  countersign domains why mail.example.com")]
    Why {
        /// Name or id
        domain: String,
    },
    /// Switch a domain off: mail from it is refused, and what is in the queue waits
    #[command(
        after_help = "Example:\n  countersign domains disable mail.example.com --reason 'under review'"
    )]
    Disable {
        /// Name or id
        domain: String,
        /// Why, for people
        #[arg(long)]
        reason: Option<String>,
    },
    /// Switch a domain on again, and check its DNS now
    #[command(after_help = "Example:\n  countersign domains enable mail.example.com")]
    Enable {
        /// Name or id
        domain: String,
    },
    /// Say how many days a domain warms up, counted from the day on which it was first verified
    #[command(after_help = "Example:\n  countersign domains warm-up mail.example.com --days 0")]
    WarmUp {
        /// Name or id
        domain: String,
        /// How many, at most 90; 0 ends it, where the domain has a reputation already
        #[arg(long)]
        days: u32,
    },
    /// Claim a domain that another organisation holds, by a fresh TXT record
    ///
    /// The domain's own records have to be right. The record is looked for by itself; asking again shows how it stands.
    #[command(
        after_help = "Examples:\n  countersign domains claim mail.example.com\n  countersign domains claim mail.example.com --watch --deadline 2h"
    )]
    Claim {
        /// Name or id
        domain: String,
        /// Whether to wait
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Have another DKIM key sign; nothing changes in the domain's DNS
    ///
    /// For profiles whose keys are behind aliases. The key before stays published for 7 days, then a new one takes its place.
    #[command(
        after_help = "Examples:\n  countersign domains rotate-keys mail.example.com\n  countersign domains rotate-keys --all"
    )]
    RotateKeys {
        /// Name or id
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        domain: Option<String>,
        /// Those of every domain that this key sees
        #[arg(long)]
        all: bool,
    },
    /// Delete a domain; its messages stay, and its DNS is not touched
    #[command(after_help = "Example:\n  countersign domains delete mail.example.com --yes")]
    Delete {
        /// Name or id
        domain: String,
        /// Do it: mail from the domain is refused from then on
        #[arg(long)]
        yes: bool,
    },
}

/// Whether to wait.
#[derive(Debug, Clone, clap::Args)]
pub struct WatchArgs {
    /// Wait until it is verified
    #[arg(long)]
    watch: bool,
    /// Wait no longer than this: 90s, 20m or 2h; for ever without
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "watch")]
    deadline: Option<Duration>,
}

/// `countersign domains`.
pub async fn run(server: &ServerArgs, command: &DomainsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &DomainsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        DomainsCommand::List { status, search, page } => {
            let mut query = Vec::new();
            query.extend(status.as_deref().map(|status| ("status", status)));
            query.extend(search.as_deref().map(|search| ("q", search)));
            let list = client.list("/domains", &query, page).await?;
            Ok(shown(server, &list, of_list))
        }
        DomainsCommand::Add { domain, profile, new_tenant, watch } => {
            tenant::check(server, &client, new_tenant).await?;
            let mut body = json!({ "domain": domain });
            if let Some(profile) = profile {
                body["profile"] = json!(profile);
            }
            let added = client.post("/domains", &body).await?;
            if !watch.watch {
                return Ok(shown(server, &added, |domain| {
                    format!("{}\n\nPublish these records; they are checked by themselves.", of_one(domain))
                }));
            }
            show::print(&format!("{}\n", show::harmless(&of_one(&added))));
            wait(server, &client, &path_of(&added), watch).await
        }
        DomainsCommand::Show { domain } => {
            let found = client.get(&path(&client, domain).await?).await?;
            Ok(shown(server, &found, of_one))
        }
        DomainsCommand::Records { domain, format: None } => {
            let found = client.get(&path(&client, domain).await?).await?;
            Ok(shown(server, &found, records))
        }
        DomainsCommand::Records { domain, format: Some(format) } => {
            let path = format!("{}/records", path(&client, domain).await?);
            let text = client.text(&with_query(&path, &[("format", format)])).await?;
            Ok(show::print(&(show::harmless(&text) + "\n")).unwrap_or(Exit::Good))
        }
        DomainsCommand::Report { domain } => {
            let path = format!("{}/report", path(&client, domain).await?);
            if server.json {
                return Ok(shown(server, &client.get(&path).await?, |_| String::new()));
            }
            let text = client.text(&with_query(&path, &[("format", "text")])).await?;
            Ok(show::print(&(show::harmless(&text) + "\n")).unwrap_or(Exit::Good))
        }
        DomainsCommand::Verify { domain, watch } => {
            let path = path(&client, domain).await?;
            let found = client.post(&format!("{path}/verify"), &json!({})).await?;
            if watch.watch && standing(&found) != Exit::Good {
                return wait(server, &client, &path, watch).await;
            }
            let exit = standing(&found);
            Ok(match shown(server, &found, of_one) {
                Exit::Good => exit,
                other => other,
            })
        }
        DomainsCommand::Disable { domain, reason } => {
            let path = format!("{}/disable", path(&client, domain).await?);
            let disabled = client.post(&path, &json!({ "reason": reason })).await?;
            Ok(shown(server, &disabled, |_| {
                format!("Switched off. `countersign domains enable {domain}` switches it on again.")
            }))
        }
        DomainsCommand::Enable { domain } => {
            let path = format!("{}/enable", path(&client, domain).await?);
            Ok(shown(server, &client.post(&path, &json!({})).await?, of_one))
        }
        DomainsCommand::WarmUp { domain, days } => {
            let path = path(&client, domain).await?;
            let changed = client.patch(&path, &json!({ "warmup_days": days })).await?;
            Ok(shown(server, &changed, |changed| match days {
                0 => format!("{} does not warm up.", field(changed, "domain")),
                1 => format!("{} warms up for 1 day.", field(changed, "domain")),
                days => format!("{} warms up for {days} days.", field(changed, "domain")),
            }))
        }
        DomainsCommand::Claim { domain, watch } => claim(server, &client, domain, watch).await,
        DomainsCommand::RotateKeys { domain: Some(domain), .. } => rotate(server, &client, domain).await,
        DomainsCommand::RotateKeys { domain: None, .. } => rotate_all(server, &client).await,
        DomainsCommand::Why { domain } => why(server, &client, domain).await,
        DomainsCommand::Delete { domain, yes } => {
            if !yes {
                return Err(Failure::Usage(format!(
                    "mail from {domain} is refused once it is deleted; add --yes to do it"
                )));
            }
            let deleted = client.delete(&path(&client, domain).await?).await?;
            Ok(shown(server, &deleted, |_| {
                "Deleted. Its DNS records are as they were: take them out where they are published."
                    .to_owned()
            }))
        }
    }
}

fn path_of(domain: &Value) -> String {
    format!("/domains/{}", step(domain["id"].as_str().unwrap_or_default()))
}

/// The exit code of where a domain stands.
fn standing(domain: &Value) -> Exit {
    let records = domain["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_unknown = |record: &Value| record["required"] == true && record["status"] == "unknown";
    match domain["status"].as_str() {
        Some("verified") => Exit::Good,
        _ if records.iter().any(is_unknown) => Exit::Unknown,
        _ => Exit::Problems,
    }
}

/// Looks until the domain is verified, or the time is over.
async fn wait(server: &ServerArgs, client: &Client, path: &str, watch: &WatchArgs) -> Outcome {
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    let started = tokio::time::Instant::now();
    let mut last = String::new();
    loop {
        let found = client.get(path).await?;
        let now = progress(&found);
        if let Some(bar) = &bar {
            bar.set_message(show::harmless(&now));
        } else if now != last {
            drop(writeln!(std::io::stderr(), "{}", show::harmless(&now)));
        }
        last = now;
        let is_over = watch.deadline.is_some_and(|deadline| started.elapsed() >= deadline);
        if standing(&found) == Exit::Good || is_over {
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            let exit = standing(&found);
            return Ok(match shown(server, &found, of_one) {
                Exit::Good => exit,
                other => other,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where a domain stands, on one line.
fn progress(domain: &Value) -> String {
    let records = domain["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let right = records.iter().filter(|record| record["status"] == "verified").count();
    format!(
        "{} is {}: {right} of {} records are right; next look {}",
        field(domain, "domain"),
        field(domain, "status"),
        records.len(),
        time(domain, "next_check_at")
    )
}

fn of_list(list: &Value) -> String {
    let rows: Vec<[String; 5]> = items(list)
        .iter()
        .map(|domain| {
            let health = if domain["health"] == "warning" { "warning" } else { "" };
            [
                field(domain, "domain"),
                field(domain, "status"),
                health.to_owned(),
                field(domain, "profile"),
                field(domain, "id"),
            ]
        })
        .collect();
    let none = "No domains. `countersign domains add mail.example.com` adds one.";
    table(["DOMAIN", "STATUS", "HEALTH", "PROFILE", "ID"], &rows, none)
}

fn of_one(domain: &Value) -> String {
    let name = match (field(domain, "domain"), field(domain, "unicode")) {
        (name, unicode) if name == unicode => name,
        (name, unicode) => format!("{unicode} ({name})"),
    };
    let mut told = vec![
        ("Domain", name),
        ("Id", field(domain, "id")),
        ("Status", field(domain, "status")),
        ("Can send", if domain["can_send"] == true { "yes".to_owned() } else { "no".to_owned() }),
    ];
    if domain["health"] == "warning" {
        told.push(("Health", "warning".to_owned()));
    }
    if domain["tenant_id"].is_string() {
        told.push(("Tenant", field(domain, "tenant_id")));
    }
    let findings: Vec<String> = domain["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["severity"] != "info")
        .map(|finding| format!("  {}", field(finding, "title")))
        .collect();
    let mut text = format!("{}\n\n{}", facts(&told), records(domain));
    if !findings.is_empty() {
        text = format!("{text}\n\nFound:\n{}", findings.join("\n"));
    }
    if domain["claim"].is_object() {
        text = format!("{text}\n\n{}", of_claim(domain));
    }
    text
}

async fn claim(server: &ServerArgs, client: &Client, domain: &str, watch: &WatchArgs) -> Outcome {
    let path = path(client, domain).await?;
    let found = client.post(&format!("{path}/claim"), &json!({})).await?;
    if watch.watch && standing(&found) != Exit::Good {
        show::print(&format!("{}\n", show::harmless(&of_claim(&found))));
        return wait(server, client, &path, watch).await;
    }
    let exit = standing(&found);
    Ok(match shown(server, &found, of_claim) {
        Exit::Good => exit,
        other => other,
    })
}

async fn rotate(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let path = format!("{}/keys/rotate", path(client, domain).await?);
    Ok(shown(server, &client.post(&path, &json!({})).await?, |domain| {
        format!("Another key signs for {} now. Its DNS stays as it is.", field(domain, "domain"))
    }))
}

/// Rotates what can be rotated, and says of the others why not.
async fn rotate_all(server: &ServerArgs, client: &Client) -> Outcome {
    let everything = PageArgs { limit: 1_000_000 };
    let list = client.list("/domains", &[("status", "verified")], &everything).await?;
    let mut told = Vec::new();
    for domain in items(&list) {
        let rotated = client.post(&format!("{}/keys/rotate", path_of(domain)), &json!({})).await;
        let refused = match rotated {
            Ok(_) => None,
            Err(Failure::Refused(why)) => Some(why),
            Err(other) => return Err(other),
        };
        told.push(json!({"domain": domain["domain"], "rotated": refused.is_none(), "reason": refused}));
    }
    let all = told.iter().all(|one| one["rotated"] == true);
    let list = json!({"object": "list", "data": told});
    let exit = shown(server, &list, |list| {
        let rows: Vec<[String; 3]> = items(list)
            .iter()
            .map(|one| {
                let rotated = if one["rotated"] == true { "yes" } else { "no" };
                let reason = field(one, "reason").lines().next().unwrap_or_default().to_owned();
                [field(one, "domain"), rotated.to_owned(), reason]
            })
            .collect();
        table(["DOMAIN", "ROTATED", "WHY NOT"], &rows, "No domain is verified.")
    });
    Ok(match exit {
        Exit::Good if !all => Exit::Problems,
        other => other,
    })
}

/// The record to publish for a claim, and how it stands.
fn of_claim(domain: &Value) -> String {
    let claim = &domain["claim"];
    if !claim.is_object() {
        return format!("{} is {}.", field(domain, "domain"), field(domain, "status"));
    }
    let told = [
        ("Claim", field(claim, "status")),
        ("Type", field(claim, "type")),
        ("Name", field(claim, "name")),
        ("Value", field(claim, "value")),
        ("Until", time(claim, "expires_at")),
        ("Seen since", time(claim, "first_seen_at")),
    ];
    format!("{}\n\n{}", facts(&told), field(claim, "explanation"))
}

fn records(domain: &Value) -> String {
    let rows: Vec<[String; 5]> = domain["records"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|record| {
            let priority = record["priority"].as_u64().map(|priority| format!("{priority} "));
            let value = priority.unwrap_or_default() + &field(record, "value");
            let needed = if record["required"] == true { "required" } else { "optional" };
            [field(record, "status"), needed.to_owned(), field(record, "type"), field(record, "name"), value]
        })
        .collect();
    table(["STATUS", "", "TYPE", "NAME", "VALUE"], &rows, "It has no records.")
}

async fn why(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let path = path(client, domain).await?;
    let answer = client.get(&format!("{path}/readiness")).await?;
    let can_send = answer["can_send"] == true;
    let exit = shown(server, &answer, |answer| {
        if can_send {
            return format!("{domain} can send.");
        }
        let mut lines = vec![format!("{domain} cannot send:")];
        for obstacle in answer["obstacles"].as_array().into_iter().flatten() {
            lines.push(format!("  {} ({})", field(obstacle, "reason"), field(obstacle, "code")));
            lines.extend(obstacle["fix"].as_str().map(|fix| format!("    {}", commands(fix))));
        }
        let is_of_dns = |obstacle: &Value| obstacle["code"] == "DOMAIN_PENDING_VERIFICATION";
        if answer["obstacles"].as_array().into_iter().flatten().any(is_of_dns) {
            lines.push(format!(
                "Next: `countersign domains report {domain}` says what is wrong and what to publish, then \
                 `countersign domains verify {domain}`."
            ));
        }
        lines.join("\n")
    });
    Ok(match exit {
        Exit::Good if !can_send => Exit::Problems,
        other => other,
    })
}
