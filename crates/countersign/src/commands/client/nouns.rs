//! `countersign emails`, `keys`, `tenants`, `suppressions`, `audit`, `events`.

use super::{
    Failure, Outcome, PageArgs, ServerArgs,
    domains::items,
    ended, field,
    http::{Client, step, with_query},
    shown,
    table::{facts, table},
    time,
};
use crate::commands::{Exit, show};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    time::Duration,
};

/// How often what is waited for is looked at.
const PAUSE: Duration = Duration::from_secs(2);

/// The largest text of a message that is read from standard input, in bytes.
const MOST_TEXT: u64 = 10 * 1024 * 1024;

/// What to do with messages.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum EmailsCommand {
    /// List messages, newest first
    #[command(after_help = "Example:\n  countersign emails list --limit 5")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a message, and what became of it at each recipient
    #[command(after_help = "Example:\n  countersign emails show msg_01JD0000000000000000000000")]
    Show {
        /// Its id
        id: String,
    },
    /// Send a message; its text comes from --text or standard input
    #[command(
        after_help = "Examples:\n  countersign emails send --from me@mail.example.com --to you@example.org --subject Hello --text Hi\n  echo Hi | countersign emails send --from me@mail.example.com --to you@example.org --subject Hello --watch"
    )]
    Send {
        /// Author: an address, or "Name <address>"
        #[arg(long)]
        from: String,
        /// Recipient; may be given several times
        #[arg(long, required = true)]
        to: Vec<String>,
        /// Subject
        #[arg(long)]
        subject: String,
        /// Text; standard input without
        #[arg(long)]
        text: Option<String>,
        /// Wait until every recipient's server has said yes or no
        #[arg(long)]
        watch: bool,
    },
}

/// `countersign emails`.
pub async fn emails(server: &ServerArgs, command: &EmailsCommand) -> Exit {
    ended(carry_out_emails(server, command).await)
}

async fn carry_out_emails(server: &ServerArgs, command: &EmailsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        EmailsCommand::List { page } => {
            let list = client.list("/emails", &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row = |mail: &Value| {
                    [
                        time(mail, "created_at"),
                        field(mail, "from"),
                        field(mail, "recipients"),
                        field(mail, "subject"),
                        field(mail, "id"),
                    ]
                };
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["ACCEPTED", "FROM", "TO", "SUBJECT", "ID"], &rows, "No messages.")
            }))
        }
        EmailsCommand::Show { id } => {
            let mail = client.get(&format!("/emails/{}", step(id))).await?;
            Ok(shown(server, &mail, of_email))
        }
        EmailsCommand::Send { from, to, subject, text, watch } => {
            let text = match text {
                Some(text) => text.clone(),
                None => read_text()?,
            };
            let body = json!({"from": from, "to": to, "subject": subject, "text": text});
            let mut mail = client.post("/emails", &body).await?;
            let path = format!("/emails/{}", step(mail["id"].as_str().unwrap_or_default()));
            while *watch && recipients(&mail).any(|recipient| !is_settled(recipient)) {
                tokio::time::sleep(PAUSE).await;
                mail = client.get(&path).await?;
            }
            let has_failed = recipients(&mail).any(|recipient| recipient["status"] == "failed");
            Ok(match shown(server, &mail, of_email) {
                Exit::Good if has_failed => Exit::Problems,
                exit => exit,
            })
        }
    }
}

fn recipients(mail: &Value) -> impl Iterator<Item = &Value> {
    mail["recipients"].as_array().into_iter().flatten()
}

fn is_settled(recipient: &Value) -> bool {
    recipient["status"] == "delivered" || recipient["status"] == "failed"
}

fn read_text() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MOST_TEXT + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("the text could not be read: {error}")))?;
    if text.len() as u64 > MOST_TEXT {
        return Err(Failure::Usage(format!("the text has more than {MOST_TEXT} bytes")));
    }
    Ok(text)
}

fn of_email(mail: &Value) -> String {
    let told = [
        ("Id", field(mail, "id")),
        ("From", field(mail, "from")),
        ("Subject", field(mail, "subject")),
        ("Accepted", time(mail, "created_at")),
        ("Status", field(mail, "status")),
    ];
    let row = |recipient: &Value| {
        let last = recipient["attempts"].as_array().and_then(|attempts| attempts.last());
        let reply = last.map_or_else(String::new, |attempt| field(attempt, "reply"));
        [field(recipient, "address"), field(recipient, "status"), reply]
    };
    let rows: Vec<_> = recipients(mail).map(row).collect();
    format!("{}\n\n{}", facts(&told), table(["RECIPIENT", "STATUS", "LAST REPLY"], &rows, "No recipients."))
}

/// What to do with API keys.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum KeysCommand {
    /// List keys, newest first, those that are revoked or over too
    #[command(after_help = "Example:\n  countersign keys list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make a key; its secret is shown this once
    #[command(
        after_help = "Examples:\n  countersign keys create billing --scope send:emails --scope read:domains\n  countersign keys create ci --scope read:domains --expires-at 2027-01-01T00:00:00Z --tenant cust_1"
    )]
    Create {
        /// By what people know it
        name: String,
        /// What it may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// The id of a domain that it may use; may be given several times; all without
        #[arg(long = "domain", value_name = "ID")]
        domains: Vec<String>,
        /// From when on it is refused
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Make a key in place of another one, which works on for a time
    #[command(
        after_help = "Example:\n  countersign keys rotate key_01JD0000000000000000000000 --overlap-seconds 3600"
    )]
    Rotate {
        /// The id of the old one
        id: String,
        /// How long the old one works on; 0 ends it at once
        #[arg(long, default_value_t = 86_400)]
        overlap_seconds: u32,
    },
    /// Revoke a key: the next request with it is refused
    #[command(after_help = "Example:\n  countersign keys revoke key_01JD0000000000000000000000")]
    Revoke {
        /// Its id
        id: String,
    },
}

/// `countersign keys`.
pub async fn keys(server: &ServerArgs, command: &KeysCommand) -> Exit {
    ended(carry_out_keys(server, command).await)
}

async fn carry_out_keys(server: &ServerArgs, command: &KeysCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        KeysCommand::List { page } => {
            let list = client.list("/keys", &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row = |key: &Value| {
                    let state = if key["revoked_at"].is_string() { "revoked" } else { "" };
                    [
                        field(key, "name"),
                        field(key, "prefix"),
                        scopes(key),
                        time(key, "last_used_at"),
                        time(key, "expires_at"),
                        state.to_owned(),
                        field(key, "id"),
                    ]
                };
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["NAME", "PREFIX", "SCOPES", "LAST USED", "ENDS", "", "ID"], &rows, "No keys.")
            }))
        }
        KeysCommand::Create { name, scopes, domains, expires_at } => {
            let mut body = json!({"name": name, "scopes": scopes});
            if !domains.is_empty() {
                body["allowed_domain_ids"] = json!(domains);
            }
            if let Some(end) = expires_at {
                body["expires_at"] = json!(end);
            }
            let made = client.post("/keys", &body).await?;
            Ok(shown(server, &made, of_new_key))
        }
        KeysCommand::Rotate { id, overlap_seconds } => {
            let path = format!("/keys/{}/rotate", step(id));
            let made = client.post(&path, &json!({"overlap_seconds": overlap_seconds})).await?;
            Ok(shown(server, &made, of_new_key))
        }
        KeysCommand::Revoke { id } => {
            let revoked = client.delete(&format!("/keys/{}", step(id))).await?;
            Ok(shown(server, &revoked, |_| "Revoked: the next request with it is refused.".to_owned()))
        }
    }
}

/// What a key may do, in few words.
fn scopes(key: &Value) -> String {
    let is_admin = key["scopes"].as_array().is_some_and(|scopes| scopes.iter().any(|scope| scope == "admin"));
    if is_admin { "admin (all)".to_owned() } else { field(key, "scopes") }
}

fn of_new_key(key: &Value) -> String {
    let told = [("Id", field(key, "id")), ("Name", field(key, "name")), ("Scopes", scopes(key))];
    format!(
        "{}\n\n{}\n\nThis is the key. Keep it now: it is not shown again.",
        facts(&told),
        field(key, "secret")
    )
}

/// What to do with tenants.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TenantsCommand {
    /// List tenants, newest first
    #[command(after_help = "Example:\n  countersign tenants list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make a tenant, or find the one of this name
    #[command(after_help = "Example:\n  countersign tenants add cust_12345")]
    Add {
        /// Your name for it
        #[arg(value_name = "REF")]
        reference: String,
    },
}

/// `countersign tenants`.
pub async fn tenants(server: &ServerArgs, command: &TenantsCommand) -> Exit {
    ended(carry_out_tenants(server, command).await)
}

async fn carry_out_tenants(server: &ServerArgs, command: &TenantsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        TenantsCommand::List { page } => {
            let list = client.list("/tenants", &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row =
                    |tenant: &Value| [field(tenant, "ref"), time(tenant, "created_at"), field(tenant, "id")];
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["REF", "SINCE", "ID"], &rows, "No tenants.")
            }))
        }
        TenantsCommand::Add { reference } => {
            let tenant = client.post("/tenants", &json!({"ref": reference})).await?;
            Ok(shown(server, &tenant, |tenant| {
                facts(&[("Ref", field(tenant, "ref")), ("Id", field(tenant, "id"))])
            }))
        }
    }
}

/// What to do with addresses that get no mail.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum SuppressionsCommand {
    /// List addresses that get no mail, newest first
    #[command(
        after_help = "Examples:\n  countersign suppressions list\n  countersign suppressions list --address someone@example.org"
    )]
    List {
        /// Only those of this address
        #[arg(long)]
        address: Option<String>,
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Send no more mail to an address
    #[command(
        after_help = "Example:\n  countersign suppressions add someone@example.org --reason 'asked by phone'"
    )]
    Add {
        /// The address
        address: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let an address get mail again
    #[command(after_help = "Example:\n  countersign suppressions delete sup_01JD0000000000000000000000")]
    Delete {
        /// The id that `list` shows
        id: String,
    },
}

/// `countersign suppressions`.
pub async fn suppressions(server: &ServerArgs, command: &SuppressionsCommand) -> Exit {
    ended(carry_out_suppressions(server, command).await)
}

async fn carry_out_suppressions(server: &ServerArgs, command: &SuppressionsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        SuppressionsCommand::List { address, page } => {
            let query: Vec<_> = address.iter().map(|address| ("address", address.as_str())).collect();
            let list = client.list("/suppressions", &query, page).await?;
            Ok(shown(server, &list, |list| {
                let row = |entry: &Value| {
                    [
                        field(entry, "address"),
                        field(entry, "reason"),
                        time(entry, "created_at"),
                        field(entry, "id"),
                    ]
                };
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["ADDRESS", "REASON", "SINCE", "ID"], &rows, "Nobody is suppressed.")
            }))
        }
        SuppressionsCommand::Add { address, reason } => {
            let mut body = json!({ "address": address });
            if let Some(reason) = reason {
                body["reason"] = json!(reason);
            }
            let entry = client.post("/suppressions", &body).await?;
            Ok(shown(server, &entry, |entry| format!("{} gets no mail.", field(entry, "address"))))
        }
        SuppressionsCommand::Delete { id } => {
            let deleted = client.delete(&format!("/suppressions/{}", step(id))).await?;
            Ok(shown(server, &deleted, |entry| format!("{} gets mail again.", field(entry, "address"))))
        }
    }
}

/// Which lines of the audit log.
#[derive(Debug, Clone, clap::Args)]
pub struct AuditArgs {
    /// Only what was done to the thing with this id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only what the key or user with this id did
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// `countersign audit`.
pub async fn audit(server: &ServerArgs, arguments: &AuditArgs) -> Exit {
    ended(list_audit(server, arguments).await)
}

async fn list_audit(server: &ServerArgs, arguments: &AuditArgs) -> Outcome {
    let client = Client::of(server)?;
    let mut query = Vec::new();
    query.extend(arguments.subject.as_deref().map(|id| ("subject", id)));
    query.extend(arguments.actor.as_deref().map(|id| ("actor", id)));
    let list = client.list("/audit", &query, &arguments.page).await?;
    Ok(shown(server, &list, |list| {
        let row = |line: &Value| {
            let actor = match line["actor"]["id"].as_str() {
                Some(id) => id.to_owned(),
                None => field(&line["actor"], "type"),
            };
            [
                time(line, "created_at"),
                field(line, "action"),
                field(line, "subject"),
                actor,
                field(line, "address"),
            ]
        };
        let rows: Vec<_> = items(list).iter().map(row).collect();
        table(["WHEN", "WHAT", "OF", "BY", "FROM"], &rows, "Nothing was changed.")
    }))
}

/// Which events.
#[derive(Debug, Clone, clap::Args)]
pub struct EventsArgs {
    /// Only those behind this cursor: `next_cursor` of an answer before, or `latest`
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Only these types, such as domain.verified,domain.failed
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    /// Go on telling what happens, until stopped
    #[arg(long)]
    watch: bool,
}

/// `countersign events`.
pub async fn events(server: &ServerArgs, arguments: &EventsArgs) -> Exit {
    ended(follow(server, arguments).await)
}

async fn follow(server: &ServerArgs, arguments: &EventsArgs) -> Outcome {
    let client = Client::of(server)?;
    let mut after = arguments.after.clone();
    loop {
        let mut query = vec![("limit", "100")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        query.extend(arguments.types.as_deref().map(|types| ("types", types)));
        let list = client.get(&with_query("/events", &query)).await?;
        let found = items(&list);
        let mut text = String::new();
        for event in found {
            let line = if server.json {
                event.to_string()
            } else {
                let parts = [time(event, "created_at"), field(event, "type"), field(event, "subject")];
                show::harmless(&parts.join("  ").replace(['\n', '\r'], " "))
            };
            text.push_str(&line);
            text.push('\n');
        }
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            // A reader that has seen enough closes the pipe.
            return Ok(Exit::Good);
        }
        drop(out);
        let is_end = found.is_empty() || list["has_more"] == false;
        if is_end && !arguments.watch {
            return Ok(Exit::Good);
        }
        after = list["next_cursor"].as_str().map(str::to_owned).or(after);
        if is_end {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
