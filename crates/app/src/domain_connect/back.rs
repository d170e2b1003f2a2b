//! The way back from a DNS host. Whoever opens it proves nothing by that: what they say of the outcome is not believed, and
//! all that it does is to have the domain looked at.
//!
//! The state in the address is sealed by us, for a day: who made it up gets nothing. It holds which domain it is about, and
//! where the browser came from. A setup link's secret goes back only to the browser that had it before.

use super::{App, Error, Result};
use crate::access::{Actor, Caller, Origin, Scope};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainName, OrgId, TenantId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// For how long a browser that comes back is known.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The longest state that is looked at.
const MOST_STATE: usize = 1_024;

const BOUND_TO: &str = "domain_connect/state";

/// Where a browser came from, and goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Back {
    /// The domain's page, for those who are logged in.
    Dashboard,
    /// The page of a setup link.
    Setup {
        /// The link's secret.
        secret: String,
        /// Who had the page: what the token of its forms is made of.
        visitor: String,
    },
}

/// What the address of a browser that came back was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Which domain.
    pub domain_id: DomainId,
    /// Its name.
    pub name: DomainName,
    /// Where to.
    pub back: Back,
}

#[derive(Serialize, Deserialize)]
struct State {
    #[serde(rename = "d")]
    domain: DomainId,
    #[serde(rename = "o")]
    org: OrgId,
    #[serde(rename = "t")]
    tenant: Option<TenantId>,
    #[serde(rename = "u")]
    until: i64,
    #[serde(rename = "b")]
    back: Back,
}

impl App {
    /// The state for a way back, and until when it is good.
    pub(super) fn leave(&self, domain: &store::Domain, back: Back) -> Result<(String, Timestamp)> {
        let until = self.clock.now().checked_add(GOOD_FOR).unwrap_or_default();
        let state = State {
            domain: domain.id,
            org: domain.org_id,
            tenant: domain.tenant_id,
            until: until.as_second(),
            back,
        };
        let fault = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
        let text = serde_json::to_vec(&state).map_err(|error| fault(&error))?;
        let sealed = self.vault.seal(BOUND_TO, &text, &self.random).map_err(|error| fault(&error))?;
        Ok((URL_SAFE_NO_PAD.encode(sealed), until))
    }

    /// Reads the state of a browser that came back.
    ///
    /// # Errors
    /// `LinkOver` where it is none of ours, too old, or its domain is gone.
    pub async fn back_from_host(&self, state: &str) -> Result<Returned> {
        let (state, _) = self.open_state(state)?;
        let domain = match self.stored_domain(&visitor(&state), state.domain).await {
            Err(Error::NotFound { .. }) => return Err(Error::LinkOver),
            other => other?,
        };
        Ok(Returned { domain_id: domain.id, name: domain.name, back: state.back })
    }

    /// Has the domain looked at that a browser came back for, unless that was done just now, or too often.
    ///
    /// # Errors
    /// As [`App::back_from_host`].
    pub async fn check_after_host(&self, state: &str) -> Result<()> {
        let (state, now) = self.open_state(state)?;
        if self.connects_back.take(&state.domain, now).is_err() {
            // It is looked at by itself, too.
            return Ok(());
        }
        match self.freshly_checked(&visitor(&state), state.domain).await {
            Err(Error::NotFound { .. }) => Err(Error::LinkOver),
            other => other.map(drop),
        }
    }

    fn open_state(&self, state: &str) -> Result<(State, Timestamp)> {
        if state.len() > MOST_STATE {
            return Err(Error::LinkOver);
        }
        let octets = URL_SAFE_NO_PAD.decode(state).map_err(|_| Error::LinkOver)?;
        let opened = self.vault.open(BOUND_TO, &octets).map_err(|_| Error::LinkOver)?;
        let state: State = serde_json::from_slice(&opened).map_err(|_| Error::LinkOver)?;
        let now = self.clock.now();
        if state.until < now.as_second() { Err(Error::LinkOver) } else { Ok((state, now)) }
    }
}

/// Whoever came back, as a caller: of the one domain alone, to have it looked at.
fn visitor(state: &State) -> Caller {
    Caller {
        actor: Actor::Visitor,
        origin: Origin::default(),
        tenant_id: state.tenant,
        scopes: [Scope::ReadDomains, Scope::WriteDomains].into_iter().collect(),
        allowed_domain_ids: Some(Arc::from([state.domain])),
        ..Caller::owner(state.org)
    }
}
