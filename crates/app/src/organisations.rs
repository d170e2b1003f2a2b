//! Organisations, for those who run the platform: making, naming, switching off and on.
//!
//! Who runs the platform holds a root key, or is an admin of the organisation that the platform began with. One that is
//! switched off lets nobody in, neither by a key nor by a login; its domains stay watched and what is in its queue is sent, so
//! that nothing is lost when it is switched on again.

use crate::{
    App,
    access::{Actor, Caller},
    error::{Error, Result},
    notices,
};
use model::OrgId;
use serde_json::{Value, json};
use store::{AuditEntry, ListedOrganisation, Organisation, Role, StoreError};

impl App {
    /// Makes an organisation. Its owner is the user who makes it, and whoever is invited as one.
    pub async fn create_organisation(
        &self,
        caller: &Caller,
        name: &str,
        owner: Option<&str>,
    ) -> Result<ListedOrganisation> {
        self.require_operator(caller).await?;
        let name = crate::users::name(name)?;
        if let Some(owner) = owner {
            crate::users::address(owner).map_err(|error| in_field(error, "owner"))?;
        }
        let now = self.clock.now();
        let organisation = match caller.made_before(OrgId::from_parts) {
            Some(id) if let Ok(found) = self.store.get_organisation(id).await => found,
            _ => {
                let id = caller.id_or(OrgId::from_parts, self.random.org_id(now));
                let new = Organisation { id, name, created_at: now };
                let audit = self.line_of(caller, "organisation.created", id, &json!({"name": new.name}));
                let user = match caller.actor {
                    Actor::User(id) => Some(id),
                    Actor::Key(_) | Actor::System | Actor::Visitor => None,
                };
                self.store.create_owned_organisation(&new, user, &audit).await?;
                new
            }
        };
        let id = organisation.id;
        // What is not there yet is made when it is first asked for.
        if let Err(error) = self.provide_sandbox_domain(&Caller::owner(id)).await {
            tracing::warn!(%error, org = %id, "the sandbox domain is not there yet");
        }
        if let Some(owner) = owner {
            self.invite(&Caller { org_id: id, is_root: true, ..caller.clone() }, owner, Role::Owner).await?;
        }
        self.listed(id).await
    }

    /// All organisations, newest first, those that are switched off too.
    pub async fn organisations(
        &self,
        caller: &Caller,
        after: Option<OrgId>,
        limit: u32,
    ) -> Result<Vec<ListedOrganisation>> {
        self.require_operator(caller).await?;
        Ok(self.store.list_organisations(notices::ORGANISATION, after, limit).await?)
    }

    /// One of them.
    pub async fn organisation_of(&self, caller: &Caller, id: OrgId) -> Result<ListedOrganisation> {
        self.require_operator(caller).await?;
        self.listed(id).await
    }

    /// Gives one another name.
    pub async fn name_organisation(
        &self,
        caller: &Caller,
        id: OrgId,
        name: &str,
    ) -> Result<ListedOrganisation> {
        let found = self.organisation_of(caller, id).await?;
        let name = crate::users::name(name)?;
        if name != found.organisation.name {
            let audit = self.line_of(caller, "organisation.renamed", id, &json!({"name": name}));
            self.store.rename_organisation(id, &name, &audit).await?;
        }
        self.listed(id).await
    }

    /// Switches one off, or on again. The one that the platform began with is always on: those who run it are there.
    pub async fn switch_organisation_off(
        &self,
        caller: &Caller,
        id: OrgId,
        is_off: bool,
    ) -> Result<ListedOrganisation> {
        let found = self.organisation_of(caller, id).await?;
        let first = self.store.first_organisation().await?;
        if is_off && first.is_some_and(|first| first.id == id) {
            let message =
                "the platform began with this organisation, and those who run it are in it; it stays on";
            return Err(Error::field("id", message));
        }
        if is_off != found.disabled_at.is_some() {
            let action = if is_off { "organisation.disabled" } else { "organisation.enabled" };
            let audit = self.line_of(caller, action, id, &json!({"name": found.organisation.name}));
            let at = is_off.then(|| self.clock.now());
            self.store.disable_organisation(id, at, &audit).await?;
        }
        self.listed(id).await
    }

    async fn listed(&self, id: OrgId) -> Result<ListedOrganisation> {
        match self.store.listed_organisation(notices::ORGANISATION, id).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "organisation", id: id.to_string() }),
            other => Ok(other?),
        }
    }

    /// The line is in the log of whoever does it; of a root key, which is of no organisation, in that of the organisation.
    fn line_of(&self, caller: &Caller, action: &str, id: OrgId, data: &Value) -> AuditEntry {
        let entry = self.audit_entry(caller, action, &id, data, self.clock.now());
        if caller.is_root { AuditEntry { org_id: id, ..entry } } else { entry }
    }
}

/// The same error about another field.
fn in_field(error: Error, field: &str) -> Error {
    match error {
        Error::Invalid(mut errors) => {
            for error in &mut errors {
                field.clone_into(&mut error.field);
            }
            Error::Invalid(errors)
        }
        other => other,
    }
}
