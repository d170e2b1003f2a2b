//! Suppressions: addresses that get no mail.
//!
//! One without a tenant is the organisation's, and holds for the mail of all its tenants; one of a tenant for that tenant's
//! mail alone, and no other tenant sees it. A message to a suppressed address is refused whole, with the address named:
//! what is accepted goes to everybody it is for.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
};
use model::{EmailAddress, SuppressionId, TenantId};
use serde_json::json;
use store::{StoreError, Suppression};

/// How long a reason may be, in characters.
const MOST_REASON: usize = 200;

impl App {
    /// Adds an address, or finds the one that is there; says whether it was added.
    pub async fn add_suppression(
        &self,
        caller: &Caller,
        address: &str,
        reason: Option<&str>,
        tenant_id: Option<TenantId>,
    ) -> Result<(Suppression, bool)> {
        caller.require(Scope::WriteSuppressions)?;
        require_all_domains(caller)?;
        let parsed =
            EmailAddress::parse(address).map_err(|error| Error::field("address", error.to_string()))?;
        let reason = reason.unwrap_or("manual").trim();
        if reason.is_empty() || reason.chars().count() > MOST_REASON || reason.chars().any(char::is_control) {
            return Err(Error::field(
                "reason",
                format!("give 1 to {MOST_REASON} characters, or leave it out"),
            ));
        }
        let tenant_id = self.tenant_for_new(caller, tenant_id).await?;
        let now = self.clock.now();
        let id = caller.id_or(SuppressionId::from_parts, self.random.suppression_id(now));
        let address = parsed.to_string().to_lowercase();
        let data = json!({"address": address, "reason": reason, "tenant_id": tenant_id});
        let audit = self.audit_entry(caller, "suppression.added", &id, &data, now);
        let new = Suppression {
            id,
            org_id: caller.org_id,
            tenant_id,
            address,
            reason: reason.to_owned(),
            created_at: now,
        };
        Ok(self.store.add_suppression(&new, &audit).await?)
    }

    /// One that the caller sees.
    pub async fn suppression(&self, caller: &Caller, id: SuppressionId) -> Result<Suppression> {
        require_all_domains(caller)?;
        match self.store.get_suppression(&caller.visible(), id).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "suppression", id: id.to_string() }),
            other => Ok(other?),
        }
    }

    /// Those that the caller sees, newest first.
    pub async fn suppressions(
        &self,
        caller: &Caller,
        address: Option<&str>,
        after: Option<SuppressionId>,
        limit: u32,
    ) -> Result<Vec<Suppression>> {
        caller.require(Scope::ReadEmails)?;
        require_all_domains(caller)?;
        let address = address.map(str::to_lowercase);
        Ok(self.store.list_suppressions(&caller.visible(), address.as_deref(), after, limit).await?)
    }

    /// Takes an address off: it gets mail again.
    pub async fn delete_suppression(&self, caller: &Caller, id: SuppressionId) -> Result<Suppression> {
        caller.require(Scope::WriteSuppressions)?;
        let found = self.suppression(caller, id).await?;
        let data = json!({"address": found.address, "tenant_id": found.tenant_id});
        let audit = self.audit_entry(caller, "suppression.deleted", &id, &data, self.clock.now());
        match self.store.delete_suppression(caller.org_id, id, &audit).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "suppression", id: id.to_string() }),
            other => Ok(other.map(|()| found)?),
        }
    }
}

/// An address is of no domain: a key that is limited to domains has no business with it.
pub(crate) fn require_all_domains(caller: &Caller) -> Result<()> {
    if caller.allowed_domain_ids.is_some() { Err(Error::KeyIsLimited) } else { Ok(()) }
}
