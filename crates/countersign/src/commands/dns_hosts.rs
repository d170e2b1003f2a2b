//! `countersign dns-hosts`: the hosts that records are written at.

use super::{Exit, client::table};
use explain::hosts::{self, Host, HostApi, Proven};
use std::{fmt::Write as _, io::Write as _};

/// Which host.
#[derive(Debug, Clone, clap::Args)]
pub struct DnsHostsArgs {
    /// The id of one of them, to see all that is known of writing there
    id: Option<String>,
}

/// Shows the list, or one host.
pub fn run(arguments: &DnsHostsArgs) -> Exit {
    let Some(id) = &arguments.id else {
        return say(&list());
    };
    if let Some((host, api)) = written().find(|(host, _)| host.id == *id) {
        return say(&one(host, api));
    }
    let known: Vec<&str> = written().map(|(host, _)| host.id.as_str()).collect();
    let id = explain::shown::line(id, 40);
    let message = format!("error: nothing is written at \"{id}\"; possible are {}", known.join(", "));
    drop(writeln!(std::io::stderr(), "{message}"));
    Exit::Usage
}

fn say(text: &str) -> Exit {
    // Who closed the pipe has read enough.
    drop(writeln!(std::io::stdout(), "{text}"));
    Exit::Good
}

fn written() -> impl Iterator<Item = (&'static Host, &'static HostApi)> {
    hosts::all()
        .iter()
        .filter_map(|host| Some((host, host.api.as_ref()?)))
        .filter(|(_, api)| api.proven != Proven::None)
}

fn list() -> String {
    let row = |(host, api): (&Host, &HostApi)| {
        let fields: Vec<&str> = api.fields.iter().map(|field| field.name.as_str()).collect();
        [host.id.clone(), host.name.clone(), fields.join(", "), api.proven.words().to_owned()]
    };
    let rows: Vec<[String; 4]> = written().map(row).collect();
    table::table(["ID", "HOST", "ASKS FOR", "TRIED AGAINST"], &rows, "None.")
}

fn one(host: &Host, api: &HostApi) -> String {
    let mut out = format!("{} ({})\n", host.name, host.id);
    let tried = format!("{}, {}", api.proven.words(), api.proven_on.as_deref().unwrap_or_default());
    let fields = api.fields.iter().map(|field| {
        let optional = if field.optional { " (may be left out)" } else { "" };
        format!("{}: {}{optional}", field.name, field.label)
    });
    let parts: [(&str, Vec<String>); 6] = [
        ("Asks for", fields.collect()),
        ("Rights that suffice", api.rights.clone()),
        ("Made at", api.token_url.iter().cloned().collect()),
        ("Odd about it", api.quirks.clone()),
        ("Tried against", vec![tried]),
        ("Not proven", api.unproven.clone()),
    ];
    for (heading, lines) in parts.iter().filter(|(_, lines)| !lines.is_empty()) {
        let _ = writeln!(out, "\n{heading}");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    out.trim_end().to_owned()
}
