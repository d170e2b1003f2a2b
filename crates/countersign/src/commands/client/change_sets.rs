//! `countersign change-sets` and `countersign domains publish`: records written at a DNS host.

use super::{
    Failure, Outcome, PageArgs, ServerArgs, ended, field, find,
    http::{Client, step},
    items, shown,
    table::table,
    time,
};
use crate::commands::Exit;
use serde_json::{Map, Value, json};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// What a kept credential may be used for by itself.
pub(super) const REPAIR: [&str; 3] = ["off", "offer", "auto"];

/// Which DNS host, and how its credential is given.
#[derive(Debug, Clone, clap::Args)]
pub struct HostArgs {
    /// The DNS host, by its id as `countersign dns-hosts` shows it; in development also playground
    #[arg(long)]
    host: Option<String>,
    /// A kept credential, as `countersign dns-connections list` shows it, in the place of --host
    #[arg(long, value_name = "ID", conflicts_with_all = ["host", "credential_stdin"])]
    connection: Option<String>,
    /// Fields of the credential, one `name=value` a line, are read from standard input; a line without a name is the token
    #[arg(long)]
    credential_stdin: bool,
}

/// What is to be published, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct PublishArgs {
    /// Name or id
    domain: String,
    /// Which host
    #[command(flatten)]
    host: HostArgs,
    /// Keep the credential, sealed, for this domain; else it is forgotten
    #[arg(long, conflicts_with = "connection")]
    keep: bool,
    /// With --keep, what it is for by itself when a record of ours is changed or removed. off: nothing; offer: plan what brings
    /// it back; auto: bring it back
    #[arg(long, value_name = "WHAT", requires = "keep", value_parser = REPAIR)]
    repair: Option<String>,
    /// Only plan and show (the default)
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Write it
    #[arg(long)]
    yes: bool,
}

/// What to do with changes at DNS hosts.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ChangeSetsCommand {
    /// List the change sets of a domain, newest first
    #[command(after_help = "Example:\n  countersign change-sets list mail.example.com")]
    List {
        /// Name or id
        domain: String,
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show what a change set changes, and how far it is
    #[command(after_help = "Example:\n  countersign change-sets show chg_01JD0000000000000000000000")]
    Show {
        /// Its id
        id: String,
    },
    /// Write what was planned, or go on with what was cut off
    #[command(
        after_help = "Example:\n  countersign change-sets apply chg_01JD0000000000000000000000 --host cloudflare --credential-stdin < token"
    )]
    Apply {
        /// Its id
        id: String,
        /// Which host
        #[command(flatten)]
        host: HostArgs,
    },
    /// Take back what a change set did
    #[command(
        after_help = "Examples:\n  countersign change-sets undo chg_01JD0000000000000000000000 --host playground\n  countersign change-sets undo chg_01JD0000000000000000000000 --host playground --yes"
    )]
    Undo {
        /// Its id
        id: String,
        /// Which host
        #[command(flatten)]
        host: HostArgs,
        /// Write it; without, the way back is only planned and shown
        #[arg(long)]
        yes: bool,
    },
}

/// `countersign change-sets`.
pub async fn run(server: &ServerArgs, command: &ChangeSetsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &ChangeSetsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        ChangeSetsCommand::List { domain, page } => {
            let path = format!("{}/change-sets", find::domain_path(&client, domain).await?);
            let list = client.list(&path, &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row = |set: &Value| {
                    ["id", "state", "host", "summary"]
                        .map(|name| field(set, name))
                        .into_iter()
                        .chain([time(set, "created_at")])
                };
                let rows: Vec<[String; 5]> = items(list)
                    .iter()
                    .filter_map(|set| row(set).collect::<Vec<_>>().try_into().ok())
                    .collect();
                let none = "Nothing was planned. `countersign domains publish` plans.";
                table(["ID", "STATE", "HOST", "WHAT", "PLANNED"], &rows, none)
            }))
        }
        ChangeSetsCommand::Show { id } => {
            let set = client.get(&format!("/change-sets/{}", step(id))).await?;
            Ok(shown(server, &set, set_text))
        }
        ChangeSetsCommand::Apply { id, host } => {
            let body = body_of(host)?;
            let set = client.post(&format!("/change-sets/{}/apply", step(id)), &body).await?;
            Ok(shown(server, &set, set_text))
        }
        ChangeSetsCommand::Undo { id, host, yes } => {
            let mut body = body_of(host)?;
            body["apply"] = json!(yes);
            let set = client.post(&format!("/change-sets/{}/undo", step(id)), &body).await?;
            Ok(shown(server, &set, set_text))
        }
    }
}

/// `countersign domains publish`: plans, shows, and writes where that is wanted.
pub(super) async fn publish(server: &ServerArgs, client: &Client, wanted: &PublishArgs) -> Outcome {
    let mut body = body_of(&wanted.host)?;
    body["apply"] = json!(wanted.yes);
    if wanted.keep {
        body["keep"] = json!(true);
        body["repair"] = json!(wanted.repair);
    }
    let path = format!("{}/change-sets", find::domain_path(client, &wanted.domain).await?);
    let list = client.post(&path, &body).await?;
    Ok(shown(server, &list, |list| {
        let sets: Vec<String> = items(list).iter().map(set_text).collect();
        let mut text = sets.join("\n\n");
        if let Some(id) =
            items(list).first().and_then(|set| set["connection_id"].as_str()).filter(|_| wanted.keep)
        {
            text =
                format!("{text}\n\nThe credential is kept: {id} (`countersign dns-connections show {id}`).");
        }
        if !wanted.yes {
            text += "\n\nNothing is written yet. Add --yes to write it.";
        } else if items(list).iter().all(|set| set["state"] == "applied") {
            let domain = &wanted.domain;
            text = format!(
                "{text}\n\nDone. DNS is looked at now: `countersign domains verify {domain} --watch`."
            );
        }
        text
    }))
}

/// A change set as people read it.
fn set_text(set: &Value) -> String {
    let head = format!("{} {}\n\n{}", field(set, "id"), field(set, "state"), field(set, "diff").trim_end());
    let stopped = set["error"]["message"].as_str();
    let stopped = stopped.map(|message| format!("\n\nIt went no further: {message}")).unwrap_or_default();
    let on = match set["state"].as_str() {
        Some("partial" | "unknown") => {
            format!("\nGo on with it: countersign change-sets apply {}", field(set, "id"))
        }
        _ => String::new(),
    };
    head + &stopped + &on
}

/// The body that names the host, with the credential from standard input.
fn body_of(host: &HostArgs) -> Result<Value, Failure> {
    if let Some(connection) = &host.connection {
        return Ok(json!({"connection_id": connection}));
    }
    match &host.host {
        Some(name) => Ok(json!({"host": name, "credential": credential(host.credential_stdin)?})),
        None if host.credential_stdin => {
            Err(Failure::Usage("--credential-stdin needs --host too".to_owned()))
        }
        None => Ok(json!({})),
    }
}

/// The fields of a credential from standard input, where they are given there.
pub(super) fn credential(from_stdin: bool) -> Result<Map<String, Value>, Failure> {
    let mut credential = Map::new();
    if from_stdin {
        if io::stdin().is_terminal() {
            drop(io::stderr().write_all(b"Credential, one field a line (end with Ctrl-D):\n"));
        }
        for line in io::stdin().lock().lines().take(20) {
            let line =
                line.map_err(|error| Failure::Usage(format!("the credential could not be read: {error}")))?;
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let is_name = |name: &str| {
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            let (name, value) =
                line.split_once('=').filter(|(name, _)| is_name(name)).unwrap_or(("token", line));
            credential.insert(name.to_owned(), json!(value));
        }
        if credential.is_empty() {
            let problem = "no credential was given; pass it on standard input";
            return Err(Failure::Usage(problem.to_owned()));
        }
    }
    Ok(credential)
}
