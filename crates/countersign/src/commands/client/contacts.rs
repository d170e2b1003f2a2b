//! `countersign contacts`: whom to write to before sending from a domain stops.

use super::{
    Failure, Outcome, PageArgs, ServerArgs, ended, field, find,
    http::{Client, step},
    items, shown,
    table::table,
    tenant::{self, NewTenantArgs},
    time,
};
use crate::commands::Exit;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What to do with contacts.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ContactsCommand {
    /// List contacts, newest first
    #[command(after_help = "Example:\n  countersign contacts list")]
    List {
        /// How much of the list
        #[command(flatten)]
        page: PageArgs,
    },
    /// Have somebody written to when a verified domain breaks, before its sending stops, and when it is mended
    #[command(
        after_help = "Examples:\n  countersign contacts add dns@example.com\n  countersign contacts add shop@example.com --domain mail.example.com\n  countersign contacts add ops@example.com --tenant cust_12345"
    )]
    Add {
        /// The address
        address: String,
        /// For this domain alone: name or id; for all without
        #[arg(long)]
        domain: Option<String>,
        /// Whether the tenant may be a new one
        #[command(flatten)]
        new_tenant: NewTenantArgs,
    },
    /// Send the mail once more that asks for the confirmation; the link in the one before ends
    #[command(
        after_help = "Examples:\n  countersign contacts resend dns@example.com\n  countersign contacts resend ctc_01JD0000000000000000000000"
    )]
    Resend {
        /// Address or id
        contact: String,
    },
    /// Have somebody written to no more
    #[command(
        after_help = "Examples:\n  countersign contacts delete ctc_01JD0000000000000000000000\n  countersign contacts delete dns@example.com"
    )]
    Delete {
        /// Address or id
        contact: String,
    },
}

/// `countersign contacts`.
pub async fn run(server: &ServerArgs, command: &ContactsCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &ContactsCommand) -> Outcome {
    let client = Client::of(server)?;
    match command {
        ContactsCommand::List { page } => list(server, &client, page).await,
        ContactsCommand::Add { address, domain, new_tenant } => {
            let mut body = json!({ "address": address });
            match domain {
                Some(domain) => body["domain_id"] = json!(find::domain_id(&client, domain).await?),
                None => tenant::check(server, &client, new_tenant).await?,
            }
            let contact = client.post("/contacts", &body).await?;
            Ok(shown(server, &contact, |contact| {
                let about = match (domain, &server.tenant) {
                    (Some(domain), _) => domain.clone(),
                    (None, Some(tenant)) => format!("the domains of {tenant}"),
                    (None, None) => "all domains".to_owned(),
                };
                let address = field(contact, "address");
                if contact["confirmed_at"].is_null() {
                    return format!(
                        "{address} has a mail with a link, good for 7 days, and is written to about {about} once it was used."
                    );
                }
                format!("{address} is written to about {about}.")
            }))
        }
        ContactsCommand::Resend { contact } => {
            let id = contact_id(&client, contact).await?;
            let asked = client.post(&format!("/contacts/{}/resend", step(&id)), &json!({})).await?;
            Ok(shown(server, &asked, |asked| {
                let address = field(asked, "address");
                if asked["confirmed_at"].is_null() {
                    return format!(
                        "{address} has another mail with a link, good for 7 days; the one before is good no more."
                    );
                }
                format!("{address} is confirmed already, so no mail was sent.")
            }))
        }
        ContactsCommand::Delete { contact } => {
            let id = contact_id(&client, contact).await?;
            let deleted = client.delete(&format!("/contacts/{}", step(&id))).await?;
            Ok(shown(server, &deleted, |_| format!("{contact} is written to no more.")))
        }
    }
}

async fn list(server: &ServerArgs, client: &Client, page: &PageArgs) -> Outcome {
    let list = client.list("/contacts", &[], page).await?;
    let (domains, tenants) = if server.json {
        (BTreeMap::new(), BTreeMap::new())
    } else {
        let ids = |field: &str| -> BTreeSet<String> {
            items(&list).iter().filter_map(|contact| contact[field].as_str().map(str::to_owned)).collect()
        };
        (
            find::names(client, "domains", "unicode", ids("domain_id")).await,
            find::names(client, "tenants", "ref", ids("tenant_id")).await,
        )
    };
    Ok(shown(server, &list, |list| {
        let named = |names: &BTreeMap<String, String>, id: &str| {
            names.get(id).cloned().unwrap_or_else(|| id.to_owned())
        };
        let row = |contact: &Value| {
            let about = match (contact["domain_id"].as_str(), contact["tenant_id"].as_str()) {
                (Some(id), _) => named(&domains, id),
                (None, Some(id)) => format!("tenant {}", named(&tenants, id)),
                (None, None) => "all domains".to_owned(),
            };
            let confirmed = if contact["confirmed_at"].is_null() { "no" } else { "yes" };
            [
                field(contact, "address"),
                about,
                confirmed.to_owned(),
                time(contact, "created_at"),
                field(contact, "id"),
            ]
        };
        let rows: Vec<_> = items(list).iter().map(row).collect();
        let none = "Nobody is written to. `countersign contacts add dns@example.com` adds somebody.";
        table(["ADDRESS", "ABOUT", "CONFIRMED", "SINCE", "ID"], &rows, none)
    }))
}

/// The id of a contact that is given by address or id.
async fn contact_id(client: &Client, given: &str) -> Result<String, Failure> {
    if given.starts_with("ctc_") {
        return Ok(given.to_owned());
    }
    let everything = PageArgs { limit: 10_000 };
    let list = client.list("/contacts", &[], &everything).await?;
    let has_address = |contact: &&Value| {
        contact["address"].as_str().is_some_and(|address| address.eq_ignore_ascii_case(given))
    };
    let found: Vec<&Value> = items(&list).iter().filter(has_address).collect();
    match found.as_slice() {
        [one] => Ok(field(one, "id")),
        [] => Err(Failure::Refused(format!(
            "there is no contact {given} that this key may see\n`countersign contacts list` shows those that there are."
        ))),
        _ => Err(Failure::Refused(format!(
            "{given} is there more than once; name it by the id that `countersign contacts list` shows"
        ))),
    }
}
