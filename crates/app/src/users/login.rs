//! How people get in: a password, a link that goes to their address, a code where they have a second factor, and for the
//! first one a link that is shown where the platform runs.

use super::{
    address, hash, name, new_secret,
    sessions::{Begun, LoggedIn},
    totp,
};
use crate::{
    App,
    access::{Actor, Caller},
    error::{Error, Result},
    notices::Notice,
};
use jiff::SignedDuration;
use serde_json::json;
use std::{net::IpAddr, sync::Arc};
use store::{Role, StoreError, Token, TokenKind, User};

/// How long a link to log in works.
const LINK: SignedDuration = SignedDuration::from_mins(15);

/// How long the link for the first owner works; a start makes a new one.
const FIRST_OWNER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a link that was not used is the newest one: no other is sent meanwhile.
const KEPT: SignedDuration = SignedDuration::from_mins(1);

/// How many links of an address work at the same time.
const MOST_LINKS: u32 = 3;

/// What somebody who has no account yet chooses.
#[derive(Debug, Clone, Default)]
pub struct Newcomer {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// What a login is tried with.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// Where the request comes from.
    pub client: IpAddr,
    /// The session that the browser has, which ends.
    pub replaced: Option<&'a str>,
}

impl App {
    /// A link by which the first owner comes in, where nobody is there yet. It works once.
    pub async fn first_owner_link(&self) -> Result<Option<String>> {
        if self.store.count_users().await? > 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let secret = new_secret(&self.random);
        let token = Token {
            hash: hash(&secret),
            kind: TokenKind::FirstOwner,
            email: None,
            org_id: None,
            role: None,
            created_at: now,
            expires_at: now.checked_add(FIRST_OWNER).unwrap_or(now),
        };
        self.store.insert_token(&token, MOST_LINKS, &[]).await?;
        Ok(Some(format!("{}/welcome?token={secret}", self.settings.public_url)))
    }

    /// Whether a link for the first owner works.
    pub async fn is_first_owner_link(&self, secret: &str) -> Result<bool> {
        let found = self.store.find_token(&hash(secret), TokenKind::FirstOwner, self.clock.now()).await?;
        Ok(found.is_some())
    }

    /// Makes the first owner, once, and logs them in.
    pub async fn make_first_owner(&self, secret: &str, newcomer: &Newcomer) -> Result<Begun> {
        if !self.is_first_owner_link(secret).await? {
            return Err(Error::LinkOver);
        }
        let user = self.new_user(newcomer).await?;
        let first = self.store.first_organisation().await?.ok_or(Error::LinkOver)?;
        let caller = Caller { actor: Actor::User(user.id), ..Caller::owner(first.id) };
        let data = json!({"role": Role::Owner.as_str()});
        let audit = self.audit_entry(&caller, "member.added", &user.id, &data, user.created_at);
        match self.store.create_first_owner(&hash(secret), &user, first.id, &audit).await {
            Err(StoreError::NotFound(_) | StoreError::UserTaken) => return Err(Error::LinkOver),
            other => other?,
        }
        self.begin_session(&user, Some(first.id), false, None).await
    }

    /// A user who is not stored yet.
    pub(super) async fn new_user(&self, newcomer: &Newcomer) -> Result<User> {
        let email = address(&newcomer.email)?;
        let name = name(&newcomer.name)?;
        let password_hash = self.hash_password(&newcomer.password, &email.to_string()).await?;
        let now = self.clock.now();
        Ok(User {
            id: self.random.user_id(now),
            email,
            name,
            password_hash: Some(password_hash),
            totp_secret: None,
            created_at: now,
        })
    }

    /// Logs in with a password.
    ///
    /// # Errors
    /// `RateLimited`, or `Invalid`: which does not say whether the address or the password is wrong.
    pub async fn log_in(&self, login: Login<'_>) -> Result<Begun> {
        let email = address(login.email)?;
        self.count_try(login.client, &email.to_string())?;
        let user = self.store.find_user(&email).await?;
        let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let (is_right, renewed) = self.check_password(login.password, stored).await?;
        let Some(mut user) = user.filter(|_| is_right) else {
            metrics::counter!("countersign_logins_refused_total").increment(1);
            return Err(Error::field("password", "this address and this password do not belong together"));
        };
        if let (Some(renewed), Some(old)) = (renewed, &user.password_hash) {
            // Where another login did it first, or the password was changed, the session is refused below.
            if self.store.rehash_password(user.id, old, &renewed).await? {
                user.password_hash = Some(renewed);
            }
        }
        self.begin_session(&user, None, user.totp_secret.is_some(), login.replaced).await
    }

    /// Sends a link to log in, where there is a user with this address; who asks is not told whether there is.
    pub fn send_login_link(self: &Arc<Self>, email: &str, client: IpAddr) -> Result<()> {
        let email = address(email)?;
        self.count_try(client, &format!("link to {email}"))?;
        let now = self.clock.now();
        let app = Arc::clone(self);
        // Afterwards, so that the time the answer takes does not tell either.
        self.running.spawn(async move {
            let sent = async {
                let Some(user) = app.store.find_user(&email).await? else { return Ok(()) };
                // The one that was just sent stays: more do not push it out before it is read.
                let fresh = now.checked_sub(KEPT).unwrap_or(now);
                if app.store.has_token_since(&email, TokenKind::Login, fresh).await?
                    || app.door.links.admit(&[(email.to_string(), 1)], now).is_err()
                    || app.door.links_of_day.admit(&[(email.to_string(), 1)], now).is_err()
                {
                    return Ok(());
                }
                let secret = new_secret(&app.random);
                let token = Token {
                    hash: hash(&secret),
                    kind: TokenKind::Login,
                    email: Some(email),
                    org_id: None,
                    role: None,
                    created_at: now,
                    expires_at: now.checked_add(LINK).unwrap_or(now),
                };
                app.store.insert_token(&token, MOST_LINKS, &[]).await?;
                let url = &app.settings.public_url;
                let text = format!(
                    "Log in to Countersign with this link. It works once, and for 15 minutes:\n\n\
                     {url}/login/link?token={secret}\n\n\
                     If you did not ask for it, there is nothing to do: nobody gets in without it.\n"
                );
                let notice = Notice { to: user.email, subject: "Your link to log in".to_owned(), text };
                app.send_notice(&notice).await.map(drop)
            };
            if let Err(error) = sent.await {
                tracing::error!(%error, "a link to log in could not be sent");
            }
        });
        Ok(())
    }

    /// Logs in with a link; it works once.
    pub async fn log_in_by_link(&self, secret: &str, replaced: Option<&str>) -> Result<Begun> {
        let used = self.store.use_token(&hash(secret), TokenKind::Login, self.clock.now()).await?;
        let email = used.and_then(|token| token.email).ok_or(Error::LinkOver)?;
        let user = self.store.find_user(&email).await?.ok_or(Error::LinkOver)?;
        self.begin_session(&user, None, user.totp_secret.is_some(), replaced).await
    }

    /// Gives the second factor that a session waits for: a code of the app, or one from paper. The session goes on with a
    /// new secret.
    pub async fn enter_code(
        &self,
        user: &LoggedIn,
        secret: &str,
        code: &str,
        client: IpAddr,
    ) -> Result<Begun> {
        self.count_try(client, &format!("code of {}", user.user.id))?;
        if !user.waits_for_code {
            return Err(Error::LinkOver);
        }
        if self.is_second_factor(&user.user, code).await? {
            return self.begin_session(&user.user, Some(user.org_id), false, Some(secret)).await;
        }
        metrics::counter!("countersign_logins_refused_total").increment(1);
        Err(Error::field("code", "this code is not right, or was used before; wait for the next one"))
    }

    /// Whether a code is the user's, and was not used before. It is used up.
    pub(super) async fn is_second_factor(&self, user: &User, code: &str) -> Result<bool> {
        let Some(sealed) = &user.totp_secret else { return Ok(false) };
        let totp_secret = self.vault.open(&format!("users/totp_secret/{}", user.id), sealed);
        let totp_secret = totp_secret.map_err(|error| Error::Internal(error.to_string()))?;
        if let Some(step) = totp::step_of(&totp_secret, code, self.clock.now()) {
            return Ok(self.store.use_step(user.id, step).await?);
        }
        match totp::typed_recovery_code(code) {
            Some(code) => Ok(self.store.use_recovery_code(user.id, &hash(&code)).await?),
            None => Ok(false),
        }
    }
}
