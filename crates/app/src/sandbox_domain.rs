//! The sandbox domain: one for every organisation, to send from before any domain of its own is verified.
//!
//! It is a name of the platform zone, so its records are served by us and it is verified without anybody's help. Mail from it
//! leaves to nobody: whoever it is addressed to, it comes into the sandbox inbox of the organisation.

use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
    settings::Transport,
};
use model::{DomainName, DomainStatus, OrgId};

/// What its name begins with; the organisation's id follows.
const PREFIX: &str = "sandbox-";

/// Its records: an SPF record and one key.
const PROFILE: &str = "two-txt";

impl App {
    /// The caller's sandbox domain, made now where it is not there yet.
    pub async fn sandbox_domain(&self, caller: &Caller) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        caller.require_whole_organisation()?;
        let domain = self.checked_sandbox_domain(caller).await?;
        self.domain_view(domain).await
    }

    /// The same, looked at now where it is not verified yet: nobody has to wait for the next look.
    pub(crate) async fn checked_sandbox_domain(&self, caller: &Caller) -> Result<store::Domain> {
        let domain = self.provide_sandbox_domain(caller).await?;
        if domain.status == DomainStatus::Pending {
            return Ok(self.check_in_turn(caller, domain.id).await?.domain);
        }
        Ok(domain)
    }

    /// What it is called.
    fn sandbox_name(&self, org_id: OrgId) -> Result<DomainName> {
        let id = org_id.to_string().to_ascii_lowercase();
        let id = id.strip_prefix("org_").unwrap_or(&id);
        let name = self.settings.platform_host(&format!("{PREFIX}{id}"));
        DomainName::parse(&name).map_err(|error| Error::Internal(format!("{name}: {error}")))
    }

    /// Whether a name is the organisation's sandbox domain.
    pub(crate) fn is_sandbox_domain(&self, org_id: OrgId, name: &DomainName) -> bool {
        self.sandbox_name(org_id).is_ok_and(|own| own == *name)
    }

    /// The same, for a caller who may use it: one that is limited to a tenant or to domains may not.
    pub(crate) fn is_own_sandbox(&self, caller: &Caller, name: &DomainName) -> bool {
        caller.require_whole_organisation().is_ok() && self.is_sandbox_domain(caller.org_id, name)
    }

    /// The organisation's sandbox domain; made and served now where it is not there yet.
    pub(crate) async fn provide_sandbox_domain(&self, caller: &Caller) -> Result<store::Domain> {
        let org_id = caller.org_id;
        let name = self.sandbox_name(org_id)?;
        if let Some(domain) = self.store.get_domain_by_name(org_id, &name).await? {
            return Ok(domain);
        }
        let profile = self.profile_named(PROFILE)?;
        // No tenant's and no repeated request's: it is the organisation's, whoever asks first.
        let maker = Caller { reserved: None, tenant_id: None, new_tenant: None, ..caller.clone() };
        match self.create_domain(&maker, None, &name, profile, 0).await {
            Ok(domain) => {
                self.serve_zones().await?;
                Ok(domain)
            }
            // Another request was quicker.
            Err(Error::DomainAlreadyAdded(_)) => {
                let found = self.store.get_domain_by_name(org_id, &name).await?;
                found.ok_or_else(|| Error::Unavailable("the sandbox domain is being made".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Where mail from a domain goes: that of a sandbox domain into our own inbox, whatever becomes of the rest.
    pub(crate) fn transport_of(&self, org_id: OrgId, domain: &DomainName) -> Transport {
        if self.is_sandbox_domain(org_id, domain) {
            Transport::Sandbox(self.settings.inbox)
        } else {
            self.settings.transport.clone()
        }
    }
}
