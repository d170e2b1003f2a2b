//! `countersign keys`: API keys, from made to revoked.

use super::{
    Failure, Outcome, PageArgs, ServerArgs, ended, field, find,
    http::{Client, step},
    items, shown,
    table::{facts, table},
    tenant::{self, NewTenantArgs},
    time,
    when::Moment,
};
use crate::commands::Exit;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
        after_help = "Examples:\n  countersign keys create billing --scope send:emails --scope read:domains\n  countersign keys create ci --scope send:emails --domain mail.example.com --expires-at 90d\n  countersign keys create shop --scope read:domains --tenant cust_1 --create-tenant"
    )]
    Create {
        /// By what people know it
        name: String,
        /// What it may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// Name or id of a domain that it may use; may be given several times; all without
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// From when on it is refused: 2027-01-31, 2027-01-31T12:00:00Z, or 30d from now
        #[arg(long, value_name = "TIME", value_parser = Moment::to_come)]
        expires_at: Option<Moment>,
        /// Whether the tenant may be a new one
        #[command(flatten)]
        new_tenant: NewTenantArgs,
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
        /// Do it also where it is the key that this command uses
        #[arg(long)]
        yes: bool,
    },
}

/// `countersign keys`.
pub async fn run(server: &ServerArgs, command: &KeysCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &KeysCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        KeysCommand::List { page } => list(server, &client, page).await,
        KeysCommand::Create { name, scopes, domains, expires_at, new_tenant } => {
            tenant::check(server, &client, new_tenant).await?;
            let mut body = json!({"name": name, "scopes": scopes});
            if !domains.is_empty() {
                let mut ids = Vec::new();
                for domain in domains {
                    ids.push(find::domain_id(&client, domain).await?);
                }
                body["allowed_domain_ids"] = json!(ids);
            }
            if let Some(end) = expires_at {
                body["expires_at"] = json!(end.after(super::now()));
            }
            let made = client.post("/keys", &body).await?;
            let tenants = names_of_tenants(&client, std::slice::from_ref(&made)).await;
            Ok(shown(server, &made, |key| of_new_key(key, &tenants)))
        }
        KeysCommand::Rotate { id, overlap_seconds } => {
            let path = format!("/keys/{}/rotate", step(id));
            let made = client.post(&path, &json!({"overlap_seconds": overlap_seconds})).await?;
            let tenants = names_of_tenants(&client, std::slice::from_ref(&made)).await;
            Ok(shown(server, &made, |key| of_new_key(key, &tenants)))
        }
        KeysCommand::Revoke { id, yes } => revoke(server, &client, id, *yes).await,
    }
}

async fn list(server: &ServerArgs, client: &Client, page: &PageArgs) -> Outcome {
    let list = client.list("/keys", &[], page).await?;
    let tenants = if server.json { BTreeMap::new() } else { names_of_tenants(client, items(&list)).await };
    Ok(shown(server, &list, |list| {
        let row = |key: &Value| {
            let is_over = |field: &str| {
                let end = key[field].as_str().and_then(|end| end.parse::<jiff::Timestamp>().ok());
                end.is_some_and(|end| end <= super::now())
            };
            let own = if client.is_with(key) { "this one" } else { "" };
            let state = match () {
                () if key["revoked_at"].is_string() => "revoked",
                () if is_over("expires_at") => "over",
                () => own,
            };
            [
                field(key, "name"),
                field(key, "prefix"),
                scopes(key),
                limits(key, &tenants),
                time(key, "last_used_at"),
                time(key, "expires_at"),
                state.to_owned(),
                field(key, "id"),
            ]
        };
        let rows: Vec<_> = items(list).iter().map(row).collect();
        let heads = ["NAME", "PREFIX", "SCOPES", "LIMITED TO", "LAST USED", "ENDS", "", "ID"];
        table(heads, &rows, "No keys.")
    }))
}

async fn revoke(server: &ServerArgs, client: &Client, id: &str, yes: bool) -> Outcome {
    let path = format!("/keys/{}", step(id));
    let is_own = client.is_with(&client.get(&path).await?);
    if is_own && !yes {
        return Err(Failure::Usage(
            "this is the key that this command uses: nothing can be done with it afterwards\n\
             Make another one first (`countersign keys create`), and add --yes to revoke this one."
                .to_owned(),
        ));
    }
    let revoked = client.delete(&path).await?;
    Ok(shown(server, &revoked, |_| {
        let said = "Revoked: the next request with it is refused.";
        if is_own {
            format!("{said} It was the key that this command uses: log in with another one.")
        } else {
            said.to_owned()
        }
    }))
}

/// The names of the tenants that keys are bound to.
async fn names_of_tenants(client: &Client, keys: &[Value]) -> BTreeMap<String, String> {
    let ids = keys.iter().filter_map(|key| key["tenant_id"].as_str().map(str::to_owned)).collect();
    find::names(client, "tenants", "ref", ids).await
}

/// What a key may do, in few words.
fn scopes(key: &Value) -> String {
    let is_admin = key["scopes"].as_array().is_some_and(|scopes| scopes.iter().any(|scope| scope == "admin"));
    if is_admin { "admin (all)".to_owned() } else { field(key, "scopes") }
}

/// What alone a key sees, in few words.
fn limits(key: &Value, tenants: &BTreeMap<String, String>) -> String {
    let tenant = key["tenant_id"].as_str().map(|id| {
        let name = tenants.get(id).map_or(id, String::as_str);
        format!("tenant {name}")
    });
    let domains = key["allowed_domain_ids"].as_array().map(|ids| match ids.len() {
        0 => "no domain".to_owned(),
        1 => "1 domain".to_owned(),
        several => format!("{several} domains"),
    });
    let parts: Vec<String> = tenant.into_iter().chain(domains).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn of_new_key(key: &Value, tenants: &BTreeMap<String, String>) -> String {
    let told = [
        ("Id", field(key, "id")),
        ("Name", field(key, "name")),
        ("Scopes", scopes(key)),
        ("Limited to", limits(key, tenants)),
        ("Ends", time(key, "expires_at")),
    ];
    format!(
        "{}\n\n{}\n\nThis is the key. Keep it now: it is not shown again.",
        facts(&told),
        field(key, "secret")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_in_few_words() {
        let tenants = BTreeMap::from([("tnt_1".to_owned(), "cust_1".to_owned())]);
        for (key, words) in [
            (json!({"tenant_id": null, "allowed_domain_ids": null}), "-"),
            (json!({"tenant_id": "tnt_1", "allowed_domain_ids": ["a", "b"]}), "tenant cust_1, 2 domains"),
            (json!({"tenant_id": "tnt_2", "allowed_domain_ids": null}), "tenant tnt_2"),
            (json!({"tenant_id": null, "allowed_domain_ids": []}), "no domain"),
        ] {
            assert_eq!(limits(&key, &tenants), words);
        }
    }
}
