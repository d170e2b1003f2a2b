//! Sessions: what a browser's cookie stands for.
//!
//! A cookie holds a random secret, the database its hash. A session ends when it is not used for half a day, a month
//! after it began, when its user logs out, is taken out of the organisation or sets another password. Whoever gets more
//! rights gets a new secret.

use super::{hash, hex, new_secret, scopes_of};
use crate::{
    App,
    access::{Actor, Caller, Origin, ScopeSet},
    error::{Error, Result},
};
use aws_lc_rs::hmac;
use jiff::SignedDuration;
use model::OrgId;
use serde_json::json;
use store::{Membership, NewSession, Role, StoreError, Told, User};

/// How long a session is there when it is not used.
const IDLE: SignedDuration = SignedDuration::from_hours(12);

/// How long it is there however it is used.
const LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long somebody may take for the second factor.
const FOR_CODE: SignedDuration = SignedDuration::from_mins(10);

/// How often a use is noted.
const NOTED: SignedDuration = SignedDuration::from_mins(1);

/// How a session begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning<'a> {
    /// In which organisation; the first one of the user where nothing is said.
    pub org_id: Option<OrgId>,
    /// Whether the second factor is asked for next.
    pub waits_for_code: bool,
    /// The secret of the session that ends with it.
    pub replaced: Option<&'a str>,
    /// What the user came in with, for the audit log; `None` where another line tells it.
    pub by: Option<&'static str>,
    /// Where the request came from.
    pub origin: Origin,
}

/// What a browser gets: the secret of its session, and whether the second factor is asked for next.
#[derive(Clone)]
pub struct Begun {
    /// The secret, for the cookie.
    pub secret: String,
    /// Whether the second factor is still asked for.
    pub waits_for_code: bool,
}

/// Who is logged in.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The user.
    pub user: User,
    /// In which organisation.
    pub org_id: OrgId,
    /// Its name.
    pub organisation: String,
    /// What the user is there.
    pub role: Role,
    /// Whether the second factor is still asked for: then nothing else is allowed.
    pub waits_for_code: bool,
}

impl LoggedIn {
    /// The user as a caller, with what the role may do; with nothing as long as the second factor is asked for.
    pub fn caller(&self) -> Caller {
        let scopes = if self.waits_for_code { ScopeSet::default() } else { scopes_of(self.role) };
        Caller {
            actor: Actor::User(self.user.id),
            origin: Origin::default(),
            scopes,
            ..Caller::owner(self.org_id)
        }
    }
}

/// The token that forms of a session carry. Who knows the token does not know the secret.
pub fn form_token(secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(&hmac::sign(&key, b"forms").as_ref()[..16])
}

impl App {
    /// Begins a session of a user as it was checked. Where the user is in no organisation, there is none.
    pub(crate) async fn begin_session(&self, user: &User, beginning: Beginning<'_>) -> Result<Begun> {
        let Beginning { org_id, waits_for_code, replaced, by, origin } = beginning;
        let memberships = self.store.memberships(user.id).await?;
        let chosen = memberships
            .iter()
            .find(|membership| Some(membership.org_id) == org_id)
            .or_else(|| memberships.first())
            .ok_or_else(|| Error::field("email", "you are no member of any organisation here any more"))?;
        let now = self.clock.now();
        let secret = new_secret(&self.random);
        let session = NewSession {
            secret_hash: hash(&secret),
            user_id: user.id,
            org_id: chosen.org_id,
            waits_for_code,
            created_at: now,
            expires_at: now.checked_add(if waits_for_code { FOR_CODE } else { LIFE }).unwrap_or(now),
        };
        let replaced = replaced.map(hash);
        let audit = by.filter(|_| !waits_for_code).map(|by| {
            let caller = Caller { actor: Actor::User(user.id), origin, ..Caller::owner(chosen.org_id) };
            self.audit_entry(&caller, "user.logged_in", &user.id, &json!({ "by": by }), now)
        });
        let told = Told { events: &[], audit: audit.as_ref() };
        match self.store.begin_session(&session, user, replaced.as_deref(), told).await {
            Err(StoreError::StaleVersion) => {
                return Err(Error::field("email", "the account was changed just now; log in again"));
            }
            other => other?,
        }
        Ok(Begun { secret, waits_for_code })
    }

    /// Who is logged in with this secret. `is_use` is false for what a page does by itself while nobody looks at it: that
    /// keeps no session alive.
    pub async fn logged_in(&self, secret: &str, is_use: bool) -> Result<Option<LoggedIn>> {
        if secret.len() != 52 {
            return Ok(None);
        }
        let now = self.clock.now();
        let before = |time: SignedDuration| now.checked_sub(time).unwrap_or(now);
        let hash = hash(secret);
        let Some(session) = self.store.find_session(&hash, now, before(IDLE)).await? else { return Ok(None) };
        if is_use
            && session.seen_at <= before(NOTED)
            && let Err(error) = self.store.touch_session(&hash, now).await
        {
            tracing::warn!(%error, "the use of a session could not be noted");
        }
        Ok(Some(LoggedIn {
            user: session.user,
            org_id: session.org_id,
            organisation: session.organisation,
            role: session.role,
            waits_for_code: session.waits_for_code,
        }))
    }

    /// A secret for the forms of who is not logged in yet.
    pub fn new_form_secret(&self) -> String {
        new_secret(&self.random)
    }

    /// Ends a session.
    pub async fn log_out(&self, secret: &str) -> Result<()> {
        Ok(self.store.end_session(&hash(secret)).await?)
    }

    /// The organisations of a user.
    pub async fn organisations_of(&self, user: &LoggedIn) -> Result<Vec<Membership>> {
        Ok(self.store.memberships(user.user.id).await?)
    }

    /// Goes on in another organisation of the user, with a new secret.
    pub async fn switch_organisation(
        &self,
        user: &LoggedIn,
        secret: &str,
        org_id: OrgId,
        origin: Origin,
    ) -> Result<Begun> {
        if user.waits_for_code || !self.organisations_of(user).await?.iter().any(|own| own.org_id == org_id) {
            return Err(Error::NotFound { noun: "organisation", id: org_id.to_string() });
        }
        let beginning = Beginning {
            org_id: Some(org_id),
            waits_for_code: false,
            replaced: Some(secret),
            by: Some("other organisation"),
            origin,
        };
        self.begin_session(&user.user, beginning).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_forms_differ_by_session() {
        assert_eq!(form_token("a"), form_token("a"));
        assert_ne!(form_token("a"), form_token("b"));
        assert_eq!(form_token("a").len(), 32);
    }
}
