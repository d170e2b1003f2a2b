//! `countersign dns-connections`: credentials of DNS hosts that are kept.

use super::{
    Outcome, PageArgs, ServerArgs,
    change_sets::{REPAIR, credential},
    ended, field, find,
    http::{Client, step},
    items, shown,
    table::table,
    time,
};
use crate::commands::Exit;
use serde_json::{Map, Value, json};

/// What to do with kept credentials.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DnsConnectionsCommand {
    /// Keep a credential of a DNS host, sealed; the host is asked for the zone before
    ///
    /// Nothing needs this: one that is given with a change is used once and forgotten. A kept one is never shown again.
    #[command(
        after_help = "Examples:\n  countersign dns-connections add --domain mail.example.com --host cloudflare < token\n  countersign dns-connections add --zone example.com --host cloudflare --repair auto < token"
    )]
    Add {
        /// The DNS host, by its id as `countersign dns-hosts` shows it. Its credential is read from standard input: one `name=value`
        /// a line; a line without a name is the token
        #[arg(long)]
        host: String,
        /// Name or id of the one domain that it is for
        #[arg(long, required_unless_present = "zone", conflicts_with = "zone")]
        domain: Option<String>,
        /// The zone that it is for, with all domains in it
        #[arg(long)]
        zone: Option<String>,
        /// What you call it
        #[arg(long, default_value = "")]
        label: String,
        /// What it is for by itself when a record of ours is changed or removed. off: nothing; offer: plan what brings it back;
        /// auto: bring it back
        #[arg(long, value_name = "WHAT", default_value = "off", value_parser = REPAIR)]
        repair: String,
    },
    /// List what is kept, newest first
    #[command(after_help = "Example:\n  countersign dns-connections list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show one, without its secret
    #[command(after_help = "Example:\n  countersign dns-connections show con_01JD0000000000000000000000")]
    Show {
        /// Its id
        id: String,
    },
    /// Ask the host whether it takes one still
    #[command(after_help = "Example:\n  countersign dns-connections check con_01JD0000000000000000000000")]
    Check {
        /// Its id
        id: String,
    },
    /// Say what one may be used for by itself
    #[command(
        after_help = "Example:\n  countersign dns-connections repair con_01JD0000000000000000000000 auto"
    )]
    Repair {
        /// Its id
        id: String,
        /// When a record of ours is changed or removed: off: nothing; offer: plan what brings it back; auto: bring it back
        #[arg(value_parser = REPAIR)]
        what: String,
    },
    /// Delete one, its secret with it; what was written with it stays
    #[command(after_help = "Example:\n  countersign dns-connections delete con_01JD0000000000000000000000")]
    Delete {
        /// Its id
        id: String,
    },
}

/// `countersign dns-connections`.
pub async fn run(server: &ServerArgs, command: &DnsConnectionsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &DnsConnectionsCommand) -> Outcome {
    use DnsConnectionsCommand as C;
    let client = Client::of(server)?;
    let at = |id: &str| format!("/dns-connections/{}", step(id));
    let connection = match command {
        C::Add { host, domain, zone, label, repair } => {
            let domain_id = match domain {
                Some(domain) => Some(find::domain_id(&client, domain).await?),
                None => None,
            };
            let credential = if host == "playground" { Map::new() } else { credential(true)? };
            let body = json!({
                "host": host, "credential": credential, "domain_id": domain_id, "zone": zone, "label": label,
                "repair": repair,
            });
            client.post("/dns-connections", &body).await?
        }
        C::List { page } => {
            let list = client.list("/dns-connections", &[], page).await?;
            return Ok(shown(server, &list, |list| {
                let rows: Vec<_> = items(list).iter().map(row).collect();
                let none =
                    "No credential of a DNS host is kept. `countersign domains publish --keep` keeps one.";
                table(["ID", "HOST", "ZONE", "ENDS IN", "REPAIR", "STATE"], &rows, none)
            }));
        }
        C::Show { id } => client.get(&at(id)).await?,
        C::Check { id } => client.post(&format!("{}/check", at(id)), &json!({})).await?,
        C::Repair { id, what } => client.patch(&at(id), &json!({"repair": what})).await?,
        C::Delete { id } => {
            let deleted = client.delete(&at(id)).await?;
            return Ok(shown(server, &deleted, |_| "Deleted, its secret with it.".to_owned()));
        }
    };
    Ok(shown(server, &connection, connection_text))
}

fn row(connection: &Value) -> [String; 6] {
    let [id, host, zone, hint, repair] =
        ["id", "host", "zone", "hint", "repair"].map(|name| field(connection, name));
    let hint = if hint.is_empty() { "–".to_owned() } else { format!("…{hint}") };
    let state = connection["last_error"]["code"].as_str().unwrap_or("good");
    [id, host, zone, hint, repair, state.to_owned()]
}

/// A kept credential as people read it.
fn connection_text(connection: &Value) -> String {
    let [id, host, zone, hint, repair, _] = row(connection);
    let what = match connection["domain_id"].as_str() {
        Some(domain) => format!("{zone}, for {domain} alone"),
        None => format!("{zone}, for all domains in it"),
    };
    let label = match field(connection, "label") {
        label if label.is_empty() => String::new(),
        label => format!(" ({label})"),
    };
    let used = match connection["last_used_at"].as_str() {
        Some(_) => time(connection, "last_used_at"),
        None => "never".to_owned(),
    };
    let state = match connection["last_error"]["message"].as_str() {
        Some(message) => format!("refused: {message}"),
        None => "good".to_owned(),
    };
    format!(
        "{id}{label}\nHost      {host}\nZone      {what}\nEnds in   {hint}\nRepair    {repair}\nLast used {used}\nState     {state}"
    )
}
