//! `countersign events`: what happens.

use super::{
    Outcome, PAUSE, ServerArgs, ended, field, find,
    http::{Client, with_query},
    items, show_more, shown,
    table::table,
    time,
};
use crate::commands::{Exit, show};
use serde_json::Value;
use std::io::Write;

/// Which events.
#[derive(Debug, Clone, clap::Args)]
pub struct EventsArgs {
    /// Only those behind this cursor, which the command before printed, or `latest`: from now on
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Only these types, such as domain.verified,domain.failed or domain.*
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    /// How many, oldest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "watch")]
    limit: u32,
    /// Go on telling what happens, until stopped; with --json one event a line
    #[arg(long)]
    watch: bool,
}

/// `countersign events`.
pub async fn run(server: &ServerArgs, arguments: &EventsArgs) -> Exit {
    let client = match Client::of(server) {
        Ok(client) => client,
        Err(failure) => return ended(Err(failure)),
    };
    ended(if arguments.watch {
        follow(server, &client, arguments).await
    } else {
        list(server, &client, arguments).await
    })
}

/// A page of at most 100 events behind a cursor.
async fn page(client: &Client, arguments: &EventsArgs, after: Option<&str>, limit: u32) -> Outcome<Value> {
    let limit = limit.min(100).to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(after.map(|after| ("after", after)));
    query.extend(arguments.types.as_deref().map(|types| ("types", types)));
    client.get(&with_query("/events", &query)).await
}

async fn list(server: &ServerArgs, client: &Client, arguments: &EventsArgs) -> Outcome {
    let mut answer = page(client, arguments, arguments.after.as_deref(), arguments.limit).await?;
    let mut found = items(&answer).to_vec();
    while answer["has_more"] == true && found.len() < arguments.limit as usize {
        let left = arguments.limit - u32::try_from(found.len()).unwrap_or(u32::MAX);
        answer = page(client, arguments, answer["next_cursor"].as_str(), left).await?;
        found.extend_from_slice(items(&answer));
    }
    answer["data"] = Value::Array(found);
    let exit = shown(server, &answer, |list| {
        let row = |event: &Value| {
            [time(event, "created_at"), field(event, "type"), find::called(event), field(event, "subject")]
        };
        let rows: Vec<_> = items(list).iter().map(row).collect();
        let none =
            if arguments.after.is_some() { "Nothing happened since." } else { "Nothing happened yet." };
        table(["WHEN", "WHAT", "OF", "ID"], &rows, none)
    });
    if !server.json {
        let behind = if answer["has_more"] == true { "There are more" } else { "What happens next" };
        let types = arguments.types.as_deref().map_or_else(String::new, |types| format!(" --types {types}"));
        show_more(&format!("{behind}: countersign events --after {}{types}", field(&answer, "next_cursor")));
    }
    Ok(exit)
}

async fn follow(server: &ServerArgs, client: &Client, arguments: &EventsArgs) -> Outcome {
    let mut after = arguments.after.clone();
    loop {
        let list = page(client, arguments, after.as_deref(), 100).await?;
        let mut text = String::new();
        for event in items(&list) {
            let line = if server.json {
                event.to_string()
            } else {
                let parts = [
                    time(event, "created_at"),
                    field(event, "type"),
                    find::called(event),
                    field(event, "subject"),
                ];
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
        after = list["next_cursor"].as_str().map(str::to_owned).or(after);
        if list["has_more"] != true {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
