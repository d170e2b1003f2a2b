//! Whom to write to about domains: contacts of the organisation, of a tenant, of one domain.
//!
//! Somebody who is no member has to say first that they want it, by a link in the one mail that they get: nobody has alerts
//! sent to strangers by naming them.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
    notices::Notice,
    warmup::seconds_until,
};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use model::{ContactId, DomainId, EmailAddress, TenantId};
use serde_json::json;
use store::{Contact, ContactProof, StoreError};

/// For how long the link in the mail is good.
const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

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
            confirmed_at: None,
        };
        let secret = self.random.token(32);
        let until = now.checked_add(CONFIRM_WITHIN).unwrap_or(now);
        let proof = ContactProof { hash: hash(&secret), until };
        let data = json!({"address": new.address, "tenant_id": tenant_id, "domain_id": new.domain_id});
        let audit = self.audit_entry(caller, "contact.created", &new.id, &data, now);
        let id = self.random.message_id(now);
        let mail = self.composed_notice(id, &self.proof_mail(&new.address, &secret)).await?;
        let added = match self.store.add_contact(&new, &caller.visible(), &proof, &mail, &audit).await {
            Err(error) => return Err(self.asked_too_often(error)),
            Ok(added) => added,
        };
        if added.confirmed_at.is_none() {
            self.notice_is_sent();
        }
        Ok(added)
    }

    /// Has a contact who is not confirmed asked once more, by another mail: the link in the one before ends. Whoever is
    /// confirmed gets none.
    pub async fn ask_contact_again(&self, caller: &Caller, id: ContactId) -> Result<Contact> {
        caller.require(Scope::WriteDomains)?;
        let not_found = |error| match error {
            StoreError::NotFound(_) => Error::NotFound { noun: "contact", id: id.to_string() },
            other => self.asked_too_often(other),
        };
        let contact = self.store.visible_contact(&caller.visible(), id).await.map_err(not_found)?;
        if contact.confirmed_at.is_some() {
            return Ok(contact);
        }
        let now = self.clock.now();
        let secret = self.random.token(32);
        let until = now.checked_add(CONFIRM_WITHIN).unwrap_or(now);
        let proof = ContactProof { hash: hash(&secret), until };
        let audit = self.audit_entry(caller, "contact.asked", &id, &json!({"address": contact.address}), now);
        let mail = self
            .composed_notice(self.random.message_id(now), &self.proof_mail(&contact.address, &secret))
            .await?;
        let asked = self.store.ask_contact_again(&contact, now, &proof, &mail, &audit).await;
        let asked = asked.map_err(not_found)?;
        self.notice_is_sent();
        Ok(asked)
    }

    /// One address gets one such mail a day, and one organisation sends a few.
    fn asked_too_often(&self, error: StoreError) -> Error {
        let StoreError::AskedTooOften { by_organisation, limit, again_at } = error else {
            return error.into();
        };
        let why = if by_organisation {
            format!(
                "{limit} mails that ask an address to confirm it were sent today for this organisation; try again tomorrow"
            )
        } else {
            "no more mail is sent today that asks this address to confirm it: if one came, the link in it is good; else \
             try again tomorrow"
                .to_owned()
        };
        Error::AskedTooOften { why, retry_after: seconds_until(again_at, self.clock.now()) }
    }

    /// The mail that asks an address to confirm that it wants more of them.
    fn proof_mail(&self, address: &EmailAddress, secret: &str) -> Notice {
        let link = format!("{}/contacts/confirm?token={secret}", self.settings.public_url);
        let text = format!(
            "You were named as somebody to write to when the DNS of a domain that mail is sent from breaks.\n\n\
             If you want that, open this link within 7 days and confirm it:\n\n  {link}\n\n\
             If not, do nothing: you get no more mail about it.\n"
        );
        let subject = "Confirm that you want mail about a domain".to_owned();
        Notice { to: address.clone(), subject, text }
    }

    /// Confirms the contact whose address this secret was mailed to.
    pub async fn confirm_contact(&self, secret: &str) -> Result<Contact> {
        match self.store.confirm_contact(&hash(secret), self.clock.now()).await {
            Err(StoreError::NotFound(_)) => Err(Error::LinkOver),
            other => Ok(other?),
        }
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
