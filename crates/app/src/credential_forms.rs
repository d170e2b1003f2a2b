//! A credential of a DNS host on its way through a form: between what would change and the writing of it.
//!
//! Nothing is stored: the page carries it back in a hidden field, sealed, for a quarter of an hour, and bound to the domain
//! and to who saw the page.

use crate::{
    App, Secret,
    access::Caller,
    change_sets::{ChangeSetView, Credential, PlanChanges},
    dns_connections::as_json,
    error::{Error, Result},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use model::{ChangeSetId, DomainId};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use store::{ChangePurpose, DnsConnection, SetupLink, Visible};
use zeroize::Zeroizing;

/// How long a page may be looked at before its form is sent.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(15);

/// The longest field that is looked at.
const MOST_SEALED: usize = 32 * 1024;

/// How many change sets one form writes: one for each zone of a domain.
const MOST_SETS: usize = 8;

/// What came of applying what a page showed.
#[derive(Debug, Default)]
pub struct AppliedShown {
    /// The change sets, as they are now.
    pub sets: Vec<ChangeSetView>,
    /// Why one of them could not be applied now, where no change set tells it.
    pub problem: Option<Error>,
}

#[derive(Deserialize)]
struct Carried {
    host: String,
    until: i64,
    fields: BTreeMap<String, Secret>,
}

fn bound_to(domain: DomainId, visitor: &str) -> String {
    format!("credential of a form/{domain}/{visitor}")
}

impl App {
    /// A credential for the hidden field of a form. `visitor` is who sees the page: what the form's token is made of.
    pub fn seal_credential(
        &self,
        domain: DomainId,
        visitor: &str,
        credential: &Credential,
    ) -> Result<String> {
        let Credential::Given { host, fields } = credential else { return Ok(String::new()) };
        let until = self.clock.now().checked_add(GOOD_FOR).unwrap_or_default().as_second();
        let fields = as_json(fields)?;
        let fields = std::str::from_utf8(&fields).map_err(|error| Error::Internal(error.to_string()))?;
        let host = serde_json::to_string(host).map_err(|error| Error::Internal(error.to_string()))?;
        let text = Zeroizing::new(format!(r#"{{"host":{host},"until":{until},"fields":{fields}}}"#));
        let sealed = self.vault.seal(&bound_to(domain, visitor), text.as_bytes(), &self.random);
        sealed
            .map(|octets| URL_SAFE_NO_PAD.encode(octets))
            .map_err(|error| Error::Internal(error.to_string()))
    }

    /// What a hidden field brought back; nothing there stands for the kept credential of the plan.
    ///
    /// # Errors
    /// `Invalid`: too old, of another page, or not ours.
    pub fn open_credential(&self, domain: DomainId, visitor: &str, sealed: &str) -> Result<Credential> {
        if sealed.is_empty() {
            return Ok(Credential::AsPlanned);
        }
        let over = || Error::field("sealed", "the page was open for too long; give the credential again");
        if sealed.len() > MOST_SEALED {
            return Err(over());
        }
        let octets = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| over())?;
        let opened = self.vault.open(&bound_to(domain, visitor), &octets).map_err(|_| over())?;
        let carried: Carried = serde_json::from_slice(&opened).map_err(|_| over())?;
        if carried.until < self.clock.now().as_second() {
            return Err(over());
        }
        Ok(Credential::Given { host: carried.host, fields: carried.fields })
    }

    /// The kept credentials that are for a domain, newest first.
    pub async fn connections_for(&self, caller: &Caller, id: DomainId) -> Result<Vec<DnsConnection>> {
        let domain = self.stored_domain(caller, id).await?;
        let mut all = self.connections(caller, None, 100).await?;
        all.retain(|one| match one.domain_id {
            Some(of) => of == id,
            None => {
                domain.name.is_at_or_below(&one.zone)
                    && one.tenant_id.is_none_or(|tenant| Some(tenant) == domain.tenant_id)
            }
        });
        Ok(all)
    }

    /// Applies what one page showed, one zone after the other. What stops one is told, and does not stop the others.
    ///
    /// # Errors
    /// As [`App::apply_change_set`], but for what the host said, a zone that changed, and what cannot be applied now.
    pub async fn apply_shown(
        self: &Arc<Self>,
        caller: &Caller,
        domain: DomainId,
        ids: &[ChangeSetId],
        credential: &Credential,
    ) -> Result<AppliedShown> {
        let mut applied = AppliedShown::default();
        for id in ids.iter().take(MOST_SETS) {
            let stored = self.change_set_of(caller, domain, *id).await?;
            let domain = self.stored_domain(caller, domain).await?;
            let opened = self.open_planned(caller, credential, &stored, &domain).await?;
            match self.apply_change_set_with(caller, stored, opened).await {
                Ok(_) | Err(Error::Host(_) | Error::ZoneChanged(_)) => {}
                Err(error @ Error::ChangeSetNotApplicable(_)) => {
                    applied.problem.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            let stored = self.change_set_of(caller, domain.id, *id).await?;
            applied.sets.push(ChangeSetView::of(stored)?);
        }
        Ok(applied)
    }

    /// A change set of a domain that the caller may write.
    async fn change_set_of(
        &self,
        caller: &Caller,
        domain: DomainId,
        id: ChangeSetId,
    ) -> Result<store::StoredChangeSet> {
        let no_such = || Error::NotFound { noun: "change set", id: id.to_string() };
        self.stored_domain(caller, domain).await?;
        let stored = self.store.get_change_set(&Visible::all_of(caller.org_id), id).await;
        stored.ok().filter(|stored| stored.domain_id == domain).ok_or_else(no_such)
    }

    /// Plans the records of a link's domain for whoever has the link, where it allows that.
    ///
    /// # Errors
    /// `LinkOver`, `RateLimited`, `ScopeMissing` where the link is for looking only.
    pub async fn plan_by_setup_link(
        self: &Arc<Self>,
        secret: &str,
        credential: Credential,
    ) -> Result<Vec<ChangeSetView>> {
        let (link, caller) = self.admitted(secret).await?;
        let request = PlanChanges { credential, purpose: ChangePurpose::Setup, apply: false, keep: None };
        self.plan_changes(&caller, link.domain_id, &request).await
    }

    /// Applies what the page of a link showed.
    ///
    /// # Errors
    /// As [`App::plan_by_setup_link`] and [`App::apply_shown`].
    pub async fn apply_by_setup_link(
        self: &Arc<Self>,
        secret: &str,
        ids: &[ChangeSetId],
        credential: &Credential,
    ) -> Result<AppliedShown> {
        let (link, caller) = self.admitted(secret).await?;
        if !matches!(credential, Credential::Given { .. }) {
            // What its owner keeps is not for whoever has a link.
            return Err(Error::field("sealed", "give the credential again"));
        }
        self.apply_shown(&caller, link.domain_id, ids, credential).await
    }

    async fn admitted(&self, secret: &str) -> Result<(SetupLink, Caller)> {
        let (link, _) = self.open_setup_link(secret).await?;
        if !link.may_publish {
            return Err(Error::ScopeMissing("write:dns"));
        }
        // Each asks a host, which a caller named.
        if let Err(quota) = self.link_writes.take(&link.id, self.clock.now()) {
            return Err(Error::RateLimited {
                what: "writings by this link",
                allowed: quota.limit,
                retry_after: quota.reset,
            });
        }
        let caller = crate::setup_links::writer(&link);
        Ok((link, caller))
    }
}
