//! `countersign check`: any domain, no server, no account.

use super::Exit;
use crate::instance::system_time;
use diagnosis::{Report, inquiry::Policy, plan};
use explain::render;
use model::{DomainName, Verdict};
use std::{
    fs,
    io::{IsTerminal, Write},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How long a whole check may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Domain to check, such as mail.example.com; an e-mail address stands for its domain
    pub domain: String,
    /// Resolver to ask, ADDRESS or ADDRESS:PORT; may be given several times [default: those of this machine]
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_resolver)]
    pub resolver: Vec<SocketAddr>,
    /// DKIM selector to look at; may be given several times
    #[arg(long, value_name = "SELECTOR")]
    pub selector: Vec<String>,
    /// How to show the result
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Show what is fine too, and who was asked
    #[arg(long, short)]
    pub verbose: bool,
}

/// How a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people at a terminal.
    Text,
    /// For programs.
    Json,
    /// For tickets and chats.
    Markdown,
    /// For a page of your own: a fragment.
    Html,
}

fn parse_resolver(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse()
        .map_err(|_| "give an IP address, with or without a port: 9.9.9.9 or 127.0.0.1:5300".to_owned())
}

/// Checks one domain and prints the report.
pub async fn run(arguments: &CheckArgs) -> Exit {
    match report(arguments).await {
        Ok(report) => {
            let text = show(&report, arguments);
            let mut out = std::io::stdout().lock();
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                // A reader that has seen enough (`head`) closes the pipe.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    drop(writeln!(std::io::stderr(), "error: the result could not be written: {error}"));
                    Exit::Usage
                }
                _ => exit_of(&report),
            }
        }
        Err(problem) => {
            drop(writeln!(std::io::stderr(), "error: {problem}"));
            Exit::Usage
        }
    }
}

fn exit_of(report: &Report) -> Exit {
    match report.verdict {
        Verdict::Pass => Exit::Good,
        Verdict::Fail => Exit::Problems,
        Verdict::Unknown => Exit::Unknown,
    }
}

async fn report(arguments: &CheckArgs) -> Result<Report, String> {
    let text = arguments.domain.rsplit('@').next().unwrap_or_default();
    let domain = DomainName::parse(text).map_err(|error| error.to_string())?;
    if domain.as_str().starts_with('*') {
        return Err(format!("{domain} is a wildcard; give a domain that mail comes from"));
    }
    for selector in &arguments.selector {
        if selector.contains("._domainkey") {
            let short = selector.split("._domainkey").next().unwrap_or_default();
            return Err(format!("the selector \"{selector}\" is a whole name; give only \"{short}\""));
        }
        domain
            .prepend(&format!("{selector}._domainkey"))
            .map_err(|error| format!("the selector \"{selector}\": {error}"))?;
    }
    let resolvers =
        if arguments.resolver.is_empty() { system_resolvers()? } else { arguments.resolver.clone() };
    let policy = Policy::for_resolvers(resolvers);
    let plan = plan::audit(&domain, &arguments.selector);
    let client = dns::Client::new(dns::ClientOptions::default());
    let observation = dns::observe(&client, &plan, &policy, system_time, DEADLINE).await;
    Ok(diagnosis::diagnose(&plan, &observation, system_time()))
}

fn show(report: &Report, arguments: &CheckArgs) -> String {
    let now = report.checked_at;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match arguments.format {
        Format::Text => {
            let mut options = render::RenderOptions::new(now);
            options.width = 100;
            options.colour = colour;
            options.verbose = arguments.verbose;
            render::text(report, &options)
        }
        Format::Json => format!("{:#}\n", render::json(report, now)),
        Format::Markdown => render::markdown(report, &render::RenderOptions::new(now)),
        Format::Html => render::html_fragment(report, &render::RenderOptions::new(now)),
    }
}

/// The resolvers of this machine.
fn system_resolvers() -> Result<Vec<SocketAddr>, String> {
    const PATH: &str = "/etc/resolv.conf";
    let text = fs::read_to_string(PATH)
        .map_err(|error| format!("{PATH}: {error}; name a resolver with --resolver"))?;
    let resolvers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        // A zone index (fe80::1%eth0) means nothing to a socket address; such a resolver is passed over.
        .filter_map(|address| address.trim().parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .take(3)
        .collect();
    if resolvers.is_empty() {
        return Err(format!("{PATH} names no resolver; name one with --resolver ADDRESS"));
    }
    Ok(resolvers)
}
