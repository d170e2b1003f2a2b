//! What users change of their own account: the password and the second factor.

use super::{
    hash, hex,
    sessions::{Beginning, Begun, LoggedIn},
    totp,
};
use crate::{
    App,
    access::{Caller, Origin},
    error::{Error, Result},
};
use serde_json::json;
use std::sync::Arc;
use store::{Hidden, User};

/// A second factor to set up: what the app is given. It is kept nowhere until a code shows that the app has it.
#[derive(Clone)]
pub struct NewFactor {
    /// The secret, as apps take it.
    pub shown: String,
    /// The secret as it comes back with the first code: sealed for this user.
    pub sealed: String,
    /// The link that apps open.
    pub link: String,
}

impl App {
    /// Refuses who does not know the password of the account, where it has one: an open browser is not enough.
    pub(crate) async fn require_password(
        self: &Arc<Self>,
        user: &LoggedIn,
        password: &str,
        origin: Origin,
    ) -> Result<()> {
        if user.waits_for_code {
            return Err(Error::LinkOver);
        }
        let Some(stored) = user.user.password_hash.as_deref() else { return Ok(()) };
        self.count_try(origin, &format!("password of {}", user.user.id))?;
        if self.check_password(password, Some(stored)).await?.0 {
            return Ok(());
        }
        self.tell_refused(&user.user, origin, "current password");
        Err(Error::field("current", "this is not your password"))
    }

    /// Sets another password. All sessions of the user end; the own one goes on with a new secret.
    pub async fn change_password(
        self: &Arc<Self>,
        user: &LoggedIn,
        current: &str,
        new: &str,
        origin: Origin,
    ) -> Result<Begun> {
        self.require_password(user, current, origin).await?;
        let made = self.hash_password(new, &[&user.user.email.to_string(), &user.user.name]).await?;
        let now = self.clock.now();
        let audit = self.audit_entry(
            &Caller { origin, ..user.caller() },
            "user.password_changed",
            &user.user.id,
            &json!({}),
            now,
        );
        self.store.set_password(user.user.id, &made, &audit).await?;
        let changed = User { password_hash: Some(made), ..user.user.clone() };
        let org_id = Some(user.org_id);
        let beginning = Beginning { org_id, waits_for_code: false, replaced: None, by: None, origin };
        self.begin_session(&changed, beginning).await
    }

    /// A secret for a second factor.
    pub fn new_second_factor(&self, user: &LoggedIn) -> Result<NewFactor> {
        let secret = self.random.bytes::<{ totp::SECRET }>();
        let shown = totp::shown(&secret);
        let sealed = self.vault.seal(&format!("new totp_secret/{}", user.user.id), &secret, &self.random);
        let sealed = sealed.map_err(|error| Error::Internal(error.to_string()))?;
        let link =
            format!("otpauth://totp/Countersign:{}?secret={shown}&issuer=Countersign", user.user.email);
        Ok(NewFactor { shown, sealed: hex(&sealed), link })
    }

    /// The same secret once more, after a code that was not right. What is shown is what the browser sent; only what is
    /// sealed counts.
    pub fn same_second_factor(&self, user: &LoggedIn, sealed: &str, shown: &str) -> NewFactor {
        let shown: String = shown.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        NewFactor { link: link(user, &shown), shown, sealed: sealed.to_owned() }
    }

    /// Sets the second factor, when a code shows that the app has it; wants the password too, where there is one: who
    /// finds an open browser locks nobody out. The codes to keep on paper are told once.
    pub async fn set_second_factor(
        self: &Arc<Self>,
        user: &LoggedIn,
        session: &str,
        sealed: &str,
        current: &str,
        code: &str,
        origin: Origin,
    ) -> Result<Vec<String>> {
        let again = || Error::field("code", "this has taken too long; begin again");
        if user.waits_for_code || user.user.totp_secret.is_some() {
            return Err(again());
        }
        self.require_password(user, current, origin).await?;
        let octets: Option<Vec<u8>> = (sealed.len() < 400 && sealed.is_ascii())
            .then(|| sealed.as_bytes().chunks(2).map(octet_of_hex).collect())
            .flatten();
        let secret =
            self.vault.open(&format!("new totp_secret/{}", user.user.id), &octets.ok_or_else(again)?);
        let secret = secret.map_err(|_| again())?;
        let now = self.clock.now();
        let Some(step) = totp::step_of(&secret, code, now) else {
            return Err(Error::field("code", "this is not the code of now; check the clock of the device"));
        };
        let codes = totp::recovery_codes(&self.random);
        let hashes: Vec<Vec<u8>> = codes.iter().map(|code| hash(code)).collect();
        let kept = self.vault.seal(&format!("users/totp_secret/{}", user.user.id), &secret, &self.random);
        let kept = Hidden::from(kept.map_err(|error| Error::Internal(error.to_string()))?);
        let audit = self.audit_entry(
            &Caller { origin, ..user.caller() },
            "user.second_factor_set",
            &user.user.id,
            &json!({}),
            now,
        );
        let factor = Some((&kept, &hashes[..]));
        self.store.set_second_factor(user.user.id, factor, &hash(session), &audit).await?;
        self.store.use_step(user.user.id, step).await?;
        Ok(codes)
    }

    /// Takes the second factor away; wants a code of it.
    pub async fn remove_second_factor(
        self: &Arc<Self>,
        user: &LoggedIn,
        session: &str,
        code: &str,
        origin: Origin,
    ) -> Result<()> {
        self.count_try(origin, &format!("code of {}", user.user.id))?;
        if user.waits_for_code || !self.is_second_factor(&user.user, code).await? {
            self.tell_refused(&user.user, origin, "code");
            return Err(Error::field("code", "this code is not right, or was used before"));
        }
        let now = self.clock.now();
        let audit = self.audit_entry(
            &Caller { origin, ..user.caller() },
            "user.second_factor_removed",
            &user.user.id,
            &json!({}),
            now,
        );
        Ok(self.store.set_second_factor(user.user.id, None, &hash(session), &audit).await?)
    }
}

fn link(user: &LoggedIn, shown: &str) -> String {
    format!("otpauth://totp/Countersign:{}?secret={shown}&issuer=Countersign", user.user.email)
}

fn octet_of_hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
