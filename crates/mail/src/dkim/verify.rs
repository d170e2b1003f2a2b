//! Verifying (RFC 6376 §6).

use super::{
    canonical::{Field, SplitMessage, split, with_crlf},
    key_record::{KeyRecord, KeyState},
    sign::{signed_fields, unsigned_field},
    signature::{Algorithm, Signature},
};
use crate::lookup::{Answer, Answers, Needed, Question};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{
        ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use model::{DomainName, RecordData, RecordType, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Signatures judged per message; each costs a lookup and a public-key operation (RFC 6376 §8.4).
pub const MAX_SIGNATURES: usize = 10;

/// Shorter RSA keys are not accepted (RFC 8301 §3.2).
const MIN_RSA_BITS: usize = 1024;

/// The results of RFC 8601 §2.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DkimResult {
    /// Not signed.
    None,
    /// The signature holds.
    Pass,
    /// The message or its signature was changed.
    Fail,
    /// The signature holds, but is not acceptable here.
    Policy,
    /// The signature could not be processed.
    Neutral,
    /// The DNS did not answer; try again.
    TempError,
    /// The signature or the key can never be processed.
    PermError,
}

impl fmt::Display for DkimResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// The outcome for one signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureOutcome {
    /// The result.
    pub result: DkimResult,
    /// `d=`, when it could be read.
    pub signing_domain: Option<DomainName>,
    /// `s=`, when it could be read.
    pub selector: Option<String>,
    /// Why it did not pass.
    pub reason: Option<String>,
    /// The length of the key, when one was found.
    pub key_bits: Option<usize>,
    /// The key record says that the domain tests (`t=y`).
    pub testing: bool,
}

/// Judges the signatures of a message, topmost first; an unsigned message has no outcomes. Of more than
/// [`MAX_SIGNATURES`], the topmost are judged.
pub fn verify(message: &[u8], answers: &Answers, now: Timestamp) -> Result<Vec<SignatureOutcome>, Needed> {
    let message = with_crlf(message);
    let message = split(&message);
    let mut outcomes = Vec::new();
    let mut needed = Needed(Vec::new());
    let signatures = message.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(b"dkim-signature"));
    for field in signatures.take(MAX_SIGNATURES) {
        match verify_one(&message, field, answers, now) {
            Ok(outcome) => outcomes.push(outcome),
            Err(more) => needed.merge(more),
        }
    }
    if needed.0.is_empty() { Ok(outcomes) } else { Err(needed) }
}

/// Why a signature does not pass.
struct Verdict(DkimResult, String);

fn permanent(reason: impl fmt::Display) -> Verdict {
    Verdict(DkimResult::PermError, reason.to_string())
}

fn failed(reason: &str) -> Verdict {
    Verdict(DkimResult::Fail, reason.to_owned())
}

fn verify_one(
    message: &SplitMessage<'_>,
    field: &Field<'_>,
    answers: &Answers,
    now: Timestamp,
) -> Result<SignatureOutcome, Needed> {
    let value = String::from_utf8_lossy(field.value);
    let signature = match Signature::parse(&value) {
        Ok(signature) => signature,
        Err(error) => {
            let attribution = Signature::attribution(&value);
            return Ok(SignatureOutcome {
                result: DkimResult::PermError,
                signing_domain: attribution.domain,
                selector: attribution.selector,
                reason: Some(error.to_string()),
                key_bits: None,
                testing: false,
            });
        }
    };
    let mut outcome = SignatureOutcome {
        result: DkimResult::Pass,
        signing_domain: Some(signature.domain.clone()),
        selector: Some(signature.selector.clone()),
        reason: None,
        key_bits: None,
        testing: false,
    };
    let verdict = match find_key(&signature, answers)? {
        Err(verdict) => Err(verdict),
        Ok(key) => {
            outcome.key_bits = key.bits();
            outcome.testing = key.testing;
            check_times(&signature, now).and_then(|()| check(message, field, &signature, &key))
        }
    };
    if let Err(Verdict(result, reason)) = verdict {
        outcome.result = result;
        outcome.reason = Some(reason);
    }
    Ok(outcome)
}

fn check_times(signature: &Signature, now: Timestamp) -> Result<(), Verdict> {
    let now = u64::try_from(now.as_second()).unwrap_or(0);
    match signature.expires_at {
        Some(expires) if expires < now => Err(failed("the signature has expired")),
        _ => Ok(()),
    }
}

/// RFC 6376 §6.1.2.
fn find_key(signature: &Signature, answers: &Answers) -> Result<Result<KeyRecord, Verdict>, Needed> {
    let Ok(name) = signature.domain.prepend(&format!("{}._domainkey", signature.selector)) else {
        return Ok(Err(permanent("the selector and the domain together are too long for a domain name")));
    };
    let question = Question::new(name.clone(), RecordType::Txt);
    let texts: Vec<String> = match answers.get(&question)? {
        Answer::TempError(reason) => {
            let reason = format!("the DNS did not answer for the key at {name}: {reason}");
            return Ok(Err(Verdict(DkimResult::TempError, reason)));
        }
        Answer::NoData | Answer::NxDomain => Vec::new(),
        Answer::Records(records) => records
            .iter()
            .filter_map(|data| if let RecordData::Txt(text) = data { Some(text.joined()) } else { None })
            .collect(),
    };
    Ok(match texts.as_slice() {
        [] => Err(permanent(format!("there is no key at {name}"))),
        [text] => KeyRecord::parse(text)
            .map_err(|error| permanent(format!("the key record at {name} is not valid: {error}"))),
        // RFC 6376 §3.6.2.2 leaves the outcome undefined; a domain must not depend on luck.
        _ => Err(permanent(format!("there is more than one TXT record at {name}"))),
    })
}

/// RFC 6376 §6.1.3.
fn check(
    message: &SplitMessage<'_>,
    field: &Field<'_>,
    signature: &Signature,
    key: &KeyRecord,
) -> Result<(), Verdict> {
    if !key.serves_mail() {
        return Err(permanent("the key record does not allow mail signed with SHA-256 (s=, h=)"));
    }
    if key.strict && signature.identity_domain != signature.domain {
        return Err(permanent("the key record forbids identities in subdomains (t=s)"));
    }
    let mut body = signature.body_canonicalization.body(message.body);
    if let Some(length) = signature.body_length {
        match usize::try_from(length) {
            Ok(length) if length <= body.len() => body.truncate(length),
            _ => return Err(permanent("the body is shorter than the signature says (l=)")),
        }
    }
    if digest(&SHA256, &body).as_ref() != signature.body_hash {
        return Err(failed("the body was changed: its hash is not the one that was signed"));
    }
    let mut data = signed_fields(signature.header_canonicalization, &message.fields, &signature.headers);
    let raw = without_signature(field.raw);
    data.extend_from_slice(&unsigned_field(signature.header_canonicalization, &raw));
    check_signature(signature, key, &data)
}

fn check_signature(signature: &Signature, key: &KeyRecord, data: &[u8]) -> Result<(), Verdict> {
    let holds = match (&key.key, signature.algorithm) {
        (KeyState::Revoked, _) => return Err(permanent("the key was revoked (p= is empty)")),
        (KeyState::Rsa { bits, .. }, Algorithm::RsaSha256) if *bits < MIN_RSA_BITS => {
            return Err(permanent(format!(
                "the RSA key has {bits} bits, {MIN_RSA_BITS} are the least accepted"
            )));
        }
        (KeyState::Rsa { modulus, exponent, .. }, Algorithm::RsaSha256) => {
            RsaPublicKeyComponents { n: modulus.as_slice(), e: exponent.as_slice() }
                .verify(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, data, &signature.signature)
                .is_ok()
        }
        (KeyState::Ed25519 { public }, Algorithm::Ed25519Sha256) => UnparsedPublicKey::new(&ED25519, public)
            .verify(digest(&SHA256, data).as_ref(), &signature.signature)
            .is_ok(),
        _ => return Err(permanent("the key is of another type than the signature")),
    };
    if holds { Ok(()) } else { Err(failed("the signature does not fit the signed fields and the key")) }
}

/// The field with the value of `b=` taken out, white space and all (RFC 6376 §3.5).
fn without_signature(raw: &[u8]) -> Vec<u8> {
    let mut at = raw.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    while at < raw.len() {
        let end = raw[at..].iter().position(|byte| *byte == b';').map_or(raw.len(), |length| at + length);
        let spec = &raw[at..end];
        if let Some(equals) = spec.iter().position(|byte| *byte == b'=')
            && spec[..equals].trim_ascii() == b"b"
        {
            return [&raw[..=at + equals], &raw[end..]].concat();
        }
        at = end + 1;
    }
    raw.to_vec()
}
