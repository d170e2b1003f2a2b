//! The client: what can be done over the API, from a terminal or a script.
//!
//! Each command is one request, or a few. What people read is a table or a few lines; `--json` gives what the API
//! answered, byte for byte. Nothing of what a server says steers the terminal.

mod audit;
mod change_sets;
mod contacts;
mod credentials;
mod dns_connections;
mod domain_connect;
mod domain_keys;
mod domains;
mod emails;
mod events;
mod find;
mod http;
mod keys;
mod organisations;
mod reputation;
mod setup_links;
mod suppressions;
pub(super) mod table;
mod tenant;
mod tenants;
mod webhooks;
mod when;

pub use audit::{AuditArgs, run as audit};
pub use change_sets::{ChangeSetsCommand, run as change_sets};
pub use contacts::{ContactsCommand, run as contacts};
pub use credentials::{LoginArgs, login, logout};
pub use dns_connections::{DnsConnectionsCommand, run as dns_connections};
pub use domain_connect::{DomainConnectCommand, run as domain_connect};
pub use domains::{DomainsCommand, run as domains};
pub use emails::{EmailsCommand, run as emails};
pub use events::{EventsArgs, run as events};
pub use keys::{KeysCommand, run as keys};
pub use organisations::{OrganisationsCommand, run as organisations};
pub use setup_links::{SetupLinksCommand, run as setup_links};
pub use suppressions::{SuppressionsCommand, run as suppressions};
pub use tenants::{TenantsCommand, run as tenants};
pub use webhooks::{WebhooksCommand, run as webhooks};

use super::{
    Exit,
    show::{self, harmless},
};
use serde_json::Value;
use std::{io::Write, time::Duration};

/// How often what is waited for is looked at.
const PAUSE: Duration = Duration::from_secs(2);

/// Which platform, and how its answers are shown.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    #[arg(
        help = "Address of the platform [default: that of `countersign login`, else http://127.0.0.1:8080]",
        long,
        env = "COUNTERSIGN_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    url: Option<String>,
    /// Your name for the customer whose things alone are seen and used
    #[arg(long, value_name = "REF", global = true)]
    tenant: Option<String>,
    /// With a root key: the id of the organisation to act in
    #[arg(long, env = "COUNTERSIGN_ORGANISATION", hide_env_values = true, value_name = "ID", global = true)]
    organisation: Option<String>,
    /// Print what the API answers, as JSON
    #[arg(long, global = true)]
    json: bool,
}

/// Which part of a list.
#[derive(Debug, Clone, clap::Args)]
pub struct PageArgs {
    /// How many, newest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The platform said no.
    Refused(String),
    /// The command was wrong, or there is no key for it.
    Usage(String),
    /// Nothing certain can be said: no answer, or a fault there.
    Unknown(String),
    /// Too many requests: what the platform says, and when to ask again.
    TooMany(String, Duration),
}

impl Failure {
    fn tell(&self) -> Exit {
        let (text, exit) = match self {
            Self::Refused(text) => (text, Exit::Problems),
            Self::Usage(text) => (text, Exit::Usage),
            Self::Unknown(text) | Self::TooMany(text, _) => (text, Exit::Unknown),
        };
        show::fail(text);
        exit
    }
}

type Outcome<T = Exit> = Result<T, Failure>;

/// The exit code of what a command came to.
fn ended(outcome: Outcome) -> Exit {
    outcome.unwrap_or_else(|failure| failure.tell())
}

/// Prints what is for people, or with `--json` what the API answered.
fn shown(server: &ServerArgs, answer: &Value, text: impl FnOnce(&Value) -> String) -> Exit {
    let text = if server.json { format!("{answer:#}\n") } else { harmless(&text(answer)) + "\n" };
    show::print(&text).unwrap_or(Exit::Good)
}

/// Says beside the result what leads on; not a part of it, so that what reads the result has just that.
fn show_more(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", harmless(text)));
}

/// The things of a list.
fn items(list: &Value) -> &[Value] {
    list["data"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Now, for times that are given as how far away they are.
#[expect(clippy::disallowed_methods, reason = "the command line is the composition root of the client")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A field as people read it.
fn field(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A time as people read it: to the second, in UTC.
fn time(value: &Value, name: &str) -> String {
    let text = field(value, name);
    let seconds = text.get(..19).filter(|_| text.ends_with('Z')).map(|text| text.replace('T', " "));
    seconds.map_or(text, |seconds| format!("{seconds}Z"))
}
