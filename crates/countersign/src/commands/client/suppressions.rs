//! `countersign suppressions`: addresses that get no mail.

use super::{
    Outcome, PageArgs, ServerArgs, ended, field,
    http::{Client, step},
    items, shown,
    table::table,
    time,
};
use crate::commands::Exit;
use serde_json::{Value, json};

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
pub async fn run(server: &ServerArgs, command: &SuppressionsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &SuppressionsCommand) -> Outcome {
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
