//! Keys beside those of a profile, each a TXT record in the customer's own DNS.
//!
//! Where the customer publishes the key itself, a new one is put beside it: "add this record". When our checks see it, it signs
//! and takes the place of the one before, whose record stays for [`super::DRAINED`] and may then be removed. In the same way
//! a key comes that its owner brings along.

use super::{drained_at, not_now, selector_of};
use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
};
use aws_lc_rs::{encoding::AsDer, rsa::KeyPair};
use diagnosis::{KeyBeside, Plan, RecordReport, Variables};
use jiff::Timestamp;
use mail::dkim::SigningKey;
use model::{DomainId, DomainName};
use providers::Secret;
use serde_json::json;
use store::{DkimKey, Hidden, KeyState, NewPoolKey, PlaceTurn, StoreError, Told};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

/// What is said of a key that cannot sign.
const KINDS: &str =
    "is not a key that mail can be signed with: give RSA with 2,048 bits at least (RFC 8301), or Ed25519";

/// What the keys of the records of keys beside begin with. No profile has such keys.
const MARK: &str = "dkim-beside-";

/// How long a selector of somebody's own may be.
const MOST_SELECTOR: usize = 63;

/// The largest key that is read, in octets of PEM.
const MOST_PEM: usize = 20_000;

/// A key that its owner brings along.
pub struct ImportKey {
    /// The selector that it is, or will be, published at.
    pub selector: String,
    /// The private key: PEM of PKCS #8 (RSA, Ed25519) or PKCS #1 (RSA).
    pub private_key: Secret,
}

/// The record of a key that stands beside the profile's.
pub(crate) fn record_beside(key: &DkimKey) -> Option<KeyBeside> {
    let selector = key.beside.clone()?;
    let explanation = match key.state {
        KeyState::Standby => {
            "Add this record: the next DKIM key. Mail is signed with it as soon as it is seen; leave the one before where it \
             is until then."
                .to_owned()
        }
        KeyState::Active => "The DKIM key that mail is signed with.".to_owned(),
        KeyState::Draining | KeyState::Retired => {
            let until = key.retire_at.map(|at| at.strftime(" until %Y-%m-%d %H:%M UTC").to_string());
            format!(
                "The DKIM key that signed before. Leave it{} for mail that is still on its way; then the record may be \
                 removed.",
                until.unwrap_or_default()
            )
        }
    };
    let key_name = format!("{MARK}{}", key.position);
    Some(KeyBeside { key: key_name, selector, public_key: key.public_key.clone(), explanation })
}

/// Whether a key that stands beside is seen now, as far as the report alone tells.
fn has_one_to_take_up(view: &DomainView) -> bool {
    let is_one = |record: &RecordReport| record.planned.key.starts_with(MARK) && record.was_right();
    view.report.all().any(is_one)
}

impl App {
    /// Takes up a key that was prepared, where the check behind this view has seen it. What goes wrong is tried again with
    /// the next check.
    pub(crate) async fn take_up_key_beside(&self, view: DomainView) -> DomainView {
        if !has_one_to_take_up(&view) || view.domain.claimed_at.is_some() {
            return view;
        }
        // Others stand beside for their time.
        let waits = |key: &DkimKey| key.beside.is_some() && key.state == KeyState::Standby;
        if !self.store.keys_of_domain(view.domain.id).await.is_ok_and(|keys| keys.iter().any(waits)) {
            return view;
        }
        match self.rotate(&view, None, false).await {
            Ok(true) => {}
            Ok(false) | Err(Error::KeysNotRotatable { .. }) => return view,
            Err(error) => {
                tracing::warn!(domain = %view.domain.name, %error, "a key that is seen was not taken up");
                return view;
            }
        }
        let domain = self.store.get_domain(view.domain.org_id, view.domain.id).await;
        match domain {
            Ok(domain) => DomainView { domain, ..view },
            Err(_) => view,
        }
    }

    /// Puts a new key beside the one that signs, at a selector that the profile makes of a new token.
    pub(super) async fn put_beside(
        &self,
        view: &DomainView,
        former: &DkimKey,
        by: Option<&Caller>,
        now: Timestamp,
    ) -> Result<()> {
        let selector = self.random.token(24);
        if former.beside.is_none() && self.in_place(view, former, &selector).await?.is_none() {
            return Err(Error::KeysNotRotatable {
                domain: view.domain.name.clone(),
                reason: format!(
                    "the profile \"{}\" makes more of a selector than its token; delete the domain and add it again to get \
                     new ones",
                    view.domain.profile
                ),
            });
        }
        self.add_beside(view, &selector, None, by, now).await
    }

    /// Adds a key that its owner brings along. When it is seen at its selector it signs.
    ///
    /// # Errors
    /// `FieldErrors` for what is no selector or key, `KeysNotRotatable` while another one waits to be seen.
    pub async fn import_domain_key(
        &self,
        caller: &Caller,
        id: DomainId,
        request: &ImportKey,
    ) -> Result<DomainView> {
        caller.require(Scope::Admin)?;
        let domain = self.domain_with_keys(caller, id).await?;
        let selector = checked_selector(&request.selector, &domain.name)?;
        let (public_key, private) = read_key(request.private_key.expose())?;
        let now = self.clock.now();
        let key_id = self.random.key_id(now);
        let sealed = self
            .vault
            .seal(&key_id.to_string(), &private, &self.random)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let key = NewPoolKey { id: key_id, public_key, private_key: sealed.into(), created_at: now };
        let view = self.domain_view(domain).await?;
        self.add_beside(&view, &selector, Some(key), Some(caller), now).await?;
        self.check_in_turn(caller, id).await
    }

    async fn add_beside(
        &self,
        view: &DomainView,
        selector: &str,
        mut key: Option<NewPoolKey>,
        by: Option<&Caller>,
        now: Timestamp,
    ) -> Result<()> {
        let domain = &view.domain;
        // In our zone it has a name that nobody else's can have.
        let served = self.random.token(24);
        let data = json!({"domain": domain.name, "selector": selector, "imported": key.is_some()});
        let event = self.event(domain.org_id, "domain.key_prepared", domain.id.to_string(), &data, now);
        let line = by.map(|by| self.audit_entry(by, "domain.key_prepared", &domain.id, &data, now));
        let told = || Told { events: std::slice::from_ref(&event), audit: line.as_ref() };
        loop {
            let added =
                self.store.add_key_beside(domain.id, &served, selector, key.clone(), now, told()).await;
            match added {
                Ok(_) => break,
                Err(StoreError::PoolEmpty) if key.is_none() => key = Some(self.make_dkim_key().await?),
                Err(StoreError::SelectorTaken) => {
                    return Err(Error::field(
                        "selector",
                        format!("{selector} is the selector of a key of this domain already"),
                    ));
                }
                Err(error) => return Err(not_now(&domain.name, error)),
            }
        }
        self.wake.dns.notify_one();
        self.wake.verify.notify_one();
        self.wake.key_pool.notify_one();
        tracing::info!(domain = %domain.name, selector, "a DKIM key waits to be published");
        Ok(())
    }

    /// Has a key beside sign from now on, in the place of one that the profile has a record for.
    pub(super) async fn put_in_place(
        &self,
        view: &DomainView,
        next: &DkimKey,
        former: &DkimKey,
        by: Option<&Caller>,
        now: Timestamp,
    ) -> Result<()> {
        let domain = &view.domain;
        let selector = next.beside.as_deref().unwrap_or_default();
        let Some((variables, former_selector)) = self.in_place(view, former, selector).await? else {
            // The profile cannot say such a selector: it signs from where it stands.
            return self.sign_with(view, next, former, by, now).await;
        };
        let retire_at = drained_at(former, now);
        let data = json!({
            "domain": domain.name, "selector": selector, "former_selector": former_selector, "retire_at": retire_at,
        });
        let event = self.event(domain.org_id, "domain.key_rotated", domain.id.to_string(), &data, now);
        let line = by.map(|by| self.audit_entry(by, "domain.key_rotated", &domain.id, &data, now));
        let told = Told { events: std::slice::from_ref(&event), audit: line.as_ref() };
        let turn = PlaceTurn {
            next,
            former,
            former_selector: &former_selector,
            variables: &variables,
            retire_at,
            next_at: self.next_rotation(domain.id, now),
            now,
        };
        let put = self.store.put_key_in_place(&turn, told).await;
        put.map_err(|error| not_now(&domain.name, error))?;
        self.wake.verify.notify_one();
        if retire_at <= now {
            self.wake.key_pool.notify_one();
        }
        tracing::info!(domain = %domain.name, selector, "another DKIM key signs");
        Ok(())
    }

    /// The domain's variables with a key of this selector in the place of another one, and the selector that has now; nothing
    /// where the profile makes another selector of it.
    async fn in_place(
        &self,
        view: &DomainView,
        former: &DkimKey,
        selector: &str,
    ) -> Result<Option<(String, String)>> {
        let domain = &view.domain;
        let internal = |error: serde_json::Error| Error::Internal(error.to_string());
        let mut variables: Variables = serde_json::from_str(&domain.variables).map_err(internal)?;
        let owner_of = |plan: &Plan| {
            let of_key = |record: &&std::sync::Arc<diagnosis::PlannedRecord>| {
                matches!(&record.expected,
                diagnosis::Expected::Dkim { public_key: Some(key), .. } if *key == former.public_key)
            };
            plan.records.iter().find(of_key).map(|record| selector_of(&record.owner, &domain.name))
        };
        let keys = self.store.keys_of_domain(domain.id).await?;
        let Some(now) = owner_of(&self.plan_with(domain, keys.iter())?) else { return Ok(None) };
        variables.insert(format!("token{}", former.position + 1), selector.to_owned());
        let text = serde_json::to_string(&variables).map_err(internal)?;
        let turned = store::Domain { variables: text, ..domain.clone() };
        let then = owner_of(&self.plan_with(&turned, keys.iter())?);
        Ok((then.as_deref() == Some(selector)).then_some((turned.variables, now)))
    }

    /// Takes away the key that waits to be seen and shall not be used after all.
    pub async fn discard_key_beside(&self, caller: &Caller, id: DomainId) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let domain = self.stored_domain(caller, id).await?;
        let keys = self.store.keys_of_domain(id).await?;
        let waits = |key: &&DkimKey| key.beside.is_some() && key.state == KeyState::Standby;
        let Some(key) = keys.iter().find(waits) else {
            let reason = "none of them waits to be published, and only such a one is discarded".to_owned();
            return Err(Error::KeysNotRotatable { domain: domain.name, reason });
        };
        let selector = key.beside.as_deref();
        let now = self.clock.now();
        let data = json!({"domain": domain.name, "selector": selector});
        let event = self.event(domain.org_id, "domain.key_removable", id.to_string(), &data, now);
        let line = self.audit_entry(caller, "domain.key_discarded", &id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &line);
        let gone = self.store.retire_key_beside(key, self.wiped(key)?, now, told).await;
        gone.map_err(|error| not_now(&domain.name, error))?;
        self.wake.dns.notify_one();
        self.wake.verify.notify_one();
        self.check_in_turn(caller, id).await
    }

    /// Takes away a key that stands beside and has drained: its record may be removed.
    pub(super) async fn retire_beside(
        &self,
        key: &DkimKey,
        now: Timestamp,
    ) -> Result<std::result::Result<(), StoreError>> {
        let Some((org_id, name)) = self.store.name_of_domain(key.domain_id).await? else {
            return Ok(Err(StoreError::StaleVersion));
        };
        let data = json!({"domain": name, "selector": key.beside});
        let event = self.event(org_id, "domain.key_removable", key.domain_id.to_string(), &data, now);
        let wiped = self.wiped(key)?;
        Ok(self.store.retire_key_beside(key, wiped, now, std::slice::from_ref(&event)).await)
    }

    /// What is kept in the place of a private key that is gone.
    fn wiped(&self, key: &DkimKey) -> Result<Hidden> {
        let sealed = self.vault.seal(&key.id.to_string(), &[], &self.random);
        sealed.map(Hidden::from).map_err(|error| Error::Internal(error.to_string()))
    }
}

/// A selector that somebody gives: one label or more (RFC 6376 section 3.1).
fn checked_selector(given: &str, domain: &DomainName) -> Result<String> {
    let selector = given.trim().to_ascii_lowercase();
    let wrong = |message: String| Err(Error::field("selector", message));
    let shown: String = given.chars().filter(|c| !c.is_control()).take(80).collect();
    if selector.is_empty() || selector.len() > MOST_SELECTOR {
        return wrong(format!(
            "\"{shown}\" is no selector: give what stands before ._domainkey in the record's name, such as s1"
        ));
    }
    if selector.contains("_domainkey") {
        return wrong(format!("\"{shown}\" is more than the selector: give what stands before ._domainkey"));
    }
    match DomainName::parse(&format!("{selector}._domainkey.{domain}")) {
        Ok(name) if selector_of(&name, domain) == selector => Ok(selector),
        _ => wrong(format!(
            "\"{shown}\" makes no name at {domain}: give letters, digits and hyphens, such as s1"
        )),
    }
}

/// The public key in base64, as in the `p=` tag, and the private key as PKCS #8.
fn read_key(given: &str) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let wrong = |message: &str| Err(Error::field("private_key", message.to_owned()));
    if given.len() > MOST_PEM {
        return wrong("is too long for a private key");
    }
    let pem = match PrivateKeyDer::from_pem_slice(given.as_bytes()) {
        Ok(pem) => pem,
        Err(_) if given.contains("BEGIN PUBLIC KEY") => {
            return wrong(
                "is the public key; give the private one, which begins with -----BEGIN PRIVATE KEY-----",
            );
        }
        Err(_) if given.contains("ENCRYPTED") => {
            return wrong("is encrypted; decrypt it first: openssl pkey -in key.pem -out plain.pem");
        }
        Err(_) => {
            return wrong(
                "is no private key in PEM: give the whole text, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----",
            );
        }
    };
    let pkcs8 = match &pem {
        PrivateKeyDer::Pkcs8(der) => Some(Zeroizing::new(der.secret_pkcs8_der().to_vec())),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()).ok().and_then(|pair| {
            let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
            Some(Zeroizing::new(der.as_ref().to_vec()))
        }),
        _ => None,
    };
    let Some(pkcs8) = pkcs8 else { return wrong(KINDS) };
    let Ok(key) = SigningKey::from_pkcs8(&pkcs8) else { return wrong(KINDS) };
    let record = key.public_key_record().map_err(|error| Error::Internal(error.to_string()))?;
    let public = record.split("p=").nth(1).unwrap_or_default().to_owned();
    Ok((public, pkcs8))
}
