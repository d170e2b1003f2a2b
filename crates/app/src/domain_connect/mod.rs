//! Domain Connect: the owner of a zone has our records applied by their DNS host, with a link.
//!
//! The way of it: the domain is checked, so that nothing is asked for where nothing is missing, and no policy of theirs is
//! touched ([`groups`]); its DNS host is found and asked what it can ([`discovery`]); the link is signed with a key that our
//! DNS server publishes ([`key`]); the browser comes back ([`back`]), which proves nothing, and the domain is checked again.
//! Who applies is decided at the DNS host: a link opens nothing by itself.

pub mod back;
mod discovery;
mod groups;
mod key;

use crate::{
    App, Settings,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
};
use diagnosis::{Profile, Variables, profile::ServiceProvider};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainName, DomainStatus, registrable_domain};
use publish::domain_connect::{Application, MOST_LINK, TemplateId, link};
use std::collections::BTreeMap;

pub use back::{Back, Returned};
pub(crate) use key::zone_records;

/// How often in a minute links are made, or browsers come back, for one domain.
pub(crate) const TIMES: u32 = 10;

/// A check that is not older than this is not made again.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// What the operator decides about Domain Connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainConnect {
    /// Under which id their templates are known at DNS hosts: a domain of theirs. Without it no links are made.
    pub provider_id: Option<String>,
    /// What people read there as the name of the service's provider; empty for `Countersign`.
    pub provider_name: String,
    /// `serviceId` by profile, where it is not the profile's name.
    pub service_ids: BTreeMap<String, String>,
}

impl DomainConnect {
    /// Whether links are made.
    pub const fn is_on(&self) -> bool {
        self.provider_id.is_some()
    }
}

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    /// The operator has not set it up.
    #[error(
        "this platform is not set up for Domain Connect: domain_connect.provider_id of its configuration is empty"
    )]
    Off,
    /// Nothing is missing that a DNS host could add.
    #[error(
        "a link would add nothing to {0}: what its DNS host could add is there, is not known to be missing, or would take \
         the place of a DMARC policy"
    )]
    Nothing(DomainName),
    /// It is delegated to us, and the templates have no such records.
    #[error(
        "{0} is a zone delegated to this platform; its NS records are added by hand, or written at the DNS host"
    )]
    Delegated(DomainName),
    /// Its DNS is not known.
    #[error("the zone of {0} is not known, since DNS did not answer; try again later")]
    ZoneUnknown(DomainName),
    /// It has no discovery record, or one that is of no use.
    #[error("the DNS host of {zone} does not offer Domain Connect: {reason}")]
    NotOffered {
        /// The zone.
        zone: DomainName,
        /// What was seen.
        reason: String,
    },
    /// It was asked and gave no answer that can be understood.
    #[error("the DNS host of {zone} did not answer as Domain Connect wants it: {reason}")]
    Unanswered {
        /// The zone.
        zone: DomainName,
        /// What was seen.
        reason: String,
    },
    /// It has not taken our template in.
    #[error("{host} does not know the template {file}; it takes templates in that are in its catalogue")]
    TemplateUnknown {
        /// What the host calls itself.
        host: String,
        /// The name of the template's file.
        file: String,
    },
    /// The domain was added with other values than those that the template has.
    #[error(
        "{0} was added while the platform had another zone, and the template writes records of the one it has now; delete \
         the domain and add it again"
    )]
    TemplateDiffers(DomainName),
}

/// A link to a DNS host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectLink {
    /// Where the browser goes.
    pub url: String,
    /// The server there, for people.
    pub opens: String,
    /// What the DNS host calls itself.
    pub host_name: String,
    /// Its id.
    pub host_id: String,
    /// The page of the zone in its panel, where it has told one.
    pub control_panel: Option<String>,
    /// The zone.
    pub zone: DomainName,
    /// What stands before it; empty where the domain is the zone.
    pub host: String,
    /// Which template.
    pub template: TemplateId,
    /// Which of its groups are applied.
    pub groups: Vec<String>,
    /// The names of records that are not right and that the link leaves alone.
    pub by_hand: Vec<String>,
    /// Until when a browser that comes back is known.
    pub good_until: Timestamp,
}

impl Settings {
    /// The template of a profile at DNS hosts.
    pub fn template_id(&self, profile: &Profile) -> TemplateId {
        let of_platform =
            || registrable_domain(&self.platform_zone).unwrap_or_else(|| self.platform_zone.clone());
        let provider = self.domain_connect.provider_id.clone();
        let service = self.domain_connect.service_ids.get(&profile.name).cloned();
        TemplateId {
            provider: provider.unwrap_or_else(|| of_platform().to_string()),
            service: service.unwrap_or_else(|| url_friendly(&profile.name)),
        }
    }

    /// The template of a profile: the name of its file, and the file. There is none where a zone is delegated to us.
    pub fn template(&self, profile: &Profile) -> Option<(String, String)> {
        if profile.delegated.is_some() {
            return None;
        }
        let id = self.template_id(profile);
        let name = match self.domain_connect.provider_name.as_str() {
            "" => "Countersign",
            name => name,
        };
        let public_url = url::Url::parse(&self.public_url).ok();
        let provider = ServiceProvider {
            id: &id.provider,
            name,
            service_id: &id.service,
            public_key_domain: self.platform_zone.as_str(),
            redirect_domain: public_url.as_ref().and_then(url::Url::host_str).unwrap_or_default(),
        };
        Some((id.file_name(), profile.to_template(&provider, &self.variables())))
    }
}

/// A name of a profile as an id of a template, which has no spaces and stands in addresses.
fn url_friendly(name: &str) -> String {
    let friendly = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
    name.chars().map(friendly).collect()
}

impl App {
    /// A link by which the owner of a domain's zone has the missing records applied at the DNS host. `back` is where their
    /// browser comes back to.
    ///
    /// # Errors
    /// `NotConnected` with the reason; `RateLimited`.
    pub async fn connect_domain(&self, caller: &Caller, id: DomainId, back: Back) -> Result<ConnectLink> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        if !self.settings.domain_connect.is_on() {
            return Err(NotConnected::Off.into());
        }
        if domain.status == DomainStatus::Disabled {
            return Err(Error::DomainDisabled(domain.name));
        }
        self.connects.take(&id, self.clock.now()).map_err(|quota| Error::RateLimited {
            what: "links to a domain's DNS host",
            allowed: quota.limit,
            retry_after: quota.reset,
        })?;
        // By what is there now: a policy that somebody published meanwhile must not be replaced by ours.
        let view = self.freshly_checked(caller, id).await?;
        let profile = self.settings.profile(&view.domain.profile).ok_or_else(|| {
            Error::Internal(format!("the profile \"{}\" is not loaded any more", view.domain.profile))
        })?;
        if profile.delegated.is_some() {
            return Err(NotConnected::Delegated(view.domain.name).into());
        }
        let template = self.settings.template_id(profile);
        let variables = self.variables_of(&view.domain).await?;
        let asked = groups::missing(profile, &view.domain.name, &variables, &view.report)
            .map_err(|error| Error::Internal(error.to_string()))?
            .ok_or_else(|| NotConnected::Nothing(view.domain.name.clone()))?;
        let zone = zone_of(&view).ok_or_else(|| NotConnected::ZoneUnknown(view.domain.name.clone()))?;
        let host = self.discover(&zone).await?;
        self.require_template(&host, &zone, &template).await?;
        let (state, good_until) = self.leave(&view.domain, back)?;
        let before = view.domain.name.relative_to(&zone).filter(|host| host != "@").unwrap_or_default();
        let application = Application {
            zone: zone.clone(),
            host: before.clone(),
            groups: asked.groups.clone(),
            variables: self.link_variables(profile, &view.domain, variables)?,
            redirect_uri: format!("{}/domain-connect/return/{state}", self.settings.public_url),
            state,
        };
        let query = application.query();
        let (key, signature) = self.sign_link(&query).await?;
        let url = link(&host.sync_ux, &template, &query, &key, &signature);
        if url.len() > MOST_LINK {
            return Err(Error::Internal(format!("a link would have {} octets", url.len())));
        }
        Ok(ConnectLink {
            url,
            opens: host.opens,
            host_name: host.settings.name,
            host_id: host.settings.provider_id,
            control_panel: host.control_panel,
            zone,
            host: before,
            template,
            groups: asked.names,
            by_hand: asked.by_hand,
            good_until,
        })
    }

    /// The domain as it is now, or was some seconds ago.
    async fn freshly_checked(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        let fresh = self.clock.now().checked_sub(FRESH).unwrap_or_default();
        let stored = self.stored_domain(caller, id).await?;
        if stored.last_checked_at.is_some_and(|checked| checked > fresh) {
            return self.domain_view(stored).await;
        }
        self.check_in_turn(caller, id).await
    }

    /// All variables of a domain's profile, its keys among them.
    async fn variables_of(&self, domain: &store::Domain) -> Result<Variables> {
        let keys = self.store.keys_of_domain(domain.id).await?;
        let mut variables: Variables =
            serde_json::from_str(&domain.variables).map_err(|error| Error::Internal(error.to_string()))?;
        for key in keys.iter().filter(|key| key.beside.is_none()) {
            variables.insert(format!("key{}", key.position + 1), key.public_key.clone());
        }
        Ok(variables)
    }

    /// Those that the template leaves open.
    fn link_variables(
        &self,
        profile: &Profile,
        domain: &store::Domain,
        mut variables: Variables,
    ) -> Result<BTreeMap<String, String>> {
        let fixed = self.settings.variables();
        if variables.get("platform").is_some_and(|zone| Some(zone) != fixed.get("platform")) {
            return Err(NotConnected::TemplateDiffers(domain.name.clone()).into());
        }
        // What the file says, not the profile: it has the fixed ones written out.
        let (_, template) = self.settings.template(profile).unwrap_or_default();
        let template = Profile::parse(&template)
            .map_err(|error| Error::Internal(format!("a template of ours does not load: {error}")))?;
        let wanted = template.variables();
        variables.retain(|name, _| wanted.contains(name));
        match wanted.iter().find(|name| !variables.contains_key(*name)) {
            Some(name) => Err(Error::Internal(format!("{} has no value for %{name}%", domain.name))),
            None => Ok(variables),
        }
    }
}

/// The zone that the domain is in, as DNS told at the last check.
fn zone_of(view: &DomainView) -> Option<DomainName> {
    let name = &view.domain.name;
    let zones = view.report.records.iter().filter_map(|record| record.zone.as_ref());
    zones
        .filter(|zone| name.is_at_or_below(zone) && !zone.is_root())
        .max_by_key(|zone| zone.as_str().len())
        .cloned()
}
