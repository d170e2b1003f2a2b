//! Whom to write to about domains: contacts of the organisation, of a tenant, of one domain.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
};
use model::{ContactId, DomainId, EmailAddress, TenantId};
use serde_json::json;
use store::{Contact, StoreError};

/// A contact to add.
#[derive(Debug, Clone, Default)]
pub struct AddContact {
    /// The address.
    pub address: String,
    /// The tenant whose domains it is for; the caller's without.
    pub tenant_id: Option<TenantId>,
    /// The one domain that it is for.
    pub domain_id: Option<DomainId>,
}

impl App {
    /// Adds somebody to write to about domains.
    pub async fn add_contact(&self, caller: &Caller, request: &AddContact) -> Result<Contact> {
        caller.require(Scope::WriteDomains)?;
        if let Some(id) = caller.made_before(ContactId::from_parts)
            && let Ok(made) = self.store.get_contact(caller.org_id, id).await
        {
            return Ok(made);
        }
        let address = EmailAddress::parse(request.address.trim())
            .map_err(|error| Error::field("address", error.to_string()))?;
        let tenant_id = match request.domain_id {
            Some(id) => {
                if request.tenant_id.is_some() {
                    return Err(Error::field("tenant_id", "give domain_id or tenant_id, not both"));
                }
                self.stored_domain(caller, id).await?.tenant_id
            }
            None if caller.allowed_domain_ids.is_some() => return Err(Error::KeyIsLimited),
            None => self.tenant_for_new(caller, request.tenant_id).await?,
        };
        let now = self.clock.now();
        let new = Contact {
            id: caller.id_or(ContactId::from_parts, self.random.contact_id(now)),
            org_id: caller.org_id,
            tenant_id,
            domain_id: request.domain_id,
            address,
            created_at: now,
        };
        let data = json!({"address": new.address, "tenant_id": tenant_id, "domain_id": new.domain_id});
        let audit = self.audit_entry(caller, "contact.created", &new.id, &data, now);
        self.store.add_contact(&new, &audit).await?;
        Ok(new)
    }

    /// The contacts that the caller sees, newest first.
    pub async fn contacts(
        &self,
        caller: &Caller,
        after: Option<ContactId>,
        limit: u32,
    ) -> Result<Vec<Contact>> {
        caller.require(Scope::ReadDomains)?;
        Ok(self.store.list_contacts(&caller.visible(), after, limit).await?)
    }

    /// Takes a contact out.
    pub async fn delete_contact(&self, caller: &Caller, id: ContactId) -> Result<()> {
        caller.require(Scope::WriteDomains)?;
        let audit = self.audit_entry(caller, "contact.deleted", &id, &json!({}), self.clock.now());
        match self.store.delete_contact(&caller.visible(), id, &audit).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "contact", id: id.to_string() }),
            other => Ok(other?),
        }
    }
}
