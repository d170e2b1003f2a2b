//! What is looked for: which plan a domain is checked against.

use super::{CheckArgs, expected, subject};
use crate::{
    commands::{input, show},
    config::parse_authority,
};
use diagnosis::{Plan, Profile, Variables, mail_policy::MAX_SENDERS, plan, profile::ProfileError};
use model::DomainName;
use std::{
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The flags that say what is looked for.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What to look for")]
pub struct WantedArgs {
    /// DKIM selector to look at; may be given several times [default: those that many have are tried]
    #[arg(long, value_name = "SELECTOR", conflicts_with_all = ["profile", "template", "expect"])]
    pub selector: Vec<String>,
    /// The records of a built-in profile: three-cname, two-txt, five-records, aggregate, contact-domain
    #[arg(long, value_name = "NAME", conflicts_with_all = ["template", "expect"])]
    pub profile: Option<String>,
    /// The records of a Domain Connect template
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    pub template: Option<PathBuf>,
    /// Value of a variable of the profile or template; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub var: Vec<(String, String)>,
    /// Only these groups of the template's records; may be given several times
    #[arg(long, value_name = "GROUP", requires = "template")]
    pub group: Vec<String>,
    /// The records of a registered domain as the API shows it, or those of an earlier check (--format json); - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Address of a server that sends the mail: its reverse DNS is looked at; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Vec<IpAddr>,
    /// Certificate authority for hosts with links or web pages, as CAA records name it, such as letsencrypt.org
    #[arg(long, value_name = "DOMAIN", value_parser = parse_authority)]
    pub certificate_authority: Option<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            // People write the name as the template has it.
            Ok((name.trim().trim_matches('%').to_owned(), value.to_owned()))
        }
        _ => Err("give NAME=VALUE, such as token1=abc".to_owned()),
    }
}

/// What is looked for: records, and what else the flags name.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The records.
    pub records: Records,
    /// Whose reverse DNS is looked at.
    pub senders: Vec<IpAddr>,
    /// Who is to be able to issue certificates.
    pub certificate_authority: Option<String>,
}

/// Which records are looked for.
#[derive(Debug, Clone)]
pub enum Records {
    /// Any valid SPF and DMARC record, and valid keys at these selectors.
    Audit {
        /// The selectors.
        selectors: Vec<String>,
        /// Whether selectors that many have are tried where none is given: not in a list that is gone through quickly,
        /// nor where somebody waits for records of his own.
        tries: bool,
    },
    /// The records of a profile or template.
    Profile {
        /// The profile.
        profile: Box<Profile>,
        /// Its flag, for messages.
        flag: String,
        /// Whether it is applied as a DNS host does: to a host within the registrable domain.
        is_template: bool,
        /// The values of its variables.
        variables: Variables,
    },
    /// The records of one domain.
    Plan(Plan),
}

impl Wanted {
    /// Reads the flags and the files they name.
    pub fn from_arguments(arguments: &CheckArgs) -> Result<Self, String> {
        let wanted = &arguments.wanted;
        if wanted.sender.len() > MAX_SENDERS {
            return Err(format!(
                "--sender is given {} times; {MAX_SENDERS} are allowed",
                wanted.sender.len()
            ));
        }
        let mut senders: Vec<IpAddr> = wanted.sender.iter().map(IpAddr::to_canonical).collect();
        senders.sort_unstable();
        senders.dedup();
        let certificate_authority = wanted.certificate_authority.clone();
        Ok(Self { records: Records::from_arguments(arguments)?, senders, certificate_authority })
    }

    /// The domain to check: the one that is given, or the one that the records are of.
    pub fn domain(&self, given: Option<&str>) -> Result<DomainName, String> {
        self.records.domain(given)
    }

    /// Whether the flags are enough to plan for any domain, so that a list need not be read to find out.
    pub fn check_values(&self) -> Result<(), String> {
        // A subdomain: no template refuses one.
        let any = DomainName::parse("news.example.com").map_err(|error| error.to_string())?;
        self.plan(&any).map(drop)
    }

    /// The plan for one domain.
    pub fn plan(&self, domain: &DomainName) -> Result<Plan, String> {
        let mut plan = self.records.plan(domain)?;
        if !self.senders.is_empty() {
            plan.senders.clone_from(&self.senders);
        }
        if let Some(authority) = &self.certificate_authority {
            if plan.web_hosts().next().is_none() {
                return Err(format!(
                    "--certificate-authority is for records of hosts with links or web pages, and the {} has none; \
                     name some with --template or --expect",
                    self.records.noun()
                ));
            }
            plan.certificate_authority = Some(authority.clone());
        }
        Ok(plan)
    }
}

impl Records {
    fn from_arguments(arguments: &CheckArgs) -> Result<Self, String> {
        let wanted = &arguments.wanted;
        if wanted.profile.is_none() && wanted.template.is_none() && !wanted.var.is_empty() {
            return Err("--var is for the variables of a --profile or --template; name one".to_owned());
        }
        if let Some(path) = &wanted.expect {
            return Ok(Self::Plan(expected::read(path)?));
        }
        let variables: Variables = wanted.var.iter().cloned().collect();
        if let Some(name) = &wanted.profile {
            let profile = built_in(name)?;
            check_names(&profile, &variables)?;
            let flag = format!("--profile {name}");
            return Ok(Self::Profile { profile: Box::new(profile), flag, is_template: false, variables });
        }
        if let Some(path) = &wanted.template {
            let profile = template(path, &wanted.group)?;
            check_names(&profile, &variables)?;
            let flag = format!("--template {}", crate::commands::show::path(path));
            return Ok(Self::Profile { profile: Box::new(profile), flag, is_template: true, variables });
        }
        for selector in &wanted.selector {
            if selector.contains("._domainkey") {
                let short = selector.split("._domainkey").next().unwrap_or_default();
                return Err(format!(
                    "the selector {} is a whole name; give only {}",
                    quoted(selector),
                    quoted(short)
                ));
            }
            DomainName::parse(selector)
                .map_err(|error| format!("the selector {}: {error}", quoted(selector)))?;
        }
        let is_quick = arguments.many.from_file.is_some() && !arguments.many.thorough;
        let tries = !is_quick && !arguments.waiting.watch;
        Ok(Self::Audit { selectors: wanted.selector.clone(), tries })
    }

    fn domain(&self, given: Option<&str>) -> Result<DomainName, String> {
        let given = given.map(subject::parse).transpose()?;
        match (self, given) {
            (Self::Plan(plan), Some(given)) if given != plan.domain => {
                Err(format!("the expected records are of {}, not of {given}", plan.domain))
            }
            (Self::Plan(plan), _) => Ok(plan.domain.clone()),
            (_, Some(given)) => Ok(given),
            (_, None) => Err("no domain was given".to_owned()),
        }
    }

    /// What the records are, for messages.
    fn noun(&self) -> &'static str {
        match self {
            Self::Audit { .. } => "audit of a domain",
            Self::Profile { is_template: true, .. } => "template",
            Self::Profile { .. } => "profile",
            Self::Plan(_) => "list of expected records",
        }
    }

    fn plan(&self, domain: &DomainName) -> Result<Plan, String> {
        match self {
            Self::Audit { selectors, tries } => {
                for selector in selectors {
                    domain
                        .prepend(&format!("{selector}._domainkey"))
                        .map_err(|error| format!("the selector {}: {error}", quoted(selector)))?;
                }
                let plan = plan::audit(domain, selectors);
                Ok(if *tries { plan.trying_selectors() } else { plan })
            }
            Self::Profile { profile, flag, is_template, variables } => {
                let zone = model::registrable_domain(domain).filter(|_| *is_template);
                let host = zone.as_ref().and_then(|zone| domain.relative_to(zone));
                match (zone, host) {
                    (Some(zone), Some(host)) => plan::from_template(profile, &zone, &host, variables),
                    _ => plan::plan(profile, domain, variables),
                }
                .map_err(|error| profile_problem(&error, domain, flag))
            }
            Self::Plan(plan) if plan.domain == *domain => Ok(plan.clone()),
            Self::Plan(plan) => Err(format!("the expected records are of {}", plan.domain)),
        }
    }
}

fn profile_problem(error: &ProfileError, domain: &DomainName, flag: &str) -> String {
    match error {
        ProfileError::MissingVariables { names } => {
            let values: Vec<String> = names.iter().map(|name| format!("--var {name}=VALUE")).collect();
            format!("{flag}: {error}; give all of them: {}", values.join(" "))
        }
        ProfileError::HostRequired => {
            format!("the template is for subdomains only; check one, such as news.{domain}")
        }
        ProfileError::Field { .. } => format!("{flag}: {error}"),
        _ => error.to_string(),
    }
}

fn built_in(name: &str) -> Result<Profile, String> {
    let all = Profile::built_in();
    let known: Vec<&str> = all.iter().map(|profile| profile.name.as_str()).collect();
    let problem = format!(
        "there is no profile \"{}\"; built in are {}; a file goes with --template FILE",
        subject::shown(name),
        known.join(", ")
    );
    all.into_iter().find(|profile| profile.name == name).ok_or(problem)
}

/// No template is that large; more says what it says.
const MAX_TEMPLATE: u64 = 1 << 20;

fn template(path: &Path, groups: &[String]) -> Result<Profile, String> {
    let (name, bytes) = input::read(path, MAX_TEMPLATE)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| format!("{name}: it is not UTF-8 text from octet {} on", error.valid_up_to() + 1))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (profile, notes) = Profile::parse_with_notes(text).map_err(|error| format!("{name}: {error}"))?;
    for note in notes {
        drop(writeln!(std::io::stderr(), "{}", show::harmless(&format!("note: {name}: {note}"))));
    }
    profile.with_groups(groups).map_err(|error| format!("{name}: {error}"))
}

/// A name that was mistyped would leave its variable without a value, or be without effect.
fn check_names(profile: &Profile, variables: &Variables) -> Result<(), String> {
    let mut known = profile.variables();
    known.extend(profile.records.iter().filter_map(|record| record.dkim_key.clone()));
    let Some(unknown) = variables.keys().find(|name| !known.contains(*name)) else { return Ok(()) };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let known =
        if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    Err(format!("{} has no variable \"{}\"; {known}", profile.name, subject::shown(unknown)))
}

/// What was given, in quotation marks and on one line.
fn quoted(text: &str) -> String {
    format!("\"{}\"", explain::shown::value(text))
}
