//! Tenants: the customers of an organisation, by the organisation's own names for them.
//!
//! A key is bound to a tenant or sees all of them; a request may narrow itself to one by its reference. Nothing is
//! decided here by what a tenant is: it only says which domains, messages and keys belong together.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
};
use model::TenantId;
use serde_json::json;
use store::{StoreError, Tenant};

/// How long a reference may be, in characters.
pub const MOST_REFERENCE: usize = 128;

/// The header by which a request names a tenant.
pub const HEADER: &str = "X-Countersign-Tenant-Ref";

/// A reference is 1 to 128 printable ASCII characters, no space at either end; its case is kept.
fn check_reference(field: &str, reference: &str) -> Result<()> {
    let is_printable = reference.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !reference.is_empty()
        && reference.len() <= MOST_REFERENCE
        && is_printable
        && reference.trim() == reference
    {
        return Ok(());
    }
    let message =
        format!("give 1 to {MOST_REFERENCE} printable ASCII characters, with no space at either end");
    Err(Error::field(field, message))
}

impl App {
    /// The same caller, seeing and using only what belongs to the tenant of this reference. Where there is no such
    /// tenant, that is nothing, and what is added makes it.
    pub async fn narrow_to_tenant(&self, caller: Caller, reference: &str) -> Result<Caller> {
        check_reference(HEADER, reference)?;
        let mut found = self.store.find_tenant(caller.org_id, reference).await?;
        // A key that is limited to domains learns of other tenants than theirs not even that they are there.
        if let (Some(tenant), Some(_)) = (&found, &caller.allowed_domain_ids)
            && let Err(Error::NotFound { .. }) = self.tenant(&caller, tenant.id).await
        {
            found = None;
        }
        match (found, caller.tenant_id) {
            (Some(tenant), None) => Ok(Caller { tenant_id: Some(tenant.id), ..caller }),
            (Some(tenant), Some(bound)) if tenant.id == bound => Ok(caller),
            (_, Some(_)) => Err(Error::TenantMismatch),
            (None, None) => Ok(Caller {
                tenant_id: Some(self.random.tenant_id(self.clock.now())),
                new_tenant: Some(reference.into()),
                ..caller
            }),
        }
    }

    /// The tenant that something new belongs to: the caller's, made now where the request named a new one, or the one
    /// that the request gives by its id.
    pub(crate) async fn tenant_for_new(
        &self,
        caller: &Caller,
        given: Option<TenantId>,
    ) -> Result<Option<TenantId>> {
        match (caller.tenant_id, given) {
            (Some(own), Some(given)) if own != given => match caller.new_tenant {
                Some(_) => Err(Error::field("tenant_id", format!("is another tenant than {HEADER} names"))),
                None => Err(Error::TenantMismatch),
            },
            (None, Some(given)) => match self.tenant(caller, given).await {
                Ok(tenant) => Ok(Some(tenant.id)),
                Err(Error::NotFound { .. }) => {
                    Err(Error::field("tenant_id", format!("there is no tenant {given}")))
                }
                Err(error) => Err(error),
            },
            (Some(own), _) => match &caller.new_tenant {
                None => Ok(Some(own)),
                Some(reference) => {
                    // Only who sees the whole organisation makes a tenant.
                    if caller.allowed_domain_ids.is_some() {
                        return Err(Error::KeyIsLimited);
                    }
                    Ok(Some(self.find_or_create_tenant(caller, own, reference).await?.id))
                }
            },
            (None, None) => Ok(None),
        }
    }

    async fn find_or_create_tenant(&self, caller: &Caller, id: TenantId, reference: &str) -> Result<Tenant> {
        let now = self.clock.now();
        let new = Tenant { id, org_id: caller.org_id, reference: reference.to_owned(), created_at: now };
        let audit = self.audit_entry(caller, "tenant.created", &id, &json!({"ref": reference}), now);
        Ok(self.store.find_or_create_tenant(&new, &audit).await?)
    }

    /// The tenant of that reference, made now where it is not there; says whether it was made.
    pub async fn add_tenant(&self, caller: &Caller, reference: &str) -> Result<(Tenant, bool)> {
        caller.require(Scope::WriteDomains)?;
        caller.require_whole_organisation()?;
        check_reference("ref", reference)?;
        let id = self.random.tenant_id(self.clock.now());
        let tenant = self.find_or_create_tenant(caller, id, reference).await?;
        let is_new = tenant.id == id;
        Ok((tenant, is_new))
    }

    /// A tenant that the caller sees.
    pub async fn tenant(&self, caller: &Caller, id: TenantId) -> Result<Tenant> {
        match self.store.get_tenant(&caller.visible(), id).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "tenant", id: id.to_string() }),
            other => Ok(other?),
        }
    }

    /// The tenants that the caller sees, newest first.
    pub async fn tenants(&self, caller: &Caller, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        caller.require(Scope::ReadDomains)?;
        Ok(self.store.list_tenants(&caller.visible(), after, limit).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_printable_and_short() {
        for good in ["cust_12345", "A b/c~", &"x".repeat(128)] {
            assert!(check_reference("ref", good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "ä", "a\tb", "a\u{7f}", &"x".repeat(129)] {
            assert!(check_reference("ref", bad).is_err(), "{bad:?}");
        }
    }
}
