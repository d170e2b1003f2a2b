//! `countersign organisations`: who has a part of the platform, for those who run it.

use super::{
    Failure, Outcome, PageArgs, ServerArgs, ended, field,
    http::{Client, step},
    items, shown,
    table::{facts, table},
    time,
};
use crate::commands::Exit;
use serde_json::{Value, json};

/// What to do with organisations.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum OrganisationsCommand {
    /// List organisations, newest first
    #[command(after_help = "Example:\n  countersign organisations list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make an organisation, and invite who is to own it
    #[command(
        after_help = "Examples:\n  countersign organisations create Acme --owner ann@acme.example\n  countersign keys create deploy --scope admin --organisation org_01JD0000000000000000000000"
    )]
    Create {
        /// Its name, for people
        name: String,
        /// The address that a link to come in goes to, good for 7 days
        #[arg(long, value_name = "ADDRESS")]
        owner: Option<String>,
    },
    /// Show an organisation
    #[command(after_help = "Example:\n  countersign organisations show org_01JD0000000000000000000000")]
    Show {
        /// Its id
        id: String,
    },
    /// Give an organisation another name
    #[command(
        after_help = "Example:\n  countersign organisations rename org_01JD0000000000000000000000 'Acme Inc.'"
    )]
    Rename {
        /// Its id
        id: String,
        /// The new name
        name: String,
    },
    /// Switch an organisation off: its keys and its people are refused
    #[command(
        after_help = "Example:\n  countersign organisations disable org_01JD0000000000000000000000 --yes"
    )]
    Disable {
        /// Its id
        id: String,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Switch an organisation on again
    #[command(after_help = "Example:\n  countersign organisations enable org_01JD0000000000000000000000")]
    Enable {
        /// Its id
        id: String,
    },
}

/// `countersign organisations`.
pub async fn run(server: &ServerArgs, command: &OrganisationsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &OrganisationsCommand) -> Outcome {
    let client = Client::of(server)?;
    let path = |id: &str| format!("/organisations/{}", step(id));
    match command {
        OrganisationsCommand::List { page } => {
            let list = client.list("/organisations", &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row = |one: &Value| {
                    [field(one, "name"), field(one, "status"), time(one, "created_at"), field(one, "id")]
                };
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["NAME", "STATUS", "SINCE", "ID"], &rows, "No organisations.")
            }))
        }
        OrganisationsCommand::Create { name, owner } => {
            let mut body = json!({ "name": name });
            if let Some(owner) = owner {
                body["owner"] = json!(owner);
            }
            let made = client.post("/organisations", &body).await?;
            Ok(shown(server, &made, |made| {
                let next = if let Some(owner) = owner {
                    format!("A link to come in as its owner is on its way to {owner}.")
                } else {
                    let id = field(made, "id");
                    format!("A key for it: `countersign keys create NAME --scope admin --organisation {id}`.")
                };
                format!("{}\n\n{next}", of_one(made))
            }))
        }
        OrganisationsCommand::Show { id } => Ok(shown(server, &client.get(&path(id)).await?, of_one)),
        OrganisationsCommand::Rename { id, name } => {
            Ok(shown(server, &client.patch(&path(id), &json!({ "name": name })).await?, of_one))
        }
        OrganisationsCommand::Disable { id, yes } => {
            if !yes {
                return Err(Failure::Usage(
                    "its keys and its people are refused from then on; add --yes to do it".to_owned(),
                ));
            }
            let disabled = client.post(&format!("{}/disable", path(id)), &json!({})).await?;
            Ok(shown(server, &disabled, of_one))
        }
        OrganisationsCommand::Enable { id } => {
            let enabled = client.post(&format!("{}/enable", path(id)), &json!({})).await?;
            Ok(shown(server, &enabled, of_one))
        }
    }
}

fn of_one(one: &Value) -> String {
    facts(&[
        ("Id", field(one, "id")),
        ("Name", field(one, "name")),
        ("Status", field(one, "status")),
        ("Since", time(one, "created_at")),
    ])
}
