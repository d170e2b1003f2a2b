//! `countersign domain-connect`: templates for DNS hosts, and the way to one.

use super::{
    Failure, Outcome, ServerArgs, ended, field,
    find::domain_path,
    http::{Client, step},
    items, shown, time,
};
use crate::commands::{Exit, show};
use serde_json::{Value, json};
use std::{fmt::Write as _, fs, path::PathBuf};

/// What to do with Domain Connect.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DomainConnectCommand {
    /// Print the template of a profile, for DNS hosts to take in
    ///
    /// The file has a name there, providerId.serviceId.json in lower case; with --to it is written under it.
    #[command(
        after_help = "Examples:\n  countersign domain-connect template\n  countersign domain-connect template --profile two-txt --to templates"
    )]
    Template {
        /// Name of the profile [default: that of domains that are added without naming one]
        #[arg(long)]
        profile: Option<String>,
        /// Folder to write the file to, in place of printing it
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
}

/// `countersign domain-connect`.
pub async fn run(server: &ServerArgs, command: &DomainConnectCommand) -> Exit {
    ended(carry_out(server, command).await)
}

async fn carry_out(server: &ServerArgs, command: &DomainConnectCommand) -> Outcome {
    let client = Client::of(server)?;
    let DomainConnectCommand::Template { profile, to } = command;
    let profile = match profile {
        Some(profile) => profile.clone(),
        None => default_profile(&client).await?,
    };
    let text = client.text(&format!("/profiles/{}/template", step(&profile))).await?;
    let Some(folder) = to else {
        return Ok(show::print(&(show::harmless(&text) + "\n")).unwrap_or(Exit::Good));
    };
    let name = file_name(&text).ok_or_else(|| Failure::Unknown("the answer is no template".to_owned()))?;
    let path = folder.join(name);
    let failed = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    fs::write(&path, format!("{text}\n")).map_err(failed)?;
    Ok(show::print(&format!("{}\n", path.display())).unwrap_or(Exit::Good))
}

async fn default_profile(client: &Client) -> Result<String, Failure> {
    let list = client.get("/profiles").await?;
    let default = items(&list).iter().find(|profile| profile["default"] == true);
    default.and_then(|profile| profile["name"].as_str().map(str::to_owned)).ok_or_else(|| {
        Failure::Usage("the platform names no default profile; give one with --profile".to_owned())
    })
}

/// The name of a template's file. What a server says makes no way out of the folder.
fn file_name(text: &str) -> Option<String> {
    let template: Value = serde_json::from_str(text).ok()?;
    let [provider, service] = ["providerId", "serviceId"].map(|name| template[name].as_str());
    let name = format!("{}.{}.json", provider?, service?).to_ascii_lowercase();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    (name.bytes().all(is_plain) && !name.starts_with('.')).then_some(name)
}

/// `countersign domains connect`.
pub(super) async fn connect(server: &ServerArgs, client: &Client, domain: &str) -> Outcome {
    let path = format!("{}/domain-connect", domain_path(client, domain).await?);
    let link = client.post(&path, &json!({})).await?;
    Ok(shown(server, &link, |link| {
        let host = field(&link["dns_host"], "name");
        let mut text = format!(
            "{}\n\nOpen this address as whoever runs {} at {host}, and agree there. It is asked for: {}. The way back is good until {}.",
            field(link, "url"),
            field(link, "zone"),
            field(link, "groups"),
            time(link, "good_until"),
        );
        if link["by_hand"].as_array().is_some_and(|names| !names.is_empty()) {
            let _ = write!(text, "\nLeft alone, to be looked at by hand: {}.", field(link, "by_hand"));
        }
        let _ = write!(text, "\n`countersign domains verify {domain} --watch` tells when it is done.");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_in_its_folder() {
        let of = |provider: &str, service: &str| {
            file_name(&json!({"providerId": provider, "serviceId": service}).to_string())
        };
        assert_eq!(of("Example.net", "Three-CNAME").as_deref(), Some("example.net.three-cname.json"));
        for (provider, service) in [("../x", "y"), ("x", "/etc/y"), (".x", "y"), ("x\\y", "z")] {
            assert_eq!(of(provider, service), None);
        }
        assert_eq!(file_name("[]"), None);
    }
}
