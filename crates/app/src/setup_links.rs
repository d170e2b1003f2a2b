//! Links by which somebody without an account sees what to publish for one domain, and has it looked at again.
//!
//! The secret of a link is shown once; its hash is kept. Whoever has it sees the domain's name, its records and what is wrong
//! with them, and nothing else of the organisation.

use crate::{
    App,
    access::{Actor, Caller, Origin, Scope},
    domain_connect::{Back, ConnectLink},
    domains::DomainView,
    error::{Error, Result},
};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use model::{DomainId, SetupLinkId};
use serde_json::json;
use std::sync::Arc;
use store::{SetupLink, StoreError};

/// For how many days a link is good where nobody says.
pub const DAYS: u32 = 7;

/// For how many days at most.
pub const MOST_DAYS: u32 = 30;

/// How long a note may be, in characters.
const MOST_NOTE: usize = 200;

/// How long after a check a visitor is shown what it found, in place of another one.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// A link with its address, which is told once.
#[derive(Debug)]
pub struct NewSetupLink {
    /// The link.
    pub link: SetupLink,
    /// Where it leads.
    pub url: String,
}

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

impl App {
    /// Makes a link for a domain.
    pub async fn make_setup_link(
        &self,
        caller: &Caller,
        domain_id: DomainId,
        days: Option<u32>,
        note: Option<&str>,
        may_publish: bool,
    ) -> Result<NewSetupLink> {
        caller.require(Scope::WriteDomains)?;
        if may_publish {
            // Nobody gives what they have not got.
            caller.require(Scope::WriteDns)?;
        }
        let domain = self.stored_domain(caller, domain_id).await?;
        let days = days.unwrap_or(DAYS);
        if !(1..=MOST_DAYS).contains(&days) {
            return Err(Error::field("expires_in_days", format!("is from 1 to {MOST_DAYS}, not {days}")));
        }
        let note = note.map(str::trim).filter(|note| !note.is_empty());
        if note.is_some_and(|note| note.chars().count() > MOST_NOTE) {
            return Err(Error::field("note", format!("has more than {MOST_NOTE} characters")));
        }
        let now = self.clock.now();
        let link = SetupLink {
            id: caller.id_or(SetupLinkId::from_parts, self.random.setup_link_id(now)),
            org_id: caller.org_id,
            tenant_id: domain.tenant_id,
            domain_id,
            note: note.map(str::to_owned),
            created_at: now,
            expires_at: now.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(now),
            opened_at: None,
            may_publish,
        };
        let secret = self.random.token(32);
        let data = json!({"domain_id": domain_id, "domain": domain.name, "expires_at": link.expires_at,
            "may_publish": may_publish});
        let audit = self.audit_entry(caller, "setup_link.created", &link.id, &data, now);
        self.store.add_setup_link(&link, &hash(&secret), &audit).await?;
        let url = format!("{}/setup/{secret}", self.settings.public_url);
        Ok(NewSetupLink { link, url })
    }

    /// The good links of a domain, newest first.
    pub async fn setup_links(
        &self,
        caller: &Caller,
        domain_id: DomainId,
        after: Option<SetupLinkId>,
        limit: u32,
    ) -> Result<Vec<SetupLink>> {
        caller.require(Scope::ReadDomains)?;
        self.stored_domain(caller, domain_id).await?;
        let visible = caller.visible();
        Ok(self.store.list_setup_links(&visible, domain_id, self.clock.now(), after, limit).await?)
    }

    /// Takes a link back: whoever opens it is told that it is over.
    pub async fn delete_setup_link(&self, caller: &Caller, id: SetupLinkId) -> Result<()> {
        caller.require(Scope::WriteDomains)?;
        let audit = self.audit_entry(caller, "setup_link.deleted", &id, &json!({}), self.clock.now());
        match self.store.delete_setup_link(&caller.visible(), id, &audit).await {
            Err(StoreError::NotFound(_)) => Err(Error::NotFound { noun: "setup link", id: id.to_string() }),
            other => Ok(other?),
        }
    }

    /// The link with this secret and the domain that it is for, for whoever opened it.
    ///
    /// # Errors
    /// `LinkOver` where there is none, it was taken back or is too old, or its domain is gone.
    pub async fn open_setup_link(&self, secret: &str) -> Result<(SetupLink, DomainView)> {
        let now = self.clock.now();
        let link = self.store.find_setup_link(&hash(secret), now).await?.ok_or(Error::LinkOver)?;
        let view = match self.domain(&visitor(&link), link.domain_id).await {
            Err(Error::NotFound { .. }) => return Err(Error::LinkOver),
            other => other?,
        };
        if link.opened_at.is_none() {
            self.store.note_setup_link_opened(link.id, now).await?;
        }
        Ok((link, view))
    }

    /// Has the domain of a link looked at, unless that was done just now.
    ///
    /// # Errors
    /// As [`App::open_setup_link`].
    pub async fn check_by_setup_link(&self, secret: &str) -> Result<()> {
        let (link, view) = self.open_setup_link(secret).await?;
        let fresh = self.clock.now().checked_sub(FRESH).unwrap_or_default();
        if view.domain.last_checked_at.is_some_and(|checked| checked > fresh) {
            return Ok(());
        }
        self.verify_domain(&visitor(&link), link.domain_id).await.map(drop)
    }
}

impl App {
    /// A way to the DNS host of a link's domain, for whoever has the link: they log in there themselves. `visitor` is who
    /// sees the page.
    ///
    /// # Errors
    /// As [`App::open_setup_link`] and [`App::connect_domain`].
    pub async fn connect_by_setup_link(&self, secret: &str, visitor: &str) -> Result<ConnectLink> {
        let (link, _) = self.open_setup_link(secret).await?;
        let back = Back::Setup { secret: secret.to_owned(), visitor: visitor.to_owned() };
        self.connect_domain(&self::visitor(&link), link.domain_id, back).await
    }
}

/// Whoever has a link that is for writing.
pub(crate) fn writer(link: &SetupLink) -> Caller {
    let scopes = [Scope::ReadDomains, Scope::WriteDomains, Scope::WriteDns].into_iter().collect();
    Caller { scopes, ..visitor(link) }
}

/// Whoever has a link, as a caller: of its domain alone.
fn visitor(link: &SetupLink) -> Caller {
    Caller {
        actor: Actor::Visitor,
        origin: Origin::default(),
        tenant_id: link.tenant_id,
        scopes: [Scope::ReadDomains, Scope::WriteDomains].into_iter().collect(),
        allowed_domain_ids: Some(Arc::from([link.domain_id])),
        expires_at: Some(link.expires_at),
        ..Caller::owner(link.org_id)
    }
}
