//! `countersign domains`: sender domains, from added to verified.

use super::{
    Failure, Outcome, PAUSE, PageArgs, ServerArgs,
    change_sets::{self, PublishArgs},
    domain_connect, domain_keys as keys, ended, field,
    find::domain_path as path,
    http::{Client, commands, step, with_query},
    items,
    reputation::of_reputation,
    show_more, shown,
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
    path::PathBuf,
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
        after_help = "Examples:\n  countersign domains add mail.example.com\n  countersign domains add mail.example.com --profile two-txt --watch\n  countersign domains add send.example.com --delegated\n  countersign domains add mail.example.com --tenant cust_12345 --create-tenant"
    )]
    Add {
        /// The domain
        domain: String,
        /// Which records it is to have; `GET /api/v1/profiles` lists them
        #[arg(long)]
        profile: Option<String>,
        /// Delegate it as a zone: NS records are all that it takes
        #[arg(long)]
        delegated: bool,
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
        after_help = "Examples:\n  countersign domains records mail.example.com\n  countersign domains records mail.example.com --format zone\n  countersign domains records mail.example.com --format terraform-route53 > sender.tf"
    )]
    Records {
        /// Name or id
        domain: String,
        /// In place of the table: zone, csv, text, json, terraform-cloudflare, terraform-route53, cloudformation, octodns
        /// or dnscontrol
        #[arg(long)]
        format: Option<String>,
        /// The records in this zone only
        #[arg(long, requires = "format")]
        zone: Option<String>,
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
    /// Show what became of a domain's mail, and whether its sending is paused; exit code 0 when it is not
    #[command(after_help = "Example:\n  countersign domains reputation mail.example.com")]
    Reputation {
        /// Name or id
        domain: String,
    },
    /// Let a domain send again that was paused since too much of its mail came back
    #[command(after_help = "Example:\n  countersign domains resume mail.example.com")]
    Resume {
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
    /// Write a domain's records at its DNS host; what others wrote there stays
    ///
    /// Without --yes the difference is only shown and kept as a change set.
    #[command(
        after_help = "Examples:\n  countersign domains publish mail.example.com --host cloudflare --credential-stdin < token\n  printf 'access_key_id=AKIA…\\nsecret_access_key=…\\n' | countersign domains publish mail.example.com --host route53 --credential-stdin\n  countersign domains publish mail.example.com --host cloudflare --credential-stdin --keep --repair offer --yes < token\n  countersign domains publish mail.example.com --connection con_01JD0000000000000000000000 --yes\n  countersign domains publish mail.acme.test --host playground --yes"
    )]
    Publish(PublishArgs),
    /// Have the DNS host add a domain's records itself, by a link to it (Domain Connect)
    ///
    /// Nothing is written before whoever runs the zone agrees at the DNS host, with their account there.
    #[command(after_help = "Example:\n  countersign domains connect mail.example.com")]
    Connect {
        /// Name or id
        domain: String,
    },
    /// Have another DKIM key sign; says where a record has to be added for it
    ///
    /// Where the domain's DNS has aliases to our keys nothing changes in it: the key before stays published for 7 days, then a
    /// new one takes its place. Where its DNS has the keys themselves, a new one is shown to be added; it signs when it is
    /// seen.
    #[command(
        after_help = "Examples:\n  countersign domains rotate-keys mail.example.com\n  countersign domains rotate-keys mail.example.com --compromised\n  countersign domains rotate-keys --all --yes"
    )]
    RotateKeys {
        /// Name or id
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        domain: Option<String>,
        /// Those of every domain that this key sees
        #[arg(long)]
        all: bool,
        /// With --all: do it
        #[arg(long, requires = "all")]
        yes: bool,
        /// Somebody else may have a private key: that which signs goes as soon as another one signs, those that signed before
        /// go at once, and mail with them that is still on its way does not pass any more
        #[arg(long)]
        compromised: bool,
    },
    /// The DKIM keys of a domain, and which of their records may be removed
    ///
    /// The next key signs after a rotation. One that signed before stays published for mail on its way.
    #[command(after_help = "Example:\n  countersign domains keys mail.example.com")]
    Keys {
        /// Name or id
        domain: String,
    },
    /// Bring the DKIM key along that a domain has already: its record stays as it is
    ///
    /// The key signs as soon as its public part is seen at the selector. `rotate-keys` goes on to the keys of the profile.
    #[command(
        after_help = "Examples:\n  countersign domains import-key mail.example.com --selector s1 --private-key s1.pem\n  openssl pkey -in encrypted.pem | countersign domains import-key mail.example.com --selector s1 --private-key -"
    )]
    ImportKey {
        /// Name or id
        domain: String,
        /// What stands before ._domainkey in the record's name
        #[arg(long)]
        selector: String,
        /// A file with the private key in PEM, RSA, not encrypted; - for standard input
        #[arg(long, value_name = "FILE")]
        private_key: PathBuf,
    },
    /// Discard the DKIM key that waits to be published
    #[command(after_help = "Example:\n  countersign domains discard-key mail.example.com")]
    DiscardKey {
        /// Name or id
        domain: String,
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
        DomainsCommand::Add { domain, profile, delegated, new_tenant, watch } => {
            tenant::check(server, &client, new_tenant).await?;
            let mut body = json!({ "domain": domain });
            if let Some(profile) = profile {
                body["profile"] = json!(profile);
            }
            if *delegated {
                body["delegated"] = json!(true);
            }
            let added = client.post("/domains", &body).await?;
            if !watch.watch {
                return Ok(shown(server, &added, |domain| {
                    format!("{}\n\nPublish these records; they are checked by themselves.", of_one(domain))
                }));
            }
            before(server, &of_one(&added));
            wait(server, &client, &path_of(&added), watch).await
        }
        DomainsCommand::Show { domain } => {
            let found = client.get(&path(&client, domain).await?).await?;
            Ok(shown(server, &found, of_one))
        }
        DomainsCommand::Records { domain, format: None, .. } => {
            let found = client.get(&path(&client, domain).await?).await?;
            Ok(shown(server, &found, records))
        }
        DomainsCommand::Records { domain, format: Some(format), zone } => {
            let path = format!("{}/records", path(&client, domain).await?);
            let mut query = vec![("format", format.as_str())];
            query.extend(zone.as_deref().map(|zone| ("zone", zone)));
            let text = client.text(&with_query(&path, &query)).await?;
            Ok(show::print(&(show::harmless(&text) + "\n")).unwrap_or(Exit::Good))
        }
        DomainsCommand::Connect { domain } => domain_connect::connect(server, &client, domain).await,
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
            disable(server, &client, domain, reason.as_deref()).await
        }
        DomainsCommand::Enable { domain } => {
            let path = format!("{}/enable", path(&client, domain).await?);
            Ok(shown(server, &client.post(&path, &json!({})).await?, of_one))
        }
        DomainsCommand::Reputation { domain } => reputation(server, &client, domain).await,
        DomainsCommand::Resume { domain } => resume(server, &client, domain).await,
        DomainsCommand::WarmUp { domain, days } => warm_up(server, &client, domain, *days).await,
        DomainsCommand::Claim { domain, watch } => claim(server, &client, domain, watch).await,
        DomainsCommand::Publish(wanted) => change_sets::publish(server, &client, wanted).await,
        DomainsCommand::RotateKeys { domain, yes, compromised, .. } => match domain {
            Some(domain) => keys::rotate(server, &client, domain, *compromised).await,
            None => keys::rotate_all(server, &client, *yes, *compromised).await,
        },
        DomainsCommand::Keys { domain } => keys::list(server, &client, domain).await,
        DomainsCommand::ImportKey { domain, selector, private_key } => {
            keys::import(server, &client, domain, selector, private_key).await
        }
        DomainsCommand::DiscardKey { domain } => keys::discard(server, &client, domain).await,
        DomainsCommand::Why { domain } => why(server, &client, domain).await,
        DomainsCommand::Delete { domain, yes: true } => delete(server, &client, domain).await,
        DomainsCommand::Delete { domain, yes: false } => Err(Failure::Usage(format!(
            "once {domain} is deleted mail from it is refused, what waits in the queue is given up, and another \
             organisation can have the name; add --yes to do it"
        ))),
    }
}

async fn warm_up(server: &ServerArgs, client: &Client, domain: &str, days: u32) -> Outcome {
    let path = path(client, domain).await?;
    let changed = client.patch(&path, &json!({ "warmup_days": days })).await?;
    Ok(shown(server, &changed, |changed| match days {
        0 => format!("{} does not warm up.", field(changed, "domain")),
        1 => format!("{} warms up for 1 day.", field(changed, "domain")),
        days => format!("{} warms up for {days} days.", field(changed, "domain")),
    }))
}

async fn disable(server: &ServerArgs, client: &Client, domain: &str, reason: Option<&str>) -> Outcome {
    let path = format!("{}/disable", path(client, domain).await?);
    let disabled = client.post(&path, &json!({ "reason": reason })).await?;
    Ok(shown(server, &disabled, |_| {
        format!("Switched off. `countersign domains enable {domain}` switches it on again.")
    }))
}

async fn reputation(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let reputation = client.get(&format!("{}/reputation", path(client, domain).await?)).await?;
    let is_paused = reputation["state"] == "paused";
    let exit = shown(server, &reputation, of_reputation);
    Ok(if is_paused && exit == Exit::Good { Exit::Problems } else { exit })
}

async fn resume(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let resumed = client.post(&format!("{}/resume", path(client, domain).await?), &json!({})).await?;
    Ok(shown(server, &resumed, |_| {
        format!("{domain} may send again, and is judged by what comes from now on.")
    }))
}

async fn delete(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let deleted = client.delete(&path(client, domain).await?).await?;
    Ok(shown(server, &deleted, |_| {
        "Deleted. Its DNS records are as they were: take them out where they are published.".to_owned()
    }))
}

pub(super) fn path_of(domain: &Value) -> String {
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

/// Shows something before the result is waited for; with `--json` the result stands alone.
fn before(server: &ServerArgs, text: &str) {
    if !server.json {
        show::print(&format!("{}\n", show::harmless(text)));
    }
}

/// Why it makes no sense to wait any longer.
fn hopeless(domain: &Value) -> Option<String> {
    let name = field(domain, "domain");
    let claim = &domain["claim"];
    if domain["status"] == "disabled" {
        return Some(format!(
            "{name} is disabled: nobody looks at its DNS. `countersign domains enable {name}` switches it on; where another \
             organisation has claimed it, delete it and add it again."
        ));
    }
    matches!(claim["status"].as_str(), Some("expired" | "superseded"))
        .then(|| format!("The claim is over. {}", field(claim, "explanation")))
}

/// Looks until the domain is verified, cannot be any more, or the time is over.
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
        let hopeless = hopeless(&found);
        if standing(&found) == Exit::Good || is_over || hopeless.is_some() {
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            let exit = if hopeless.is_some() { Exit::Problems } else { standing(&found) };
            let told = shown(server, &found, of_one);
            if let Some(why) = hopeless {
                show_more(&why);
            }
            return Ok(match told {
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
    let stands = format!(
        "{} is {}: {right} of {} records are right; next look {}",
        field(domain, "domain"),
        field(domain, "status"),
        records.len(),
        time(domain, "next_check_at")
    );
    match domain["claim"]["explanation"].as_str() {
        Some(claim) => format!("{stands}. The claim: {claim}"),
        None => stands,
    }
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
        before(server, &of_claim(&found));
        return wait(server, client, &path, watch).await;
    }
    let exit = standing(&found);
    Ok(match shown(server, &found, of_claim) {
        Exit::Good => exit,
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
