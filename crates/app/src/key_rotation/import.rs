//! Keys that their owners bring along, from where their domains were before.
//!
//! Such a key stands beside those of the profile until its record is seen. What mail can be signed with so that every receiver
//! can verify it is decided here: RSA alone. A message has one signature, and large receivers do not verify Ed25519 (RFC 8463),
//! to whom it would be as if not signed.

use super::{Step, selector_of};
use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::KeyPair,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{DomainId, DomainName};
use providers::Secret;
use store::NewPoolKey;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

/// What is said of a key that cannot sign.
const KINDS: &str =
    "is not a key that every receiver verifies: give RSA with 2,048 to 4,096 bits (RFC 8301 section 3.2)";

/// How long a selector of somebody's own may be.
const MOST_SELECTOR: usize = 63;

/// The largest key that is read, in octets of PEM.
const MOST_PEM: usize = 20_000;

/// The longest modulus that verifiers have to verify with, in octets (RFC 8301 section 3.2).
const MOST_MODULUS: usize = 512;

/// A key that its owner brings along.
pub struct ImportKey {
    /// The selector that it is, or will be, published at.
    pub selector: String,
    /// The private key: PEM of PKCS #8 or PKCS #1, RSA.
    pub private_key: Secret,
}

impl App {
    /// Adds a key that its owner brings along. When it is seen at its selector it signs.
    ///
    /// # Errors
    /// `FieldErrors` for what is no selector or key, or is one of the domain's already; `KeysNotRotatable` while another one
    /// waits to be seen, and where no record of the customer's could be.
    pub async fn import_domain_key(
        &self,
        caller: &Caller,
        id: DomainId,
        request: &ImportKey,
    ) -> Result<DomainView> {
        caller.require(Scope::Admin)?;
        let domain = self.domain_with_keys(caller, id).await?;
        let view = self.domain_view(domain).await?;
        let now = self.clock.now();
        let step = Step { view: &view, by: caller, compromised: false, now };
        let domain = &view.domain;
        if domain.name.is_at_or_below(&self.settings.platform_zone) {
            return Err(
                step.refused("its records are in this platform's own zone, which has keys of its own alone")
            );
        }
        let selector = checked_selector(&request.selector, &domain.name)?;
        let (public_key, private) = read_key(request.private_key.expose())?;
        self.require_place(&step, &self.store.keys_of_domain(id).await?, &selector)?;
        let key_id = self.random.key_id(now);
        let sealed = self
            .vault
            .seal(&key_id.to_string(), &private, &self.random)
            .map_err(|error| Error::Internal(error.to_string()))?;
        let key = NewPoolKey { id: key_id, public_key, private_key: sealed.into(), created_at: now };
        // In our zone it has a label that nobody else's can have.
        let served = self.random.token(24);
        self.add_beside(&step, &selector, &served, Some(key)).await?;
        self.check_in_turn(caller, id).await
    }
}

/// A selector that somebody gives: labels of letters, digits and hyphens (RFC 6376 section 3.1: `sub-domain` of RFC 5321).
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
    let is_label = |label: &str| {
        let inside = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        label.bytes().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    match DomainName::parse(&format!("{selector}._domainkey.{domain}")) {
        Ok(name) if selector.split('.').all(is_label) && selector_of(&name, domain) == selector => {
            Ok(selector)
        }
        _ => wrong(format!(
            "\"{shown}\" makes no name at {domain}: give letters, digits and hyphens, such as s1"
        )),
    }
}

/// The public key in base64, as in the `p=` tag, and the private key as PKCS #8.
fn read_key(given: &str) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let wrong = |message: &str| Error::field("private_key", message.to_owned());
    if given.len() > MOST_PEM {
        return Err(wrong("is too long for a private key"));
    }
    let pem = PrivateKeyDer::from_pem_slice(given.as_bytes()).map_err(|_| wrong(no_pem(given)))?;
    let pair = match &pem {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| {
            let is_ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).is_ok();
            wrong(if is_ed25519 {
                "is an Ed25519 key (RFC 8463), which large receivers do not verify: give RSA with 2,048 to 4,096 bits"
            } else {
                KINDS
            })
        })?,
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| wrong(KINDS))?,
        _ => return Err(wrong(KINDS)),
    };
    if pair.public_modulus_len() > MOST_MODULUS {
        return Err(wrong(KINDS));
    }
    let internal = |_| Error::Internal("an RSA key could not be written".to_owned());
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(internal)?;
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(internal)?;
    Ok((STANDARD.encode(public.as_ref()), Zeroizing::new(private.as_ref().to_vec())))
}

/// What is wrong with a text that is no private key in PEM.
fn no_pem(given: &str) -> &'static str {
    if given.contains("BEGIN PUBLIC KEY") {
        return "is the public key; give the private one, which begins with -----BEGIN PRIVATE KEY-----";
    }
    if given.contains("ENCRYPTED") {
        return "is encrypted; decrypt it first: openssl pkey -in key.pem -out plain.pem";
    }
    "is no private key in PEM: give the whole text, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----"
}
