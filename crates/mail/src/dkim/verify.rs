//! Verifying (RFC 6376 §6).
//!
//! In two steps: [`prepare`] reads the signature fields and the keys, over and over while answers of the DNS are
//! missing; [`judge`] hashes and checks the signatures, once.

use super::{
    body_hash::BodyHashes,
    canonical::{Field, SplitMessage, header_of, split, with_crlf},
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

/// Longer signature fields are not looked into.
const MAX_SIGNATURE_OCTETS: usize = 64 * 1024;

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
///
/// While a key is still to be looked up, only the signature fields are read; the body is hashed when all are there.
pub fn verify(message: &[u8], answers: &Answers, now: Timestamp) -> Result<Vec<SignatureOutcome>, Needed> {
    let header = with_crlf(header_of(message));
    let candidates = prepare(&split(&header), answers, now)?;
    Ok(judge(message, candidates))
}

/// A signature before anything was hashed.
pub(crate) struct Candidate {
    /// How it will come out if the hash and the signature hold, which is the end of it when there are no [`Checks`].
    pub outcome: SignatureOutcome,
    checks: Option<Checks>,
}

/// What is left to compare with the message.
struct Checks {
    signature: Signature,
    key: KeyState,
}

/// Everything about the signatures that costs no cryptography, and the keys that are still to be looked up. Only the
/// fields of the message are read.
pub(crate) fn prepare(
    header: &SplitMessage<'_>,
    answers: &Answers,
    now: Timestamp,
) -> Result<Vec<Candidate>, Needed> {
    let mut candidates = Vec::new();
    let mut needed = Needed(Vec::new());
    for field in signature_fields(header) {
        match candidate(field, answers, now) {
            Ok(candidate) => candidates.push(candidate),
            Err(more) => needed.merge(more),
        }
    }
    if needed.0.is_empty() { Ok(candidates) } else { Err(needed) }
}

/// Compares what [`prepare`] left open with the message. This is the expensive part: it hashes the body.
pub(crate) fn judge(message: &[u8], candidates: Vec<Candidate>) -> Vec<SignatureOutcome> {
    if candidates.iter().all(|candidate| candidate.checks.is_none()) {
        return candidates.into_iter().map(|candidate| candidate.outcome).collect();
    }
    let message = with_crlf(message);
    let message = split(&message);
    let forms: Vec<_> = candidates
        .iter()
        .filter_map(|candidate| candidate.checks.as_ref())
        .map(|checks| (checks.signature.body_canonicalization, checks.signature.body_length))
        .collect();
    let hashes = BodyHashes::new(message.body, &forms);
    let judge_one = |(Candidate { mut outcome, checks }, field): (Candidate, &Field<'_>)| {
        if let Some(checks) = checks
            && let Err(Verdict(result, reason)) = check(&message.fields, field, &checks, &hashes)
        {
            outcome.result = result;
            outcome.reason = Some(reason);
        }
        outcome
    };
    candidates.into_iter().zip(signature_fields(&message)).map(judge_one).collect()
}

fn signature_fields<'a>(message: &'a SplitMessage<'a>) -> impl Iterator<Item = &'a Field<'a>> {
    let signatures = message.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(b"dkim-signature"));
    signatures.take(MAX_SIGNATURES)
}

/// Why a signature does not pass.
struct Verdict(DkimResult, String);

fn permanent(reason: impl fmt::Display) -> Verdict {
    Verdict(DkimResult::PermError, reason.to_string())
}

fn failed(reason: &str) -> Verdict {
    Verdict(DkimResult::Fail, reason.to_owned())
}

fn candidate(field: &Field<'_>, answers: &Answers, now: Timestamp) -> Result<Candidate, Needed> {
    let mut outcome = SignatureOutcome {
        result: DkimResult::Pass,
        signing_domain: None,
        selector: None,
        reason: None,
        key_bits: None,
        testing: false,
    };
    let settled = |mut outcome: SignatureOutcome, Verdict(result, reason)| {
        outcome.result = result;
        outcome.reason = Some(reason);
        Ok(Candidate { outcome, checks: None })
    };
    if field.value.len() > MAX_SIGNATURE_OCTETS {
        return settled(outcome, permanent("the signature field is too long"));
    }
    let value = String::from_utf8_lossy(field.value);
    let signature = match Signature::parse(&value) {
        Ok(signature) => signature,
        Err(error) => {
            let attribution = Signature::attribution(&value);
            outcome.signing_domain = attribution.domain;
            outcome.selector = attribution.selector;
            return settled(outcome, permanent(error));
        }
    };
    outcome.signing_domain = Some(signature.domain.clone());
    outcome.selector = Some(signature.selector.clone());
    let key = match find_key(&signature, answers)? {
        Ok(key) => key,
        Err(verdict) => return settled(outcome, verdict),
    };
    outcome.key_bits = key.bits();
    outcome.testing = key.testing;
    match check_times(&signature, now).and_then(|()| check_key(&signature, &key)) {
        Ok(()) => Ok(Candidate { outcome, checks: Some(Checks { signature, key: key.key }) }),
        Err(verdict) => settled(outcome, verdict),
    }
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

/// Whether the key may be used for the signature (RFC 6376 §6.1.2).
fn check_key(signature: &Signature, key: &KeyRecord) -> Result<(), Verdict> {
    if !key.serves_mail() {
        return Err(permanent("the key record does not allow mail signed with SHA-256 (s=, h=)"));
    }
    if key.strict && signature.identity_domain != signature.domain {
        return Err(permanent("the key record forbids identities in subdomains (t=s)"));
    }
    match (&key.key, signature.algorithm) {
        (KeyState::Revoked, _) => Err(permanent("the key was revoked (p= is empty)")),
        (KeyState::Rsa { bits, .. }, Algorithm::RsaSha256) if *bits < MIN_RSA_BITS => {
            Err(permanent(format!("the RSA key has {bits} bits, {MIN_RSA_BITS} are the least accepted")))
        }
        (KeyState::Rsa { .. }, Algorithm::RsaSha256)
        | (KeyState::Ed25519 { .. }, Algorithm::Ed25519Sha256) => Ok(()),
        _ => Err(permanent("the key is of another type than the signature")),
    }
}

/// RFC 6376 §6.1.3.
fn check(
    fields: &[Field<'_>],
    field: &Field<'_>,
    Checks { signature, key }: &Checks,
    hashes: &BodyHashes,
) -> Result<(), Verdict> {
    match hashes.get((signature.body_canonicalization, signature.body_length)) {
        None => return Err(permanent("the body is shorter than the signature says (l=)")),
        Some(hash) if hash != signature.body_hash => {
            return Err(failed("the body was changed: its hash is not the one that was signed"));
        }
        Some(_) => {}
    }
    let mut data = signed_fields(signature.header_canonicalization, fields, &signature.headers);
    let raw = without_signature(field.raw);
    data.extend_from_slice(&unsigned_field(signature.header_canonicalization, &raw));
    let holds = match key {
        // Refused before.
        KeyState::Revoked => false,
        KeyState::Rsa { modulus, exponent, .. } => {
            RsaPublicKeyComponents { n: modulus.as_slice(), e: exponent.as_slice() }
                .verify(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &data, &signature.signature)
                .is_ok()
        }
        KeyState::Ed25519 { public } => UnparsedPublicKey::new(&ED25519, public)
            .verify(digest(&SHA256, &data).as_ref(), &signature.signature)
            .is_ok(),
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
