//! Sender domains: add, look at, verify, delete.

use crate::{
    App,
    access::{Caller, Scope},
    claims::ClaimView,
    domain_state::{State, Trigger},
    error::{Error, Result},
    key_rotation::record_beside,
    warmup::{self, Warmup},
};
use diagnosis::{
    Expected, Plan, Profile, RecordReport, Report, Variables, plan::plan, profile::NAME_SERVERS,
};
use jiff::Timestamp;
use model::{DomainId, DomainName, DomainStatus, Purpose, RecordId, SenderDomain, TenantId};
use serde_json::json;
use store::{DomainFilter, KeySource, KeyState, NewDkimKey, NewDomain, StoreError, Switch, Told};

/// The only region there is so far.
const REGION: &str = "local";

/// A domain, and the newest report about it.
#[derive(Debug, Clone)]
pub struct DomainView {
    /// The stored domain.
    pub domain: store::Domain,
    /// The newest report; where nothing was checked yet, the plan with every record unknown.
    pub report: Report,
    /// The selectors that are its tokens, in the order of its keys.
    pub dkim_tokens: Vec<String>,
    /// Its warm-up; nothing where there is none or it is over.
    pub warmup: Option<Warmup>,
    /// Its claim of a name that another organisation holds.
    pub claim: Option<ClaimView>,
}

/// A page of domains.
#[derive(Debug)]
pub struct ListedDomains {
    /// The domains.
    pub views: Vec<DomainView>,
    /// Behind which domain to go on where it was looked no further: there may be more.
    pub looked_to: Option<DomainId>,
}

/// What adding a domain needs.
#[derive(Debug, Clone, Default)]
pub struct AddDomain {
    /// The domain, or a contact e-mail address in it.
    pub domain: String,
    /// A profile's name; the default one without.
    pub profile: Option<String>,
    /// Whether it is to be a zone that is delegated to us as a whole: a profile for that, where none is named.
    pub delegated: bool,
    /// The region that sends for it.
    pub region: Option<String>,
    /// How many days its warm-up takes, 0 for none; [`warmup::DEFAULT_DAYS`] without.
    pub warmup_days: Option<u32>,
    /// The tenant that it is for; the caller's without.
    pub tenant_id: Option<TenantId>,
}

impl DomainView {
    /// When sending stops unless the domain is mended; nothing where it is not broken.
    pub fn stops_at(&self) -> Option<Timestamp> {
        self.domain.fails_at.filter(|_| {
            self.domain.status == DomainStatus::Verified && self.domain.health == store::Health::Warning
        })
    }

    /// The id of a planned record: the same at every look.
    pub fn record_id(&self, record: &RecordReport) -> RecordId {
        record_id(self.domain.id, &record.planned.key)
    }
}

/// Records have no row of their own: their id is made of the domain's and the record's key.
fn record_id(domain: DomainId, key: &str) -> RecordId {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{domain}/{key}").as_bytes());
    let mut random = [0; 16];
    random[6..].copy_from_slice(&hash.as_ref()[..10]);
    RecordId::from_parts(0, u128::from_be_bytes(random))
}

impl App {
    /// Adds a domain: keys from the pool, tokens of its own, its plan. It is checked from then on by itself.
    pub async fn add_domain(&self, caller: &Caller, request: &AddDomain) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        if let Some(id) = caller.made_before(DomainId::from_parts)
            && let Ok(made) = self.stored_domain(caller, id).await
        {
            return self.domain_view(made).await;
        }
        let name = SenderDomain::parse(&request.domain)?.name().clone();
        if name.is_at_or_below(&self.settings.platform_zone) {
            return Err(Error::field(
                "domain",
                format!("{name} belongs to this platform itself; give a domain of yours"),
            ));
        }
        let profile = self.wanted_profile(request)?;
        if profile.delegated.is_some() {
            self.require_delegable(&name).await?;
        }
        if let Some(region) = request.region.as_deref().filter(|region| *region != REGION) {
            let shown: String = region.chars().filter(|c| !c.is_control()).take(40).collect();
            let message = format!("there is no region \"{shown}\"; leave it out, or give \"{REGION}\"");
            return Err(Error::field("region", message));
        }
        let warmup_days = warmup::checked_days(request.warmup_days.unwrap_or(warmup::DEFAULT_DAYS))?;
        if caller.allowed_domain_ids.is_some() {
            // A new domain is on no list.
            return Err(Error::DomainNotAllowedForKey(name.to_string()));
        }
        let tenant_id = self.tenant_for_new(caller, request.tenant_id).await?;
        let stored = self.create_domain(caller, tenant_id, &name, profile, warmup_days).await?;
        self.domain_view(stored).await
    }

    /// Stores a new domain with its keys and tokens, and has it checked and its keys served.
    pub(crate) async fn create_domain(
        &self,
        caller: &Caller,
        tenant_id: Option<TenantId>,
        name: &DomainName,
        profile: &Profile,
        warmup_days: u32,
    ) -> Result<store::Domain> {
        let now = self.clock.now();
        let id = caller.id_or(DomainId::from_parts, self.random.domain_id(now));
        let variables = self.new_variables(profile);
        let served = served_labels(profile, name, &variables, &self.settings.dkim_zone())?;
        let state = State::added(now);
        let new = NewDomain {
            id,
            org_id: caller.org_id,
            tenant_id,
            name: name.clone(),
            profile: profile.name.clone(),
            variables: json!(variables).to_string(),
            capabilities: json!({"sending": true, "receiving": false}).to_string(),
            approval_status: "none".to_owned(),
            warmup_started_at: None,
            warmup_days: Some(warmup_days),
            region: Some(REGION.to_owned()),
            fallback_region: None,
            fails_at: state.fails_at,
            next_check_at: now,
            created_at: now,
        };
        let event =
            self.event(caller.org_id, "domain.created", id.to_string(), &json!({"domain": name}), now);
        let data = json!({"domain": name, "profile": profile.name, "warmup_days": warmup_days, "tenant_id": tenant_id});
        let audit = self.audit_entry(caller, "domain.created", &id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &audit);
        let stored = self.create_with_keys(new, served, told).await.map_err(|error| match error {
            Error::DomainAlreadyAdded(_) => Error::DomainAlreadyAdded(name.clone()),
            other => other,
        })?;
        tracing::info!(domain = %name, id = %id, profile = %profile.name, "a domain was added");
        self.wake.dns.notify_one();
        self.wake.verify.notify_one();
        self.wake.key_pool.notify_one();
        Ok(stored)
    }

    /// The profile that a domain is to have.
    fn wanted_profile(&self, request: &AddDomain) -> Result<&Profile> {
        let named = request.profile.as_deref();
        if !request.delegated {
            return self.profile_named(named.unwrap_or(&self.settings.default_profile));
        }
        let delegated = match named {
            Some(name) => Some(self.profile_named(name)?).filter(|profile| profile.delegated.is_some()),
            None => self.settings.delegated_profiles().next(),
        };
        delegated.ok_or_else(|| {
            Error::field(
                "delegated",
                "this profile is for records of the domain's own; leave one of both out",
            )
        })
    }

    /// The profile that a request names.
    pub(crate) fn profile_named(&self, wanted: &str) -> Result<&Profile> {
        self.settings.profile(wanted).ok_or_else(|| {
            let known: Vec<_> = self.settings.profiles.iter().map(|profile| profile.name.as_str()).collect();
            let shown: String = wanted.chars().filter(|c| !c.is_control()).take(80).collect();
            Error::field(
                "profile",
                format!("there is no profile \"{shown}\"; known are {}", known.join(", ")),
            )
        })
    }

    async fn create_with_keys(
        &self,
        new: NewDomain,
        selectors: Vec<String>,
        told: Told<'_>,
    ) -> Result<store::Domain> {
        let source = KeySource::Pool { selectors: selectors.clone() };
        match self.store.create_domain(&new, source, told).await {
            Ok((domain, _)) => Ok(domain),
            // A burst emptied the pool: this request waits for keys of its own.
            Err(StoreError::PoolEmpty) => {
                let mut keys = Vec::with_capacity(selectors.len());
                for (index, selector) in selectors.into_iter().enumerate() {
                    let key = self.make_dkim_key().await?;
                    keys.push(NewDkimKey {
                        id: key.id,
                        selector,
                        public_key: key.public_key,
                        private_key: key.private_key,
                        // As the store does with keys from the pool: the first one signs.
                        state: if index == 0 { KeyState::Active } else { KeyState::Standby },
                        created_at: key.created_at,
                    });
                }
                let source = KeySource::Given(keys);
                self.store
                    .create_domain(&new, source, told)
                    .await
                    .map(|(domain, _)| domain)
                    .map_err(added_error)
            }
            Err(error) => Err(added_error(error)),
        }
    }

    fn new_variables(&self, profile: &Profile) -> Variables {
        let mut variables = self.settings.variables();
        for number in 1..=profile.dkim_keys {
            variables.insert(format!("token{number}"), self.random.token(24));
        }
        if profile.delegated.is_some() {
            let names = self.settings.name_servers_of(&self.random.token(24));
            let names: Vec<&str> = names.iter().map(DomainName::as_str).collect();
            variables.insert(NAME_SERVERS.to_owned(), names.join(" "));
        }
        variables
    }

    /// A domain of the caller's.
    pub async fn domain(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        self.domain_view(domain).await
    }

    /// The caller's domains, newest first; at most `limit`, older than `after`.
    pub async fn domains(
        &self,
        caller: &Caller,
        filter: DomainFilter,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<ListedDomains> {
        caller.require(Scope::ReadDomains)?;
        let now = self.clock.now();
        let visible = caller.visible();
        let page = self.store.list_domains(&visible, &filter, after, limit, warmup::date_of(now)).await?;
        let mut parsed = Vec::with_capacity(page.domains.len());
        for (domain, sent_today) in page.domains {
            let report = report_of(&domain);
            parsed.push((domain, sent_today, report));
        }
        // Only the plan of what was never checked is made anew, with its keys: one query for all of them.
        let unchecked = parsed.iter().filter(|(_, _, report)| report.is_none());
        let ids: Vec<DomainId> = unchecked.map(|(domain, ..)| domain.id).collect();
        let keys = self.store.keys_of_domains(&ids).await?;
        let held_elsewhere = parsed.iter().filter(|(domain, ..)| domain.held_elsewhere);
        let ids: Vec<DomainId> = held_elsewhere.map(|(domain, ..)| domain.id).collect();
        let mut claims = self.claim_views(&ids).await?;
        let views = parsed
            .into_iter()
            .map(|(domain, sent_today, report)| {
                let keys = keys.iter().filter(|key| key.domain_id == domain.id);
                let report = match report {
                    Some(report) => report,
                    None => Report::unchecked(&self.plan_with(&domain, keys)?, domain.created_at),
                };
                let today = self.warmup_today(&domain, now);
                let warmup = today.map(|today| Warmup { today, sent_today });
                let claim = claims.remove(&domain.id);
                view(domain, report, warmup, claim)
            })
            .collect::<Result<_>>()?;
        Ok(ListedDomains { views, looked_to: page.looked_to })
    }

    /// The id of the domain of this name, where the caller sees it.
    pub async fn domain_id(&self, caller: &Caller, name: &DomainName) -> Result<Option<DomainId>> {
        caller.require(Scope::ReadDomains)?;
        let found = self.store.get_domain_by_name(caller.org_id, name).await?;
        Ok(found.filter(|domain| caller.require_domain(domain, name).is_ok()).map(|domain| domain.id))
    }

    /// Takes a domain out of the registry. The customer's DNS is not touched, and messages stay readable.
    pub async fn delete_domain(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        let view = self.domain_view(domain).await?;
        let now = self.clock.now();
        let name = &view.domain.name;
        let event =
            self.event(caller.org_id, "domain.deleted", id.to_string(), &json!({"domain": name}), now);
        let audit = self.audit_entry(caller, "domain.deleted", &id, &json!({"domain": name}), now);
        let told = Told::new(std::slice::from_ref(&event), &audit);
        self.store.delete_domain(caller.org_id, id, now, told).await?;
        self.wake.dns.notify_one();
        Ok(view)
    }

    /// Switches a domain off: mail from it is refused and what is in the queue waits. Nobody looks at its DNS.
    pub async fn disable_domain(
        &self,
        caller: &Caller,
        id: DomainId,
        reason: Option<&str>,
    ) -> Result<DomainView> {
        caller.require(Scope::Admin)?;
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_some_and(|reason| reason.chars().count() > 200 || reason.contains(char::is_control)) {
            return Err(Error::field("reason", "give at most 200 characters on one line"));
        }
        let domain = self.stored_domain(caller, id).await?;
        let switch = Switch::Off { reason: reason.map(str::to_owned) };
        self.switch_domain(caller, &domain, &switch, "domain.disabled", json!({"reason": reason})).await?;
        self.domain_view(self.stored_domain(caller, id).await?).await
    }

    /// Switches a domain on again. Its DNS is looked at at once: where it is right, the domain is verified when this
    /// returns.
    pub async fn enable_domain(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::Admin)?;
        let domain = self.stored_domain(caller, id).await?;
        if domain.status != DomainStatus::Disabled {
            return self.domain_view(domain).await;
        }
        if domain.claimed_at.is_some() {
            // Its records are known to its former owner and may be left over in DNS.
            return Err(Error::ClaimedAway(domain.name));
        }
        let now = self.clock.now();
        let fails_at = State::added(now).fails_at.unwrap_or(now);
        let switch = Switch::On { now, fails_at };
        self.switch_domain(caller, &domain, &switch, "domain.enabled", json!({})).await?;
        let domain = self.stored_domain(caller, id).await?;
        if domain.claimed_at.is_some() {
            return Err(Error::ClaimedAway(domain.name));
        }
        self.check_in_turn(caller, id).await
    }

    async fn switch_domain(
        &self,
        caller: &Caller,
        domain: &store::Domain,
        switch: &Switch,
        event_type: &str,
        mut data: serde_json::Value,
    ) -> Result<()> {
        let now = self.clock.now();
        data["domain"] = json!(domain.name);
        let event = self.event(domain.org_id, event_type, domain.id.to_string(), &data, now);
        let audit = self.audit_entry(caller, event_type, &domain.id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &audit);
        match self.store.switch_domain(domain.org_id, domain.id, switch, told).await {
            Err(StoreError::NotFound(_)) => {
                return Err(Error::NotFound { noun: "domain", id: domain.id.to_string() });
            }
            // Switched on, or claimed, at the same moment: what is there now counts.
            Err(StoreError::StaleVersion) => return Ok(()),
            other => drop(other?),
        }
        tracing::info!(domain = %domain.name, event = event_type, "a domain was switched");
        Ok(())
    }

    /// Checks a domain now and answers with the fresh report. Never takes a status away.
    pub async fn verify_domain(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        self.check_in_turn(caller, id).await
    }

    /// Checks a domain now: one check at a time for a domain. Who asks meanwhile gets what the one before them finds.
    pub(crate) async fn check_in_turn(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        let asked_at = self.clock.now();
        let mut last = self.check_turns.of(id).lock().await;
        let domain = self.stored_domain(caller, id).await?;
        if last.is_some_and(|(checked, started)| checked == id && started >= asked_at) {
            return self.domain_view(domain).await;
        }
        *last = Some((id, self.clock.now()));
        self.check(domain, Trigger::Demand).await
    }

    /// The raw answers behind the newest report, as JSON.
    pub async fn observation(&self, caller: &Caller, id: DomainId) -> Result<Option<String>> {
        caller.require(Scope::ReadDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        Ok(self.store.latest_observation(domain.id).await?.map(|observation| observation.observation))
    }

    pub(crate) async fn stored_domain(&self, caller: &Caller, id: DomainId) -> Result<store::Domain> {
        let found = self.store.get_domain(caller.org_id, id).await;
        let domain = match found {
            Err(StoreError::NotFound(_)) => {
                return Err(Error::NotFound { noun: "domain", id: id.to_string() });
            }
            other => other?,
        };
        caller.require_domain(&domain, &id)?;
        Ok(domain)
    }

    /// The plan of a stored domain: its profile with its tokens and keys.
    pub(crate) async fn plan_of(&self, domain: &store::Domain) -> Result<Plan> {
        let keys = self.store.keys_of_domain(domain.id).await?;
        self.plan_with(domain, keys.iter())
    }

    pub(crate) fn plan_with<'a>(
        &self,
        domain: &store::Domain,
        keys: impl Iterator<Item = &'a store::DkimKey>,
    ) -> Result<Plan> {
        let profile = self.settings.profile(&domain.profile).ok_or_else(|| {
            Error::Internal(format!(
                "the profile \"{}\" of {} is not loaded any more",
                domain.profile, domain.name
            ))
        })?;
        let mut variables: Variables =
            serde_json::from_str(&domain.variables).map_err(|error| Error::Internal(error.to_string()))?;
        let mut beside = Vec::new();
        for key in keys {
            match record_beside(key) {
                Some(record) => beside.push(record),
                None => drop(variables.insert(format!("key{}", key.position + 1), key.public_key.clone())),
            }
        }
        let mut plan =
            plan(profile, &domain.name, &variables).map_err(|error| Error::Internal(error.to_string()))?;
        for record in beside {
            plan.add_key_beside(record).map_err(|error| Error::Internal(error.to_string()))?;
        }
        Ok(self.settings.of_platform(plan))
    }

    pub(crate) async fn domain_view(&self, domain: store::Domain) -> Result<DomainView> {
        let report = match report_of(&domain) {
            Some(report) => report,
            None => Report::unchecked(&self.plan_of(&domain).await?, domain.created_at),
        };
        let warmup = self.warmup_of(&domain).await?;
        let claim = self.claim_view(&domain).await?;
        view(domain, report, warmup, claim)
    }

    /// The host that bounces come back to: under the domain where its record is there, else under the platform's.
    pub(crate) fn return_path_host(&self, view: &DomainView) -> DomainName {
        let records = || view.report.all().filter(|record| record.planned.purpose == Purpose::ReturnPath);
        match records().next() {
            Some(record) if records().all(RecordReport::was_right) => record.planned.owner.clone(),
            _ => self
                .settings
                .platform_zone
                .prepend("bounce")
                .unwrap_or_else(|_| self.settings.platform_zone.clone()),
        }
    }
}

/// The newest report, where there is one.
fn report_of(domain: &store::Domain) -> Option<Report> {
    domain.report.as_deref().and_then(|text| serde_json::from_str(text).ok())
}

fn view(
    domain: store::Domain,
    report: Report,
    warmup: Option<Warmup>,
    claim: Option<ClaimView>,
) -> Result<DomainView> {
    let variables: Variables =
        serde_json::from_str(&domain.variables).map_err(|error| Error::Internal(error.to_string()))?;
    let dkim_tokens = (1..).map_while(|number| variables.get(&format!("token{number}")).cloned()).collect();
    Ok(DomainView { domain, report, dkim_tokens, warmup, claim })
}

fn added_error(error: StoreError) -> Error {
    match error {
        StoreError::DomainAlreadyAdded => Error::DomainAlreadyAdded(DomainName::root()),
        // They are random.
        StoreError::SelectorTaken => Error::Internal("a selector was given out twice".to_owned()),
        other => other.into(),
    }
}

/// The label in front of `dkim.<platform zone>` under which each of the domain's keys is served, in the order of
/// the profile's DKIM records. A key that the customer publishes as TXT is served under its token as well.
fn served_labels(
    profile: &Profile,
    name: &DomainName,
    variables: &Variables,
    dkim_zone: &str,
) -> Result<Vec<String>> {
    let mut variables = variables.clone();
    for number in 1..=profile.dkim_keys {
        // Any key: without one, a TXT record would not be taken for a key record.
        variables.insert(format!("key{number}"), "key".to_owned());
    }
    let plan = plan(profile, name, &variables).map_err(|error| Error::Internal(error.to_string()))?;
    let suffix = format!(".{dkim_zone}");
    Ok(plan
        .records
        .iter()
        .filter_map(|record| match &record.expected {
            Expected::Cname { target, dkim_key: Some(_) } => {
                target.as_str().strip_suffix(&suffix).map(str::to_owned)
            }
            Expected::Dkim { .. } => record.owner.labels().next().map(str::to_owned),
            _ => None,
        })
        .collect())
}
