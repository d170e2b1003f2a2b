//! Logging in at a provider (OpenID Connect): the code flow with PKCE, `state` and `nonce`.
//!
//! The browser keeps a secret of ours in a cookie, the database its hash, which is used up by the answer. `state`, `nonce`
//! and the verifier of PKCE are made of that secret, so an answer is good in the browser that asked, once, and nobody else
//! can make one. Who comes is known by issuer and subject; an address that the provider has verified counts at the first
//! time only: for somebody who is invited or whose domain is let in. An account that is there already is linked by who is
//! logged in to it and says so with its password, or by its address where the operator says so. Who goes there in any other
//! way logs in, whoever was logged in before.

mod provider;
mod token;

pub(crate) use provider::Provider;
pub use provider::is_safe;

use crate::{
    App,
    access::{Actor, Caller, Origin},
    error::{Error, Result},
    users::{
        hash, name, new_secret,
        sessions::{Beginning, Begun, LoggedIn},
    },
};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use model::{EmailAddress, OrgId, UserId};
use provider::{Down, shown};
use serde_json::json;
use std::sync::Arc;
use store::{Joining, Role, StoreError, Token, TokenKind, Told, User};
use token::{Expected, Identity, Refused};

/// How long somebody may take at the provider.
const AWAY: SignedDuration = SignedDuration::from_mins(10);

/// A text that is shown to nobody.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What the operator says of the provider.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Its issuer, letter by letter as in its tokens.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// What we show there; none for a public client.
    pub client_secret: Option<Secret>,
    /// What people call it.
    pub name: String,
    /// Whose address is at one of these domains comes in without an invitation.
    pub allowed_domains: Vec<String>,
    /// As what.
    pub default_role: Role,
    /// Where; the first organisation where nothing is said.
    pub organisation: Option<OrgId>,
    /// Whether an account with the same address is linked without proving itself: the provider is trusted like us.
    pub link_by_address: bool,
}

/// Where the browser goes, and the secret that it keeps meanwhile.
pub struct Departure {
    /// The provider's page.
    pub address: String,
    /// For a cookie.
    pub secret: String,
}

/// What the browser comes back with.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The code.
    pub code: String,
    /// What we sent along.
    pub state: String,
    /// Why the provider sent nobody.
    pub error: String,
    /// From which issuer, where it says so (RFC 9207).
    pub issuer: String,
}

/// How an answer ended.
pub enum Arrived {
    /// Somebody is in, as far as the second factor lets them.
    In(Begun),
    /// The account of who was logged in is linked.
    Linked,
}

/// What is sent to the provider, made of the secret in the browser.
fn derived(secret: &str, purpose: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, format!("oidc {purpose}").as_bytes()))
}

impl App {
    /// Where people may log in too, where the operator named a provider; what they call it.
    pub fn provider_name(&self) -> Option<&str> {
        self.provider.get().map(|provider| provider.settings.name.as_str())
    }

    /// The same, and whether this user is linked.
    pub async fn provider_of(&self, user: &LoggedIn) -> Result<Option<(String, bool)>> {
        let Some(provider) = self.provider.get() else { return Ok(None) };
        let is_linked = self.store.has_identity(user.user.id, &provider.settings.issuer).await?;
        Ok(Some((provider.settings.name.clone(), is_linked)))
    }

    /// Names the provider; once, by the composition root.
    ///
    /// # Errors
    /// Why nobody can be asked.
    pub fn set_provider(&self, settings: ProviderSettings) -> std::result::Result<(), String> {
        let provider = Provider::new(settings)?;
        self.provider.set(provider).map_err(|_| "there is a provider already".to_owned())
    }

    fn provider(&self) -> Result<&Provider> {
        self.provider.get().ok_or_else(|| Error::NotFound { noun: "page", id: "login/provider".to_owned() })
    }

    fn redirect(&self) -> String {
        format!("{}/login/provider/back", self.settings.public_url)
    }

    /// Somebody goes to the provider to log in.
    pub async fn to_provider(self: &Arc<Self>, origin: Origin) -> Result<Departure> {
        self.depart(None, origin).await
    }

    /// Somebody goes there to link their account; wants the password, where there is one: who finds an open browser gets
    /// no way in that stays.
    pub async fn to_link(
        self: &Arc<Self>,
        user: &LoggedIn,
        current: &str,
        origin: Origin,
    ) -> Result<Departure> {
        self.provider()?;
        self.require_password(user, current, origin).await?;
        self.depart(Some(user.user.id), origin).await
    }

    /// Takes the link away; wants the password.
    pub async fn unlink(self: &Arc<Self>, user: &LoggedIn, current: &str, origin: Origin) -> Result<()> {
        let issuer = &self.provider()?.settings.issuer;
        if user.user.password_hash.is_none() {
            return Err(Error::field("current", "set a password first, else you do not get in any more"));
        }
        self.require_password(user, current, origin).await?;
        let caller = Caller { origin, ..user.caller() };
        let (data, now) = (json!({"issuer": issuer}), self.clock.now());
        let audit = self.audit_entry(&caller, "user.identity_unlinked", &user.user.id, &data, now);
        match self.store.unlink_identity(user.user.id, issuer, &audit).await {
            // It is gone, as was wanted.
            Err(StoreError::NotFound(_)) => Ok(()),
            other => Ok(other?),
        }
    }

    /// `linked` is who is to be linked to whoever comes back.
    async fn depart(self: &Arc<Self>, linked: Option<UserId>, origin: Origin) -> Result<Departure> {
        let provider = self.provider()?;
        self.count_client(origin)?;
        let now = self.clock.now();
        let secret = new_secret(&self.random);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, derived(&secret, "verifier").as_bytes()));
        let (state, nonce) = (derived(&secret, "state"), derived(&secret, "nonce"));
        let address = provider.address(&self.redirect(), &state, &nonce, &challenge, now).await;
        let address = address.map_err(|down| self.is_down(&down, origin))?;
        let token = Token {
            hash: hash(&secret),
            kind: TokenKind::Provider,
            email: None,
            org_id: None,
            role: None,
            invited_by: linked.map(|id| id.to_string()),
            created_at: now,
            expires_at: now.checked_add(AWAY).unwrap_or(now),
        };
        self.store.insert_token(&token, 1, Told::default()).await?;
        Ok(Departure { address, secret })
    }

    /// Somebody comes back. `secret` is what the browser kept, `replaced` its session, `user` who is logged in there.
    ///
    /// # Errors
    /// `LoginRefused`; `StillInside` instead where somebody is logged in, and stays so.
    pub async fn from_provider(
        self: &Arc<Self>,
        answer: &Answer,
        secret: Option<&str>,
        replaced: Option<&str>,
        user: Option<&LoggedIn>,
        origin: Origin,
    ) -> Result<Arrived> {
        let user = user.filter(|user| !user.waits_for_code);
        match self.answered(answer, secret, replaced, user, origin).await {
            Err(Error::LoginRefused(message)) if user.is_some() => Err(Error::StillInside(message)),
            other => other,
        }
    }

    async fn answered(
        self: &Arc<Self>,
        answer: &Answer,
        secret: Option<&str>,
        replaced: Option<&str>,
        user: Option<&LoggedIn>,
        origin: Origin,
    ) -> Result<Arrived> {
        let provider = self.provider()?;
        self.count_client(origin)?;
        let (secret, linked) = self.used_up(answer, secret, origin).await?;
        if !answer.error.is_empty() {
            let message = if answer.error == "access_denied" {
                "you did not log in there, or may not".to_owned()
            } else {
                format!("it answered \"{}\"", shown(&answer.error))
            };
            return Err(self.refuse("provider", &message, origin));
        }
        if !answer.issuer.is_empty() && answer.issuer != provider.settings.issuer {
            return Err(self.refuse("issuer", "the answer is from another provider", origin));
        }
        let identity = match self.identity(provider, &answer.code, &secret).await {
            Ok(Ok(identity)) => identity,
            Ok(Err(refused)) => {
                let message = format!("the token of the login is not good: {refused}");
                return Err(self.refuse(refused.as_str(), &message, origin));
            }
            Err(down) => return Err(self.is_down(&down, origin)),
        };
        match linked {
            Some(linked) => self.link(&provider.settings, &identity, &linked, user, origin).await,
            None => self.arrive(&provider.settings, identity, replaced, origin).await,
        }
    }

    /// The secret of the browser, where the answer belongs to it and comes for the first time; and who is to be linked.
    async fn used_up(
        self: &Arc<Self>,
        answer: &Answer,
        secret: Option<&str>,
        origin: Origin,
    ) -> Result<(String, Option<String>)> {
        let again = || {
            self.refuse("state", "this login was not begun in this browser, is too old, or was used", origin)
        };
        let secret = secret.filter(|secret| secret.len() == 52).ok_or_else(again)?;
        let state = derived(secret, "state");
        verify_slices_are_equal(state.as_bytes(), answer.state.as_bytes()).map_err(|_| again())?;
        let used = self.store.use_token(&hash(secret), TokenKind::Provider, self.clock.now()).await?;
        used.map(|token| (secret.to_owned(), token.invited_by)).ok_or_else(again)
    }

    async fn identity(
        &self,
        provider: &Provider,
        code: &str,
        secret: &str,
    ) -> std::result::Result<std::result::Result<Identity, Refused>, Down> {
        let now = self.clock.now();
        let id_token = provider.exchange(code, &derived(secret, "verifier"), &self.redirect(), now).await?;
        let keys = match provider.keys(&id_token, now).await? {
            Ok(keys) => keys,
            Err(refused) => return Ok(Err(refused)),
        };
        let ProviderSettings { issuer, client_id, .. } = &provider.settings;
        let nonce = derived(secret, "nonce");
        Ok(token::verify(&id_token, &keys, Expected { issuer, client_id, nonce: &nonce, now }))
    }

    /// Lets in who the provider says it is.
    async fn arrive(
        self: &Arc<Self>,
        settings: &ProviderSettings,
        identity: Identity,
        replaced: Option<&str>,
        origin: Origin,
    ) -> Result<Arrived> {
        if let Some(known) = self.store.find_identity(&settings.issuer, &identity.subject).await? {
            return self.come_in(&known, None, replaced, origin).await;
        }
        let email = match identity.email {
            Ok(email) => email,
            Err(refused) => {
                let message = format!("the token of the login is not good: {refused}");
                return Err(self.refuse(refused.as_str(), &message, origin));
            }
        };
        if let Some(there) = self.store.find_user(&email).await? {
            if !settings.link_by_address {
                let message = format!(
                    "{email} has an account here that is not linked; log in as before, and link it at \"Your account\""
                );
                return Err(self.refuse("not_linked", &message, origin));
            }
            let audit = self.visitor_s_entry(&there, origin, "user.identity_linked", "address").await?;
            let told = Told { events: &[], audit: audit.as_ref() };
            let now = self.clock.now();
            self.store.link_identity(&settings.issuer, &identity.subject, &there, now, told).await?;
            return self.come_in(&there, None, replaced, origin).await;
        }
        let (subject, name) = (identity.subject, identity.name);
        self.join(settings, &subject, email, name.as_deref(), replaced, origin).await
    }

    async fn come_in(
        &self,
        user: &User,
        org_id: Option<OrgId>,
        replaced: Option<&str>,
        origin: Origin,
    ) -> Result<Arrived> {
        let waits_for_code = user.totp_secret.is_some();
        let beginning = Beginning { org_id, waits_for_code, replaced, by: Some("provider"), origin };
        self.begin_session(user, beginning).await.map(Arrived::In)
    }

    /// Links the account of who asked for that with its password, where they are logged in still.
    async fn link(
        self: &Arc<Self>,
        settings: &ProviderSettings,
        identity: &Identity,
        linked: &str,
        user: Option<&LoggedIn>,
        origin: Origin,
    ) -> Result<Arrived> {
        let Some(user) = user.filter(|user| user.user.id.to_string() == linked) else {
            let message = "the account that was to be linked is not logged in in this browser any more; log in \
                 to it, and link it again";
            return Err(self.refuse("link_of_another", message, origin));
        };
        match self.store.find_identity(&settings.issuer, &identity.subject).await? {
            Some(known) if known.id == user.user.id => return Ok(Arrived::Linked),
            Some(_) => {
                let message =
                    "who you are there belongs to another account here; log out, and log in with it";
                return Err(self.refuse("linked_elsewhere", message, origin));
            }
            None => {}
        }
        let now = self.clock.now();
        let caller = Caller { origin, ..user.caller() };
        let data = json!({"by": "account", "issuer": settings.issuer});
        let audit = self.audit_entry(&caller, "user.identity_linked", &user.user.id, &data, now);
        match self.store.link_identity(&settings.issuer, &identity.subject, &user.user, now, &audit).await {
            // Changed, or linked, at the same moment.
            Err(StoreError::StaleVersion | StoreError::UserTaken) => {
                let message = "the account was changed just now; link it again";
                Err(self.refuse("changed", message, origin))
            }
            other => Ok(other.map(|()| Arrived::Linked)?),
        }
    }

    /// Makes an account for who is invited, or whose domain is let in.
    async fn join(
        self: &Arc<Self>,
        settings: &ProviderSettings,
        subject: &str,
        email: EmailAddress,
        called: Option<&str>,
        replaced: Option<&str>,
        origin: Origin,
    ) -> Result<Arrived> {
        let now = self.clock.now();
        let invitation = self.store.find_invitation_of(&email, now).await?;
        let is_let_in = settings.allowed_domains.iter().any(|domain| is_at(&email, domain));
        let (org_id, role, invitation) = match &invitation {
            Some(Token { org_id: Some(org_id), role: Some(role), hash, .. }) => {
                (*org_id, *role, Some(&hash[..]))
            }
            _ if is_let_in => (self.organisation_of_newcomers(settings).await?, settings.default_role, None),
            _ => {
                let message = format!("{email} is not invited; ask an owner or an admin for an invitation");
                return Err(self.refuse("not_invited", &message, origin));
            }
        };
        let local: String =
            email.to_string().split('@').next().unwrap_or_default().chars().take(100).collect();
        let user = User {
            id: self.random.user_id(now),
            name: called.and_then(|called| name(called).ok()).unwrap_or(local),
            email,
            password_hash: None,
            totp_secret: None,
            created_at: now,
        };
        let caller = Caller { actor: Actor::User(user.id), origin, ..Caller::owner(org_id) };
        let by = if invitation.is_some() { "invitation" } else { "domain" };
        let data = json!({"role": role.as_str(), "by": by, "issuer": settings.issuer});
        let audit = self.audit_entry(&caller, "member.added", &user.id, &data, now);
        let joining = Joining { issuer: &settings.issuer, subject, org_id, role, invitation };
        match self.store.join_by_identity(&user, joining, &audit).await {
            Err(StoreError::NotFound(_)) => {
                Err(self.refuse("not_invited", "the invitation works no more; ask for a new one", origin))
            }
            // Came twice at the same moment.
            Err(StoreError::UserTaken) => Err(self.refuse("state", "this login was used", origin)),
            Err(other) => Err(other.into()),
            Ok(()) => self.come_in(&user, Some(org_id), replaced, origin).await,
        }
    }

    async fn organisation_of_newcomers(&self, settings: &ProviderSettings) -> Result<OrgId> {
        if let Some(org_id) = settings.organisation {
            return Ok(org_id);
        }
        let first = self.store.first_organisation().await?;
        first.map(|first| first.id).ok_or_else(|| Error::Internal("there is no organisation".to_owned()))
    }

    fn organisation_of_refusals(&self) -> Option<OrgId> {
        self.provider.get().and_then(|provider| provider.settings.organisation)
    }

    /// The error, told in the audit log too.
    fn refuse(self: &Arc<Self>, reason: &'static str, message: &str, origin: Origin) -> Error {
        metrics::counter!("countersign_logins_refused_total").increment(1);
        self.tell_refused_provider(reason, self.organisation_of_refusals(), origin);
        Error::LoginRefused(message.to_owned())
    }

    fn is_down(self: &Arc<Self>, down: &Down, origin: Origin) -> Error {
        tracing::warn!(%down, "the provider that people log in at is of no use");
        let message = down.to_string();
        match down {
            Down::Code(_) => self.refuse("code", &message, origin),
            Down::Unreachable(_) | Down::Status(_) | Down::Answer(_) => {
                self.tell_refused_provider("down", self.organisation_of_refusals(), origin);
                Error::ProviderDown(message)
            }
        }
    }
}

/// Whether an address is at a domain.
fn is_at(email: &EmailAddress, domain: &str) -> bool {
    email.to_string().rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
}
