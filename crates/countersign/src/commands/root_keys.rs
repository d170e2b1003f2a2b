//! `countersign root-keys`: the keys of whoever runs the platform, made at its machine.

use super::{
    Exit,
    backup::{Place, say},
    show,
};
use crate::instance::system_time;
use app::{ports::Random, root_keys::RootKeys};
use std::fmt::Write as _;

/// What to do with root keys.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum RootKeysCommand {
    /// Make a root key; its secret is shown this once
    #[command(after_help = "Example:\n  countersign root-keys create deploy --data /var/lib/countersign")]
    Create {
        /// By what people know it
        name: String,
        /// Which platform.
        #[command(flatten)]
        place: Place,
    },
    /// List root keys, newest first
    #[command(after_help = "Example:\n  countersign root-keys list --data /var/lib/countersign")]
    List {
        /// Which platform.
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a root key: the next request with it is refused
    #[command(after_help = "Example:\n  countersign root-keys revoke key_01JD0000000000000000000000")]
    Revoke {
        /// Its id
        id: String,
        /// Which platform.
        #[command(flatten)]
        place: Place,
    },
}

/// `countersign root-keys`.
pub async fn run(command: &RootKeysCommand) -> Exit {
    match carry_out(command).await {
        Ok(text) => {
            say(&text);
            Exit::Good
        }
        Err(problem) => show::fail(&problem),
    }
}

async fn carry_out(command: &RootKeysCommand) -> Result<String, String> {
    let (RootKeysCommand::Create { place, .. }
    | RootKeysCommand::List { place }
    | RootKeysCommand::Revoke { place, .. }) = command;
    let (_, store) = place.open().await?;
    let random = Random::system();
    let keys = RootKeys { store: &store, random: &random, now: system_time() };
    let text = match command {
        RootKeysCommand::Create { name, .. } => {
            let (id, secret) = keys.make(name).await.map_err(|error| error.to_string())?;
            format!(
                "{secret}\n\nThis is the root key {id}. Keep it now: it is not shown again. It may do everything in every \
                 organisation; a request names one:\n  X-Countersign-Organisation: org_…"
            )
        }
        RootKeysCommand::List { .. } => {
            let mut text = String::new();
            for key in keys.list().await.map_err(|error| error.to_string())? {
                let state = if key.revoked_at.is_some() { "  revoked" } else { "" };
                let _ = writeln!(
                    text,
                    "{}  {}  {}{state}",
                    key.id,
                    key.display_prefix,
                    show::harmless(&key.name)
                );
            }
            if text.is_empty() { "There are no root keys.".to_owned() } else { text.trim_end().to_owned() }
        }
        RootKeysCommand::Revoke { id, .. } => {
            let id = id.parse().map_err(|error: model::IdError| error.to_string())?;
            let key = keys.revoke(id).await.map_err(|error| error.to_string())?;
            format!(
                "{} ({}) is revoked: the next request with it is refused.",
                key.id,
                show::harmless(&key.name)
            )
        }
    };
    store.close().await;
    Ok(text)
}
