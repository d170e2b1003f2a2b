//! `countersign setup-links`: pages for whoever runs a domain's DNS and has no account.

use super::{
    Outcome, PageArgs, ServerArgs, ended, field, find,
    http::{Client, step},
    items, shown,
    table::table,
    time,
};
use crate::commands::Exit;
use serde_json::{Value, json};

/// What to do with setup links.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum SetupLinksCommand {
    /// Make a link to a page with a domain's records and the steps at its DNS host
    ///
    /// Whoever has the link needs no account, and sees nothing else. It is printed once.
    #[command(
        after_help = "Examples:\n  countersign setup-links make mail.example.com\n  countersign setup-links make mail.example.com --days 14 --note 'the web agency'"
    )]
    Make {
        /// Name or id of the domain
        domain: String,
        /// For how many days it is good, 1 to 30
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// For whom it is, to tell links apart; it is not on the page
        #[arg(long)]
        note: Option<String>,
        /// Whoever opens it may have the records written, with a credential of their own that is used once
        #[arg(long)]
        may_publish: bool,
    },
    /// List the good links of a domain, newest first
    #[command(after_help = "Example:\n  countersign setup-links list mail.example.com")]
    List {
        /// Name or id of the domain
        domain: String,
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Take a link back: it works no more
    #[command(after_help = "Example:\n  countersign setup-links delete lnk_01JD0000000000000000000000")]
    Delete {
        /// Id, as `setup-links list` shows it
        link: String,
    },
}

/// `countersign setup-links`.
pub async fn run(server: &ServerArgs, command: &SetupLinksCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &SetupLinksCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        SetupLinksCommand::Make { domain, days, note, may_publish } => {
            let path = links_of(&client, domain).await?;
            let made = client
                .post(&path, &json!({"expires_in_days": days, "note": note, "may_publish": may_publish}))
                .await?;
            Ok(shown(server, &made, |made| {
                format!(
                    "{}\n\nHand this address to whoever runs the DNS of {domain}. It is good until {}, and is not shown again.",
                    field(made, "url"),
                    time(made, "expires_at")
                )
            }))
        }
        SetupLinksCommand::List { domain, page } => {
            let list = client.list(&links_of(&client, domain).await?, &[], page).await?;
            Ok(shown(server, &list, |list| {
                let opened = |link: &Value| match link["opened_at"].as_str() {
                    Some(_) => time(link, "opened_at"),
                    None => "not yet".to_owned(),
                };
                let note = |link: &Value| link["note"].as_str().unwrap_or("–").to_owned();
                let rows: Vec<_> = items(list)
                    .iter()
                    .map(|link| [note(link), opened(link), time(link, "expires_at"), field(link, "id")])
                    .collect();
                let none =
                    format!("There is no good link now. `countersign setup-links make {domain}` makes one.");
                table(["FOR", "OPENED", "GOOD UNTIL", "ID"], &rows, &none)
            }))
        }
        SetupLinksCommand::Delete { link } => {
            let deleted = client.delete(&format!("/setup-links/{}", step(link))).await?;
            Ok(shown(server, &deleted, |_| "Taken back: it works no more.".to_owned()))
        }
    }
}

async fn links_of(client: &Client, domain: &str) -> Result<String, super::Failure> {
    Ok(format!("/domains/{}/setup-links", step(&find::domain_id(client, domain).await?)))
}
