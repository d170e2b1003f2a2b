//! `countersign tenants`: the customers of an organisation.

use super::{
    Outcome, PageArgs, ServerArgs, ended, field,
    http::Client,
    items, shown,
    table::{facts, table},
    time,
};
use crate::commands::Exit;
use serde_json::{Value, json};

/// What to do with tenants.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TenantsCommand {
    /// List tenants, newest first
    #[command(after_help = "Example:\n  countersign tenants list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make a tenant, or find the one of this name
    #[command(after_help = "Example:\n  countersign tenants add cust_12345")]
    Add {
        /// Your name for it
        #[arg(value_name = "REF")]
        reference: String,
    },
}

/// `countersign tenants`.
pub async fn run(server: &ServerArgs, command: &TenantsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &TenantsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        TenantsCommand::List { page } => {
            let list = client.list("/tenants", &[], page).await?;
            Ok(shown(server, &list, |list| {
                let row =
                    |tenant: &Value| [field(tenant, "ref"), time(tenant, "created_at"), field(tenant, "id")];
                let rows: Vec<_> = items(list).iter().map(row).collect();
                table(["REF", "SINCE", "ID"], &rows, "No tenants.")
            }))
        }
        TenantsCommand::Add { reference } => {
            let tenant = client.post("/tenants", &json!({"ref": reference})).await?;
            Ok(shown(server, &tenant, |tenant| {
                facts(&[("Ref", field(tenant, "ref")), ("Id", field(tenant, "id"))])
            }))
        }
    }
}
