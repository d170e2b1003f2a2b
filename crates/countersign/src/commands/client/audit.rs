//! `countersign audit`: who changed what.

use super::{
    Outcome, PageArgs, ServerArgs, ended, field, find, http::Client, items, shown, table::table, time,
};
use crate::commands::Exit;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Which lines of the audit log.
#[derive(Debug, Clone, clap::Args)]
pub struct AuditArgs {
    /// Only what was done to this: the name of a domain, or any id
    #[arg(long, value_name = "DOMAIN|ID")]
    subject: Option<String>,
    /// Only what the key or user with this id did
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// `countersign audit`.
pub async fn run(server: &ServerArgs, arguments: &AuditArgs) -> Exit {
    ended(list(server, arguments).await)
}

async fn list(server: &ServerArgs, arguments: &AuditArgs) -> Outcome {
    let client = Client::of(server)?;
    let subject = match arguments.subject.as_deref() {
        // No id and no address of a person has a dot and no @.
        Some(name) if name.contains('.') && !name.contains('@') => {
            Some(find::domain_id(&client, name).await?)
        }
        other => other.map(str::to_owned),
    };
    let mut query = Vec::new();
    query.extend(subject.as_deref().map(|id| ("subject", id)));
    query.extend(arguments.actor.as_deref().map(|id| ("actor", id)));
    let list = client.list("/audit", &query, &arguments.page).await?;
    let names = if server.json { BTreeMap::new() } else { names_of_keys(&client, items(&list)).await };
    Ok(shown(server, &list, |list| {
        let row = |line: &Value| {
            let actor = match line["actor"]["id"].as_str() {
                Some(id) => names.get(id).cloned().unwrap_or_else(|| id.to_owned()),
                None => field(&line["actor"], "type"),
            };
            [
                time(line, "created_at"),
                field(line, "action"),
                find::called(line),
                actor,
                field(line, "address"),
                field(line, "subject"),
            ]
        };
        let rows: Vec<_> = items(list).iter().map(row).collect();
        table(["WHEN", "WHAT", "OF", "BY", "FROM", "ID"], &rows, "Nothing was changed.")
    }))
}

/// The names of the keys that did it.
async fn names_of_keys(client: &Client, lines: &[Value]) -> BTreeMap<String, String> {
    let keys: BTreeSet<String> = lines
        .iter()
        .filter(|line| line["actor"]["type"] == "key")
        .filter_map(|line| line["actor"]["id"].as_str().map(str::to_owned))
        .collect();
    find::names(client, "keys", "name", keys).await
}
