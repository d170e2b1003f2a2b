//! Signing (RFC 6376 §5): relaxed/relaxed, with SHA-256.

use super::{
    canonical::{Canonicalization, Field, split, with_crlf},
    key_record::public_key_record,
};
use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::{DomainName, Timestamp};
use std::{collections::HashMap, fmt};

/// Named once more than they are there, so that none can be added on the way (RFC 6376 §5.4.2, §8.15). RFC 8058 §4
/// wants the two for unsubscribing under the signature.
const OVERSIGNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// Signed as often as they are there (RFC 6376 §5.4.1): others may add them honestly.
const SIGNED: &[&str] = &[
    "Sender",
    "In-Reply-To",
    "References",
    "Content-ID",
    "Content-Description",
    "Feedback-ID",
    "List-Id",
    "List-Help",
    "List-Owner",
    "List-Archive",
    "List-Subscribe",
    "Auto-Submitted",
];

/// Where lines of the field are folded.
const LINE: usize = 72;

/// A private key. Loading costs about 0.2 ms for RSA; keep it loaded. `Debug` does not show it.
pub struct SigningKey(Kind);

enum Kind {
    Rsa(Box<rsa::KeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PKCS #8 of a known kind, or RSA below 2048 bits.
    #[error("the private key is not an RSA key of 2048 bits or more, nor an Ed25519 key, in PKCS #8")]
    Rejected,
}

/// Why a message cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// RFC 5322 §3.6 wants exactly one; receivers reject other messages.
    #[error("the message has {0} From fields, it must have one")]
    From(usize),
    /// Its first line would become a part of the signature.
    #[error("the message begins with white space, it must begin with a header field")]
    BeginsWithWhiteSpace,
    /// The selector is not one or more labels.
    #[error("\"{0}\" is not a selector")]
    Selector(String),
    /// The library refused.
    #[error("the cryptographic library could not sign")]
    Crypto,
}

impl SigningKey {
    /// Loads a key from PKCS #8 DER: RSA with at least 2048 bits (RFC 8301 §3.2), or Ed25519.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = rsa::KeyPair::from_pkcs8(der) {
            return Ok(Self(Kind::Rsa(Box::new(key))));
        }
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map(|key| Self(Kind::Ed25519(Box::new(key))))
            .map_err(|_| KeyError::Rejected)
    }

    /// The record to publish at `selector._domainkey.domain`.
    pub fn public_key_record(&self) -> Result<String, KeyError> {
        match &self.0 {
            Kind::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyError::Rejected)?;
                Ok(public_key_record(der.as_ref()))
            }
            Kind::Ed25519(key) => {
                Ok(format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key().as_ref())))
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match &self.0 {
            Kind::Rsa(_) => "rsa-sha256",
            Kind::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.0 {
            Kind::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                // The library does not use the source of randomness: PKCS #1 v1.5 has none.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
                    .map_err(|_| SignError::Crypto)?;
                Ok(signature)
            }
            // RFC 8463 §3: the hash is what is signed.
            Kind::Ed25519(key) => key
                .try_sign(digest(&SHA256, data).as_ref())
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError::Crypto),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}

/// Signs a message and returns the `DKIM-Signature` field, final CRLF included, to put in front of it.
///
/// Bare line feeds are signed as CRLF, for that is how SMTP carries them. The same arguments give the same field.
pub fn sign(
    message: &[u8],
    key: &SigningKey,
    domain: &DomainName,
    selector: &str,
    now: Timestamp,
) -> Result<Vec<u8>, SignError> {
    let selector =
        DomainName::parse(selector).map_err(|_| SignError::Selector(crate::tag_list::clip(selector)))?;
    let message = with_crlf(message);
    if message.starts_with(b" ") || message.starts_with(b"\t") {
        return Err(SignError::BeginsWithWhiteSpace);
    }
    let message = split(&message);
    let senders = message.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(b"from")).count();
    if senders != 1 {
        return Err(SignError::From(senders));
    }
    let names = signed_names(&message.fields);
    let body_hash = digest(&SHA256, &Canonicalization::Relaxed.body(message.body));

    let mut field = format!(
        "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; d={};\r\n\ts={}; t={};\r\n\th=",
        key.algorithm(),
        domain.as_str(),
        selector.as_str(),
        now.as_second().max(0),
    );
    fold_names(&names, &mut field);
    field.push_str(";\r\n\tbh=");
    field.push_str(&STANDARD.encode(body_hash));
    field.push_str(";\r\n\tb=");

    let mut data = signed_fields(Canonicalization::Relaxed, &message.fields, &names);
    data.extend_from_slice(&unsigned_field(Canonicalization::Relaxed, field.as_bytes()));
    let signature = STANDARD.encode(key.sign(&data)?);
    fold_base64(&signature, &mut field);
    field.push_str("\r\n");
    Ok(field.into_bytes())
}

fn signed_names(fields: &[Field<'_>]) -> Vec<&'static str> {
    let count =
        |name: &str| fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).count();
    let oversigned = OVERSIGNED.iter().map(|name| (*name, count(name) + 1));
    let signed = SIGNED.iter().map(|name| (*name, count(name)));
    oversigned.chain(signed).flat_map(|(name, times)| std::iter::repeat_n(name, times)).collect()
}

/// The fields named, each name taking the lowest field not yet taken (RFC 6376 §5.4.2); every one with its CRLF.
pub(super) fn signed_fields<N: AsRef<str>>(
    canonicalization: Canonicalization,
    fields: &[Field<'_>],
    names: &[N],
) -> Vec<u8> {
    // By name, topmost first: a hostile message may have very many fields and names.
    let mut left: HashMap<Vec<u8>, Vec<&Field<'_>>> = HashMap::new();
    for field in fields {
        left.entry(field.name.to_ascii_lowercase()).or_default().push(field);
    }
    let mut out = Vec::new();
    for name in names {
        // A name without a field signs that there is none.
        let name = name.as_ref().to_ascii_lowercase().into_bytes();
        if let Some(field) = left.get_mut(&name).and_then(Vec::pop) {
            out.extend_from_slice(&canonicalization.field(field));
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// The signature's own field as it is hashed: `b=` empty, no CRLF (RFC 6376 §3.7).
pub(super) fn unsigned_field(canonicalization: Canonicalization, raw: &[u8]) -> Vec<u8> {
    let colon = raw.iter().position(|byte| *byte == b':').unwrap_or(raw.len());
    let value = raw.get(colon + 1..).unwrap_or_default();
    canonicalization.field(&Field { name: raw[..colon].trim_ascii_end(), value, raw })
}

fn fold_names(names: &[&str], out: &mut String) {
    let mut column = 10;
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(':');
        }
        if column + name.len() > LINE {
            out.push_str("\r\n\t ");
            column = 9;
        }
        out.push_str(name);
        column += name.len() + 1;
    }
}

fn fold_base64(text: &str, out: &mut String) {
    let mut rest = text;
    while rest.len() > LINE {
        let (line, more) = rest.split_at(LINE);
        out.push_str(line);
        out.push_str("\r\n\t ");
        rest = more;
    }
    out.push_str(rest);
}
