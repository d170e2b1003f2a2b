//! `countersign tenants`: the customers of an organisation.

use super::{
    Failure, Outcome, PageArgs, ServerArgs, ended, field,
    http::{Client, step},
    items,
    reputation::of_reputation,
    shown,
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
    /// Show what became of a tenant's mail; exit code 0 when it is not over the limits
    #[command(after_help = "Example:\n  countersign tenants reputation cust_12345")]
    Reputation {
        /// Your name for it, or its id
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Let all domains of a tenant send again that were paused since too much of their mail came back
    #[command(after_help = "Example:\n  countersign tenants resume cust_12345")]
    Resume {
        /// Your name for it, or its id
        #[arg(value_name = "REF")]
        reference: String,
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
        TenantsCommand::Reputation { reference } => {
            let path = format!("/tenants/{}/reputation", step(&tenant_id(&client, reference).await?));
            let reputation = client.get(&path).await?;
            let is_paused = reputation["state"] == "paused";
            let exit = shown(server, &reputation, of_reputation);
            Ok(if is_paused && exit == Exit::Good { Exit::Problems } else { exit })
        }
        TenantsCommand::Resume { reference } => {
            let path = format!("/tenants/{}/resume", step(&tenant_id(&client, reference).await?));
            let resumed = client.post(&path, &json!({})).await?;
            Ok(shown(server, &resumed, |_| {
                format!(
                    "The domains of {reference} may send again, and are judged by what comes from now on."
                )
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

/// The id of a tenant that is given by its reference or id.
async fn tenant_id(client: &Client, given: &str) -> Result<String, Failure> {
    // Whether it is there the platform says.
    if given.parse::<model::TenantId>().is_ok() {
        return Ok(given.to_owned());
    }
    let everything = PageArgs { limit: 10_000 };
    let list = client.list("/tenants", &[], &everything).await?;
    let is_it = |tenant: &&Value| tenant["ref"] == given;
    items(&list).iter().find(is_it).map(|tenant| field(tenant, "id")).ok_or_else(|| {
        Failure::Refused(format!(
            "there is no tenant {given} that this key may see\n`countersign tenants list` shows those that there are."
        ))
    })
}
