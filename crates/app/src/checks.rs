//! Checks of any domain, added or not: for the API's `/checks` and the public page.
//!
//! Strangers choose what is asked here, so everything is bounded: how often a client may come, how many checks run and
//! how many wait ([`crate::check_gate`]), how many questions one puts and how long it takes. Name servers at addresses
//! that are not public are never asked (but in development), and nothing is asked of names that cannot be in the
//! public DNS, whatever led there ([`dns::Client::for_public_names`]), since a resolver of the operator's network might
//! know them. Nothing is stored, and nothing of what is stored is looked at: a domain that was added here is checked
//! like any other.

use crate::{
    App,
    check_gate::{CountedCheck, RunningCheck},
    error::{Error, FieldError, Result},
};
use diagnosis::{
    Observation, Plan, PlannedRecord, Profile, Report, Variables,
    inquiry::{AddressFamily, Policy, is_public},
    plan,
    profile::ProfileError,
};
use model::DomainName;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// How long one check may take.
const DEADLINE: Duration = Duration::from_secs(8);

/// How many questions one check puts at most: a stranger's request must not become a flood for another stranger.
const MOST_ASKS: usize = 300;

/// How many selectors one check looks at.
pub const MOST_SELECTORS: usize = 10;

/// How many sending servers one check looks at.
pub const MOST_SENDERS: usize = 10;

/// How many variables may be given.
const MOST_VARIABLES: usize = 50;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// The domain, or an e-mail address in it.
    pub domain: String,
    /// DKIM selectors to look at, where neither profile nor template names records.
    pub selectors: Vec<String>,
    /// The records to look for: those of a profile.
    pub profile: Option<String>,
    /// The records to look for: those of a Domain Connect template, JSON.
    pub template: Option<String>,
    /// Only these groups of the template's records; all without.
    pub groups: Vec<String>,
    /// Values for the profile's or template's variables.
    pub variables: Variables,
    /// Addresses of servers that send the domain's mail, whose reverse DNS is looked at.
    pub senders: Vec<IpAddr>,
    /// Who is to be able to issue certificates for the hosts of profile or template.
    pub certificate_authority: Option<String>,
    /// At which addresses name servers are asked.
    pub family: AddressFamily,
}

/// A plan, what DNS said about it, and the report that was made of both.
#[derive(Debug)]
pub struct Checked {
    /// What was looked for.
    pub plan: Plan,
    /// What was asked and answered.
    pub observation: Observation,
    /// What follows.
    pub report: Report,
}

impl App {
    /// Starts a check, and makes something of what comes of it.
    ///
    /// # Errors
    /// `Busy` where all places are taken, `Invalid` with all that is wrong with the request.
    #[expect(clippy::needless_pass_by_value, reason = "what was counted once is good for one check")]
    pub fn start_check<T: Send + 'static>(
        self: &Arc<Self>,
        counted: CountedCheck,
        request: &CheckRequest,
        make: impl FnOnce(Checked) -> T + Send + 'static,
    ) -> Result<RunningCheck<T>> {
        let place = self.free_checks.enter(&counted)?;
        let plan = self.plan_check(request)?;
        let domain = plan.domain.clone();
        let checking = Arc::clone(self).check_any(plan, request.family);
        Ok(RunningCheck::start(domain, place, async move { make(checking.await) }))
    }

    /// Asks, and makes the report. Bounded in time: what did not answer by then is unknown in the report.
    async fn check_any(self: Arc<Self>, plan: Plan, family: AddressFamily) -> Checked {
        let policy = &self.settings.check_policy;
        let policy = Policy { max_asks: policy.max_asks.min(MOST_ASKS), family, ..policy.clone() };
        let dns = self.dns_for(&policy);
        let started_at = self.clock.now();
        let clock = self.clock.clone();
        let observation = dns::observe(&dns, &plan, &policy, move || clock.now(), DEADLINE).await;
        let mut report = diagnosis::diagnose(&plan, &observation, self.clock.now());
        report.started_at = Some(started_at);
        metrics::counter!("countersign_free_checks_total", "verdict" => report.verdict.as_str()).increment(1);
        Checked { plan, observation, report }
    }

    /// What such a check looks for. All that is wrong with the request is told here.
    fn plan_check(&self, request: &CheckRequest) -> Result<Plan> {
        let mut plan = self.plan_records(request)?;
        if !request.senders.is_empty() {
            plan.senders = self.checkable_senders(&request.senders)?;
        }
        if let Some(authority) = &request.certificate_authority {
            let named = |message: String| Error::field("certificate_authority", message);
            let authority = DomainName::parse(authority).map_err(|error| named(error.to_string()))?;
            if plan.web_hosts().next().is_none() {
                let message = "is for records of hosts with links or web pages, and none are looked for";
                return Err(named(message.to_owned()));
            }
            plan.certificate_authority = Some(authority.to_string());
        }
        Ok(plan)
    }

    /// The reverse zones of private addresses are the operator's network's, and no stranger's business.
    fn checkable_senders(&self, senders: &[IpAddr]) -> Result<Vec<IpAddr>> {
        if senders.len() > MOST_SENDERS {
            let message = format!("has {} addresses; {MOST_SENDERS} are allowed", senders.len());
            return Err(Error::field("senders", message));
        }
        let mut checkable: Vec<IpAddr> = Vec::with_capacity(senders.len());
        let mut errors = Vec::new();
        for (index, address) in senders.iter().map(IpAddr::to_canonical).enumerate() {
            if !is_public(address) && !self.settings.check_policy.private_addresses {
                let message = format!("{address} is not a public address");
                errors.push(FieldError { field: format!("senders[{index}]"), message });
            } else if !checkable.contains(&address) {
                checkable.push(address);
            }
        }
        if errors.is_empty() { Ok(checkable) } else { Err(Error::Invalid(errors)) }
    }

    fn plan_records(&self, request: &CheckRequest) -> Result<Plan> {
        let domain = self.checkable(&request.domain)?;
        if request.variables.len() > MOST_VARIABLES {
            let message = format!("has {} values; {MOST_VARIABLES} are allowed", request.variables.len());
            return Err(Error::field("variables", message));
        }
        match (&request.profile, &request.template) {
            (None, None) => {
                let unused =
                    [("variables", !request.variables.is_empty()), ("groups", !request.groups.is_empty())];
                if let Some((field, _)) = unused.into_iter().find(|(_, is_given)| *is_given) {
                    let message = "is for the records of a profile or template; give one of them";
                    return Err(Error::field(field, message));
                }
                check_selectors(&domain, &request.selectors)?;
                Ok(plan::audit(&domain, &request.selectors).trying_selectors())
            }
            (Some(_), Some(_)) => Err(Error::field("template", "give profile or template, not both")),
            _ if !request.selectors.is_empty() => {
                let message = "profiles and templates name their own; leave selectors out";
                Err(Error::field("selectors", message))
            }
            (Some(_), None) if !request.groups.is_empty() => {
                Err(Error::field("groups", "is for the records of a template; leave it out"))
            }
            (Some(name), None) => {
                // What is the same for every domain of this platform need not be given.
                let mut variables = self.settings.variables();
                variables.extend(request.variables.clone());
                plan::plan(self.profile_named(name)?, &domain, &variables)
                    .map(|plan| self.settings.of_platform(plan))
                    .map_err(|error| Error::field("variables", error.to_string()))
            }
            (None, Some(template)) => {
                let plan = from_template(&domain, template, request).map_err(|(field, error)| {
                    let message = match error {
                        ProfileError::HostRequired => {
                            format!("the template is for subdomains only; check one, such as news.{domain}")
                        }
                        error => error.to_string(),
                    };
                    Error::field(field, message)
                })?;
                self.in_public(plan)
            }
        }
    }

    /// A template may name any host. It is told at once where no question will be put.
    fn in_public(&self, plan: Plan) -> Result<Plan> {
        let outside = |record: &&Arc<PlannedRecord>| !dns::is_public_name(&record.owner);
        match plan.records.iter().find(outside) {
            Some(record) if !self.settings.check_policy.private_addresses => {
                let message = format!("has a record at {}, which is not in the public DNS", record.owner);
                Err(Error::field("template", message))
            }
            _ => Ok(plan),
        }
    }

    fn checkable(&self, text: &str) -> Result<DomainName> {
        let domain =
            DomainName::parse_typed(text).map_err(|error| Error::field("domain", error.to_string()))?;
        if !self.settings.check_policy.private_addresses && !dns::is_public_name(&domain) {
            let message = if domain.has_known_suffix() {
                format!("{domain} is for private networks, so it is not in the public DNS")
            } else {
                format!("{domain} is under no public suffix, so it is not in the public DNS")
            };
            return Err(Error::field("domain", message));
        }
        Ok(domain)
    }
}

/// Applies a template as a DNS host would, which knows the zone of the domain: here the registrable domain stands for
/// it. The error goes with the field that can mend it.
fn from_template(
    domain: &DomainName,
    template: &str,
    request: &CheckRequest,
) -> std::result::Result<Plan, (&'static str, ProfileError)> {
    let mut profile = Profile::parse(template).map_err(|error| ("template", error))?;
    if !request.groups.is_empty() {
        profile = profile.with_groups(&request.groups).map_err(|error| ("groups", error))?;
    }
    let zone = model::registrable_domain(domain).unwrap_or_else(|| domain.clone());
    let host = domain.relative_to(&zone).unwrap_or_default();
    plan::from_template(&profile, &zone, &host, &request.variables).map_err(|error| match error {
        ProfileError::MissingVariables { .. } => ("variables", error),
        ProfileError::HostRequired => ("domain", error),
        error => ("template", error),
    })
}

fn check_selectors(domain: &DomainName, selectors: &[String]) -> Result<()> {
    if selectors.len() > MOST_SELECTORS {
        let message = format!("has {} selectors; {MOST_SELECTORS} are allowed", selectors.len());
        return Err(Error::field("selectors", message));
    }
    let mut errors = Vec::new();
    for (index, selector) in selectors.iter().enumerate() {
        let message = if let Some((short, _)) = selector.split_once("._domainkey") {
            format!("is a whole name; give only \"{}\"", clip(short))
        } else if selectors[..index].contains(selector) {
            "is given twice".to_owned()
        } else if selector.trim().is_empty() {
            "is empty".to_owned()
        } else if let Err(error) = domain.prepend(&format!("{selector}._domainkey")) {
            error.to_string()
        } else {
            continue;
        };
        errors.push(FieldError { field: format!("selectors[{index}]"), message });
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

/// Messages repeat no more than this of what a stranger wrote.
fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_labels_and_few() {
        let domain = DomainName::parse("example.com").unwrap();
        let refused = |selectors: &[&str]| {
            let selectors: Vec<String> = selectors.iter().map(|&text| text.to_owned()).collect();
            match check_selectors(&domain, &selectors) {
                Err(Error::Invalid(fields)) => fields.into_iter().map(|error| error.field).collect(),
                _ => Vec::new(),
            }
        };
        assert_eq!(refused(&["s1", "2026.news", "k-1"]), Vec::<String>::new());
        assert_eq!(
            refused(&["s1", "a b", "s1", "x._domainkey.example.com", ""]),
            ["selectors[1]", "selectors[2]", "selectors[3]", "selectors[4]"]
        );
        assert_eq!(refused(&["s"; 11]), ["selectors"]);
    }
}
