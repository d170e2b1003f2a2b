//! How people get in: a password, a link that goes to their address, a code where they have a second factor, and for the
//! first one a link that is shown where the platform runs.

use super::{
    address, hash, name, new_secret,
    reset::AtTheMachine,
    sessions::{Beginning, Begun, LoggedIn},
    totp,
};
use crate::{
    App,
    access::{Actor, Caller, Origin},
    error::{Error, Result},
    notices::Notice,
};
use jiff::SignedDuration;
use serde_json::json;
use std::sync::Arc;
use store::{Role, StoreError, Token, TokenKind, Told, User};

/// How long a link to log in works.
const LINK: SignedDuration = SignedDuration::from_mins(15);

/// How long a link that was not used is the newest one: no other is sent meanwhile.
const KEPT: SignedDuration = SignedDuration::from_mins(1);

/// How many links of an address work at the same time.
pub(super) const MOST_LINKS: u32 = 3;

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
    pub origin: Origin,
    /// The session that the browser has, which ends.
    pub replaced: Option<&'a str>,
}

impl App {
    /// A link by which the first owner comes in, where nobody is there yet. It works once.
    pub async fn first_owner_link(&self) -> Result<Option<String>> {
        let (now, public_url) = (self.clock.now(), &self.settings.public_url);
        AtTheMachine { store: &self.store, random: &self.random, now, public_url }.first_owner_link().await
    }

    /// Whether a link for the first owner works.
    pub async fn is_first_owner_link(&self, secret: &str) -> Result<bool> {
        let found = self.store.find_token(&hash(secret), TokenKind::FirstOwner, self.clock.now()).await?;
        Ok(found.is_some())
    }

    /// Makes the first owner, once, and logs them in.
    pub async fn make_first_owner(&self, secret: &str, newcomer: &Newcomer, origin: Origin) -> Result<Begun> {
        if !self.is_first_owner_link(secret).await? {
            return Err(Error::LinkOver);
        }
        let user = self.new_user(newcomer).await?;
        let first = self.store.first_organisation().await?.ok_or(Error::LinkOver)?;
        let caller = Caller { actor: Actor::User(user.id), origin, ..Caller::owner(first.id) };
        let data = json!({"role": Role::Owner.as_str()});
        let audit = self.audit_entry(&caller, "member.added", &user.id, &data, user.created_at);
        match self.store.create_first_owner(&hash(secret), &user, first.id, &audit).await {
            Err(StoreError::NotFound(_) | StoreError::UserTaken) => return Err(Error::LinkOver),
            other => other?,
        }
        let by = Some("first owner's link");
        let org_id = Some(first.id);
        self.begin_session(&user, Beginning { org_id, waits_for_code: false, replaced: None, by, origin })
            .await
    }

    /// A user who is not stored yet.
    pub(super) async fn new_user(&self, newcomer: &Newcomer) -> Result<User> {
        let email = address(&newcomer.email)?;
        let name = name(&newcomer.name)?;
        let password_hash = self.hash_password(&newcomer.password, &[&email.to_string(), &name]).await?;
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
    pub async fn log_in(self: &Arc<Self>, login: Login<'_>) -> Result<Begun> {
        let email = address(login.email)?;
        self.count_try(login.origin, &email.to_string())?;
        let user = self.store.find_user(&email).await?;
        let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let (is_right, renewed) = self.check_password(login.password, stored).await?;
        if let Some(user) = user.as_ref().filter(|_| !is_right) {
            self.tell_refused(user, login.origin, "password");
        }
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
        let Login { replaced, origin, .. } = login;
        let waits_for_code = user.totp_secret.is_some();
        let by = Some("password");
        self.begin_session(&user, Beginning { org_id: None, waits_for_code, replaced, by, origin }).await
    }

    /// Sends a link to log in, where there is a user with this address; who asks is not told whether there is.
    pub fn send_login_link(self: &Arc<Self>, email: &str, origin: Origin) -> Result<()> {
        let email = address(email)?;
        self.count_try(origin, &format!("link to {email}"))?;
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
                    invited_by: None,
                    created_at: now,
                    expires_at: now.checked_add(LINK).unwrap_or(now),
                };
                let line = app.visitor_s_entry(&user, origin, "user.link_sent", "mail").await?;
                let told = Told { events: &[], audit: line.as_ref() };
                app.store.insert_token(&token, MOST_LINKS, told).await?;
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
    pub async fn log_in_by_link(
        &self,
        secret: &str,
        replaced: Option<&str>,
        origin: Origin,
    ) -> Result<Begun> {
        let used = self.store.use_token(&hash(secret), TokenKind::Login, self.clock.now()).await?;
        let email = used.and_then(|token| token.email).ok_or(Error::LinkOver)?;
        let user = self.store.find_user(&email).await?.ok_or(Error::LinkOver)?;
        let waits_for_code = user.totp_secret.is_some();
        let by = Some("link");
        self.begin_session(&user, Beginning { org_id: None, waits_for_code, replaced, by, origin }).await
    }

    /// Gives the second factor that a session waits for: a code of the app, or one from paper. The session goes on with a
    /// new secret.
    pub async fn enter_code(
        self: &Arc<Self>,
        user: &LoggedIn,
        secret: &str,
        code: &str,
        origin: Origin,
    ) -> Result<Begun> {
        self.count_try(origin, &format!("code of {}", user.user.id))?;
        if !user.waits_for_code {
            return Err(Error::LinkOver);
        }
        if self.is_second_factor(&user.user, code).await? {
            let (org_id, replaced, by) = (Some(user.org_id), Some(secret), Some("code"));
            let beginning = Beginning { org_id, waits_for_code: false, replaced, by, origin };
            return self.begin_session(&user.user, beginning).await;
        }
        self.tell_refused(&user.user, origin, "code");
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
