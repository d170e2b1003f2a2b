//! `countersign check`: any domain, no server, no account.

mod bulk;
mod expected;
pub(crate) mod resolvers;
mod signals;
pub mod subject;
mod wanted;
mod watch;

use super::{
    Exit,
    show::{self, Checked, ShowArgs},
};
use crate::instance::system_time;
use diagnosis::{
    Observation, Report,
    inquiry::{AddressFamily, Policy},
    observation::{Exchange, Server},
};
use dns::Rate;
use std::{io::Write, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};
use wanted::{Wanted, WantedArgs};
use watch::WatchArgs;

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Domain to check, such as mail.example.com; an e-mail address stands for its domain
    #[arg(required_unless_present_any = ["from_file", "expect"], conflicts_with = "from_file")]
    pub domain: Option<String>,
    /// Resolver to ask, ADDRESS or ADDRESS:PORT; may be given several times [default: those of this machine]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = resolvers::parse)]
    pub resolver: Vec<SocketAddr>,
    /// Ask name servers at their IPv4 addresses only
    #[arg(long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Ask name servers at their IPv6 addresses only
    #[arg(long)]
    pub ipv6: bool,
    /// How long the check of one domain may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// How many questions a second each server is asked at most [default: 300; no limit on this machine]
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    pub rate: Option<NonZeroU32>,
    /// How the result is shown.
    #[command(flatten)]
    pub show: ShowArgs,
    /// What is looked for.
    #[command(flatten)]
    pub wanted: WantedArgs,
    /// Waiting until all is there.
    #[command(flatten)]
    pub waiting: WatchArgs,
    /// Many domains at once.
    #[command(flatten)]
    pub many: ManyArgs,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "give a whole number of questions a second, 1 or more".to_owned())
}

/// The flags for many domains.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
#[command(next_help_heading = "Many domains")]
pub struct ManyArgs {
    /// List of domains, one a line, # for comments; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "verbose", "expect"])]
    pub from_file: Option<PathBuf>,
    /// One JSON object a line, as results come, in place of a line of text
    #[arg(long)]
    pub ndjson: bool,
    /// The whole report in each line, with the raw answers, for `countersign explain`
    #[arg(long)]
    pub full: bool,
    /// Write the results there as NDJSON
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Go on where an earlier run stopped: leave out what --output has already
    #[arg(long, requires = "output")]
    pub resume: bool,
    /// How many domains are looked at at once [default: 64]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub concurrency: Option<u16>,
    /// Ask every name server about records that resolvers find right too, as the check of a single domain does
    #[arg(long)]
    pub thorough: bool,
}

/// Checks one domain, or a list of them, and prints what was found.
pub async fn run(arguments: &CheckArgs) -> Exit {
    if let Some(flag) = arguments.without_thorough() {
        return show::fail(&format!(
            "in a list {flag} takes --thorough: else only the records are looked at"
        ));
    }
    if let Some(flag) = arguments.many.without_list() {
        return show::fail(&format!("{flag} is for many domains; name their list with --from-file FILE"));
    }
    let done = match (&arguments.domain, &arguments.many.from_file) {
        (_, Some(list)) => bulk::run(arguments, list).await,
        (domain, None) => check(arguments, domain.as_deref()).await,
    };
    done.unwrap_or_else(|problem| show::fail(&problem))
}

async fn check(arguments: &CheckArgs, domain: Option<&str>) -> Result<Exit, String> {
    let wanted = Wanted::from_arguments(arguments)?;
    let plan = wanted.plan(&wanted.domain(domain)?)?;
    let policy = policy(arguments)?;
    let client = arguments.client();
    if arguments.waiting.watch {
        return watch::run(arguments, &client, &plan, &policy).await;
    }
    let started_at = system_time();
    let observation = dns::observe(&client, &plan, &policy, system_time, arguments.deadline()).await;
    let mut report = diagnosis::diagnose(&plan, &observation, system_time());
    report.started_at = Some(started_at);
    report.once = true;
    note_family(policy.family, &report, &observation);
    Ok(arguments.show.print(&Checked { plan, observation, report }))
}

fn policy(arguments: &CheckArgs) -> Result<Policy, String> {
    let resolvers = if arguments.resolver.is_empty() {
        resolvers::of_this_machine()?
    } else {
        arguments.resolver.clone()
    };
    let family = match (arguments.ipv4, arguments.ipv6) {
        (true, _) => AddressFamily::Ipv4,
        (_, true) => AddressFamily::Ipv6,
        _ => AddressFamily::Any,
    };
    Ok(Policy { family, ..Policy::for_resolvers(resolvers) })
}

/// Says that there was nobody to ask in the way that was wanted: what resolvers say is then all that is known.
fn note_family(family: AddressFamily, report: &Report, observation: &Observation) {
    let is_name_server = |exchange: &Exchange| matches!(exchange.ask.server, Server::Authority { .. });
    let family = match family {
        AddressFamily::Any => return,
        AddressFamily::Ipv4 => "IPv4",
        AddressFamily::Ipv6 => "IPv6",
    };
    if let Some(zone) = report
        .zone
        .as_ref()
        .filter(|_| !observation.exchanges.iter().any(|exchange| is_name_server(exchange)))
    {
        let note = format!(
            "note: no name server of {zone} has an {family} address that can be asked; only resolvers were"
        );
        drop(writeln!(std::io::stderr(), "{}", show::harmless(&note)));
    }
}

impl ManyArgs {
    /// A flag that says nothing without a list. (Clap does not ask for a list where a domain excludes it.)
    fn without_list(&self) -> Option<&'static str> {
        let flags = [
            ("--ndjson", self.ndjson),
            ("--full", self.full),
            ("--output", self.output.is_some()),
            ("--concurrency", self.concurrency.is_some()),
            ("--thorough", self.thorough),
        ];
        let given = flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        given.filter(|_| self.from_file.is_none())
    }
}

impl CheckArgs {
    /// A flag that has no effect on a list that is gone through quickly.
    fn without_thorough(&self) -> Option<&'static str> {
        let flags = [
            ("--sender", !self.wanted.sender.is_empty()),
            ("--certificate-authority", self.wanted.certificate_authority.is_some()),
        ];
        let given = flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        given.filter(|_| self.many.from_file.is_some() && !self.many.thorough)
    }

    fn client(&self) -> dns::Client {
        let rate = self.rate.map_or(Rate::Considerate, Rate::PerServer);
        dns::Client::new(dns::ClientOptions { rate, ..dns::ClientOptions::default() })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}
