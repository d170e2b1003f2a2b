//! The tags of a `DKIM-Signature` field (RFC 6376 §3.5).

use super::canonical::Canonicalization;
use crate::tag_list::{self, clip, is_fws};
use base64::{Engine, engine::general_purpose::STANDARD};
use model::DomainName;
use serde::{Deserialize, Serialize};

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RFC 6376 §3.3.2.
    #[serde(rename = "rsa-sha256")]
    RsaSha256,
    /// RFC 8463.
    #[serde(rename = "ed25519-sha256")]
    Ed25519Sha256,
}

/// A signature whose tags make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// `a=`
    pub algorithm: Algorithm,
    /// `b=`
    pub signature: Vec<u8>,
    /// `bh=`
    pub body_hash: Vec<u8>,
    /// `c=`, the part for the header.
    pub header_canonicalization: Canonicalization,
    /// `c=`, the part for the body.
    pub body_canonicalization: Canonicalization,
    /// `d=`
    pub domain: DomainName,
    /// The domain of `i=`; that of `d=` when it is not there.
    pub identity_domain: DomainName,
    /// `s=`
    pub selector: String,
    /// `h=`, as written.
    pub headers: Vec<String>,
    /// `l=`
    pub body_length: Option<u64>,
    /// `t=`, seconds since 1970.
    pub signed_at: Option<u64>,
    /// `x=`, seconds since 1970.
    pub expires_at: Option<u64>,
}

/// Why a signature cannot be evaluated; all are permanent (RFC 6376 §6.1.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a list of tags.
    #[error("the signature is not a list of tags: {0}")]
    Syntax(String),
    /// A required tag.
    #[error("the signature has no \"{0}=\"")]
    Missing(&'static str),
    /// A tag that cannot be read.
    #[error("\"{tag}={value}\" is not valid in a signature")]
    Invalid {
        /// Its name.
        tag: &'static str,
        /// Its value.
        value: String,
    },
    /// RFC 8301 §3.1.
    #[error("the signature uses SHA-1, which is not accepted any more (RFC 8301)")]
    Sha1,
    /// RFC 6376 §5.4.
    #[error("the signature does not cover the From field")]
    FromNotSigned,
    /// RFC 6376 §3.5, `i=`.
    #[error("the identity \"{0}\" is not at or below the signing domain")]
    IdentityOutside(String),
    /// RFC 6376 §3.5, `x=`.
    #[error("the signature expires before it was made")]
    ExpiresBeforeSigned,
}

/// What could be read of the domain and the selector, so that an error can still be attributed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attribution {
    pub domain: Option<DomainName>,
    pub selector: Option<String>,
}

impl Signature {
    /// Parses the value of the field.
    pub fn parse(value: &str) -> Result<Self, SignatureError> {
        let tags = Tags::parse(value)?;
        match tags.required("v")? {
            "1" => {}
            other => return Err(invalid("v", other)),
        }
        let algorithm = match tags.required("a")?.to_ascii_lowercase().as_str() {
            "rsa-sha256" => Algorithm::RsaSha256,
            "ed25519-sha256" => Algorithm::Ed25519Sha256,
            "rsa-sha1" => return Err(SignatureError::Sha1),
            other => return Err(invalid("a", other)),
        };
        let (header_canonicalization, body_canonicalization) = canonicalization(tags.get("c"))?;
        let domain_text = tags.required("d")?;
        let domain = DomainName::parse(domain_text).map_err(|_| invalid("d", domain_text))?;
        let headers: Vec<String> =
            tags.required("h")?.split(':').map(|name| name.trim_matches(is_fws).to_owned()).collect();
        if !headers.iter().any(|name| name.eq_ignore_ascii_case("from")) {
            return Err(SignatureError::FromNotSigned);
        }
        // RFC 6376 §3.5, q=: an unknown query method alone makes the signature useless.
        if let Some(methods) = tags.get("q")
            && !methods.split(':').any(|method| method.trim_matches(is_fws).eq_ignore_ascii_case("dns/txt"))
        {
            return Err(invalid("q", methods));
        }
        let signed_at = tags.number("t")?;
        let expires_at = tags.number("x")?;
        if let (Some(signed), Some(expires)) = (signed_at, expires_at)
            && expires <= signed
        {
            return Err(SignatureError::ExpiresBeforeSigned);
        }
        Ok(Self {
            algorithm,
            signature: tags.base64("b")?,
            body_hash: tags.base64("bh")?,
            header_canonicalization,
            body_canonicalization,
            identity_domain: identity_domain(tags.get("i"), &domain)?,
            domain,
            selector: selector(tags.required("s")?)?,
            headers,
            body_length: tags.number("l")?,
            signed_at,
            expires_at,
        })
    }

    pub(super) fn attribution(value: &str) -> Attribution {
        let Ok(tags) = Tags::parse(value) else { return Attribution::default() };
        Attribution {
            domain: tags.get("d").and_then(|domain| DomainName::parse(domain).ok()),
            selector: tags.get("s").and_then(|text| selector(text).ok()),
        }
    }
}

struct Tags<'a>(Vec<tag_list::Tag<'a>>);

impl<'a> Tags<'a> {
    fn parse(value: &'a str) -> Result<Self, SignatureError> {
        tag_list::parse(value).map(Self).map_err(|error| SignatureError::Syntax(error.to_string()))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|tag| tag.name == name).map(|tag| tag.value)
    }

    fn required(&self, name: &'static str) -> Result<&'a str, SignatureError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or(SignatureError::Missing(name))
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, SignatureError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_digit()) {
            return Err(invalid(name, value));
        }
        // Up to 76 digits are in the grammar; what does not fit is as good as endless.
        Ok(Some(value.parse().unwrap_or(u64::MAX)))
    }

    fn base64(&self, name: &'static str) -> Result<Vec<u8>, SignatureError> {
        let value = self.required(name)?;
        let text: String = value.chars().filter(|c| !is_fws(*c)).collect();
        STANDARD.decode(text).map_err(|_| invalid(name, value))
    }
}

fn invalid(tag: &'static str, value: &str) -> SignatureError {
    SignatureError::Invalid { tag, value: clip(value) }
}

fn canonicalization(value: Option<&str>) -> Result<(Canonicalization, Canonicalization), SignatureError> {
    let Some(value) = value else { return Ok((Canonicalization::Simple, Canonicalization::Simple)) };
    let one = |text: &str| match text.trim_matches(is_fws).to_ascii_lowercase().as_str() {
        "simple" => Ok(Canonicalization::Simple),
        "relaxed" => Ok(Canonicalization::Relaxed),
        _ => Err(invalid("c", value)),
    };
    match value.split_once('/') {
        Some((header, body)) => Ok((one(header)?, one(body)?)),
        None => Ok((one(value)?, Canonicalization::Simple)),
    }
}

fn identity_domain(value: Option<&str>, domain: &DomainName) -> Result<DomainName, SignatureError> {
    let Some(value) = value else { return Ok(domain.clone()) };
    let (_, text) = value.rsplit_once('@').ok_or_else(|| invalid("i", value))?;
    let identity = DomainName::parse(text).map_err(|_| invalid("i", value))?;
    if identity.is_at_or_below(domain) {
        Ok(identity)
    } else {
        Err(SignatureError::IdentityOutside(clip(value)))
    }
}

/// One or more labels.
fn selector(text: &str) -> Result<String, SignatureError> {
    DomainName::parse(text).map(|name| name.as_str().to_owned()).map_err(|_| invalid("s", text))
}
