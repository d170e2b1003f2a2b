//! `countersign check`: any domain, no server, no account.

mod resolvers;
pub mod subject;

use super::{
    Exit,
    show::{self, Checked, ShowArgs},
};
use crate::instance::system_time;
use diagnosis::{inquiry::Policy, plan};
use model::DomainName;
use std::{net::SocketAddr, time::Duration};

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Domain to check, such as mail.example.com; an e-mail address stands for its domain
    pub domain: String,
    /// Resolver to ask, ADDRESS or ADDRESS:PORT; may be given several times [default: those of this machine]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = resolvers::parse)]
    pub resolver: Vec<SocketAddr>,
    /// DKIM selector to look at; may be given several times
    #[arg(long, value_name = "SELECTOR")]
    pub selector: Vec<String>,
    /// How long the whole check may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// How the result is shown.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Checks one domain and prints the report.
pub async fn run(arguments: &CheckArgs) -> Exit {
    match check(arguments).await {
        Ok(checked) => arguments.show.print(&checked),
        Err(problem) => show::fail(&problem),
    }
}

async fn check(arguments: &CheckArgs) -> Result<Checked, String> {
    let domain = subject::parse(&arguments.domain)?;
    check_selectors(&domain, &arguments.selector)?;
    let resolvers = if arguments.resolver.is_empty() {
        resolvers::of_this_machine()?
    } else {
        arguments.resolver.clone()
    };
    let policy = Policy::for_resolvers(resolvers);
    let plan = plan::audit(&domain, &arguments.selector);
    let client = dns::Client::new(dns::ClientOptions::default());
    let deadline = Duration::from_secs(arguments.timeout);
    let started_at = system_time();
    let observation = dns::observe(&client, &plan, &policy, system_time, deadline).await;
    let mut report = diagnosis::diagnose(&plan, &observation, system_time());
    report.started_at = Some(started_at);
    Ok(Checked { plan, observation, report })
}

fn check_selectors(domain: &DomainName, selectors: &[String]) -> Result<(), String> {
    for selector in selectors {
        if selector.contains("._domainkey") {
            let short = selector.split("._domainkey").next().unwrap_or_default();
            return Err(format!("the selector \"{selector}\" is a whole name; give only \"{short}\""));
        }
        domain
            .prepend(&format!("{selector}._domainkey"))
            .map_err(|error| format!("the selector \"{selector}\": {error}"))?;
    }
    Ok(())
}
