//! Links for who cannot get in by themselves: the first owner, and users who are locked out. They are made where the
//! platform runs, by whoever can read its database anyway.

use super::{address, hash, login::MOST_LINKS, new_secret};
use crate::{
    App,
    access::{Actor, Caller, Origin},
    error::{Error, Result},
    ports::Random,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{AuditEntry, Store, StoreError, Token, TokenKind, User};

/// How long the link for the first owner works; a start makes a new one.
const FIRST_OWNER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a link for who is locked out works.
const RESET: SignedDuration = SignedDuration::from_hours(1);

/// Whoever stands at the machine.
pub struct AtTheMachine<'a> {
    /// The database.
    pub store: &'a Store,
    /// Randomness.
    pub random: &'a Random,
    /// Now.
    pub now: Timestamp,
    /// Where browsers reach the dashboard.
    pub public_url: &'a str,
}

impl AtTheMachine<'_> {
    fn token(&self, secret: &str, kind: TokenKind, life: SignedDuration) -> Token {
        Token {
            hash: hash(secret),
            kind,
            email: None,
            org_id: None,
            role: None,
            invited_by: None,
            created_at: self.now,
            expires_at: self.now.checked_add(life).unwrap_or(self.now),
        }
    }

    /// A link by which the first owner comes in, where nobody is there yet. It works once.
    pub async fn first_owner_link(&self) -> Result<Option<String>> {
        if self.store.count_users().await? > 0 {
            return Ok(None);
        }
        let secret = new_secret(self.random);
        let token = self.token(&secret, TokenKind::FirstOwner, FIRST_OWNER);
        self.store.insert_token(&token, MOST_LINKS, &[]).await?;
        Ok(Some(format!("{}/welcome?token={secret}", self.public_url)))
    }

    /// A link by which a user who is locked out sets another password, and goes on without the second factor where that
    /// is said. It works once, for an hour.
    pub async fn reset_link(&self, email: &str, without_second_factor: bool) -> Result<String> {
        let email = address(email)?;
        let unknown = || Error::NotFound { noun: "user with the address", id: email.to_string() };
        let user = self.store.find_user(&email).await?.ok_or_else(unknown)?;
        let memberships = self.store.memberships(user.id).await?;
        let org_id = memberships.first().ok_or_else(unknown)?.org_id;
        let secret = new_secret(self.random);
        let kind = if without_second_factor { TokenKind::ResetAll } else { TokenKind::Reset };
        let token = Token { email: Some(email.clone()), ..self.token(&secret, kind, RESET) };
        let audit = AuditEntry {
            id: self.random.audit_id(self.now),
            org_id,
            tenant_id: None,
            at: self.now,
            actor_kind: "system".to_owned(),
            actor_id: None,
            address: None,
            request_id: None,
            action: "user.reset_link_made".to_owned(),
            subject: user.id.to_string(),
            data: json!({ "second_factor": without_second_factor }).to_string(),
        };
        self.store.insert_token(&token, 1, &audit).await?;
        Ok(format!("{}/reset?token={secret}", self.public_url))
    }
}

impl App {
    /// The user whose link this is, and whether the second factor goes too.
    pub async fn reset_of(&self, secret: &str) -> Result<(User, bool)> {
        let now = self.clock.now();
        for kind in [TokenKind::Reset, TokenKind::ResetAll] {
            let found = self.store.find_token(&hash(secret), kind, now).await?;
            if let Some(email) = found.and_then(|token| token.email) {
                let user = self.store.find_user(&email).await?.ok_or(Error::LinkOver)?;
                return Ok((user, kind == TokenKind::ResetAll));
            }
        }
        Err(Error::LinkOver)
    }

    /// Sets another password by such a link. All sessions of the user end; they log in next.
    pub async fn reset_password(&self, secret: &str, password: &str, origin: Origin) -> Result<()> {
        let (user, is_all) = self.reset_of(secret).await?;
        let made = self.hash_password(password, &[&user.email.to_string(), &user.name]).await?;
        let now = self.clock.now();
        let org_id = self.store.memberships(user.id).await?.first().ok_or(Error::LinkOver)?.org_id;
        let caller = Caller { actor: Actor::User(user.id), origin, ..Caller::owner(org_id) };
        let data = json!({ "second_factor": is_all });
        let audit = self.audit_entry(&caller, "user.password_reset", &user.id, &data, now);
        match self.store.reset_password(&hash(secret), &user, &made, now, &audit).await {
            Err(StoreError::NotFound(_)) => Err(Error::LinkOver),
            other => Ok(other?),
        }
    }
}
