//! `countersign owner-link`: a way in for who cannot get in, made at the platform's machine.

use super::{
    Exit,
    backup::{Place, say},
    show,
};
use crate::{instance::system_time, serving};
use app::{ports::Random, users::reset::AtTheMachine};

/// Who is to get in.
#[derive(Debug, Clone, clap::Args)]
pub struct OwnerLinkArgs {
    /// Address of a user who is locked out; left out, the link is for the first owner, where nobody is there yet
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Take the second factor away too, for who lost it
    #[arg(long, requires = "email")]
    without_second_factor: bool,
    #[command(flatten)]
    place: Place,
}

/// `countersign owner-link`.
pub async fn run(arguments: &OwnerLinkArgs) -> Exit {
    match carry_out(arguments).await {
        Ok(text) => {
            say(&text);
            Exit::Good
        }
        Err(problem) => show::fail(&problem),
    }
}

async fn carry_out(arguments: &OwnerLinkArgs) -> Result<String, String> {
    let (config, store) = arguments.place.open().await?;
    let public_url = serving::public_url(&config).map_err(|error| error.to_string())?;
    let public_url = public_url.unwrap_or_else(|| format!("http://{}", config.http));
    let random = Random::system();
    let machine =
        AtTheMachine { store: &store, random: &random, now: system_time(), public_url: &public_url };
    let text = match &arguments.email {
        None => {
            let link = machine.first_owner_link().await.map_err(|error| error.to_string())?;
            let link = link.ok_or(
                "somebody is there already; name who is locked out: countersign owner-link --email ADDRESS",
            )?;
            format!("{link}\n\nThe link makes the first owner. It works once, and for 7 days.")
        }
        Some(email) => {
            let link = machine.reset_link(email, arguments.without_second_factor).await;
            let link = link.map_err(|error| error.to_string())?;
            let also = if arguments.without_second_factor { " and takes the second factor away" } else { "" };
            format!(
                "{link}\n\nThe link sets another password{also}. It works once, for an hour. Give it to nobody else: whoever \
                 opens it gets in. The audit log says that it was made."
            )
        }
    };
    store.close().await;
    Ok(text)
}
