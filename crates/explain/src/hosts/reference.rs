//! The list of hosts that records are written at, as a page of the documentation.

use super::{Host, HostApi, Proven, all};
use std::fmt::Write as _;

/// The page: what each host asks for, which rights suffice, what it was tried against, and what nobody is sure of.
pub fn reference() -> String {
    let mut out = String::from(
        "# DNS hosts that records are written at\n\nWith a token or key of the zone's owner. \"Tried against\" says what the way \
         there was proven with: only the real\nserver proves all of it. What is written and what stays as it is, is in \
         [decision 17](decisions/0017-dns-hosts.md).\n\n| id | host | what it asks for | tried against | since |\n|---|---|---|---|---|\n",
    );
    let hosts: Vec<(&Host, &HostApi)> = all()
        .iter()
        .filter_map(|host| Some((host, host.api.as_ref().filter(|api| api.proven != Proven::None)?)))
        .collect();
    for (host, api) in &hosts {
        let fields: Vec<String> = api.fields.iter().map(|field| format!("`{}`", field.name)).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            host.id,
            host.name,
            fields.join(", "),
            api.proven.words(),
            api.proven_on.as_deref().unwrap_or_default()
        );
    }
    for (host, api) in hosts {
        let _ = writeln!(out, "\n## {}\n", host.name);
        for field in &api.fields {
            let optional = if field.optional { "; may be left out" } else { "" };
            let _ = writeln!(out, "- `{}`: {}{optional}", field.name, field.label);
        }
        let made = api.token_url.as_ref().map(|url| format!(" ([made here]({url}))")).unwrap_or_default();
        let _ = writeln!(out, "\nRights that suffice{made}:\n");
        for right in &api.rights {
            let _ = writeln!(out, "- {right}");
        }
        for (heading, facts) in
            [("What is odd about it", &api.quirks), ("What was not proven", &api.unproven)]
        {
            if !facts.is_empty() {
                let _ = writeln!(out, "\n{heading}:\n");
                for fact in facts {
                    let _ = writeln!(out, "- {fact}");
                }
            }
        }
    }
    out
}
