//! The DKIM key is another one
//!
//! A valid DKIM key is at the selector, and it is not the key that signs. One that was damaged while pasting can look
//! like this too.
//!
//! # Why it matters
//!
//! Signatures made with our key do not verify against another one.
//!
//! # What to do
//!
//! 1. Replace the value by the one shown.
//! 2. Look whether another service uses the same selector; it needs one of its own.
//!
//! # References
//!
//! - RFC 6376 §3.6.1
//! - RFC 6376 §6.1.3

use super::{Context, kept};
use crate::finding::{Defect, Finding, Remedy};
use mail::dkim::{KeyKind, KeyRecord};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let expected = context.expected_key()?;
    let texts = context.key_texts()?;
    let [found] = texts else { return None };
    let key = context.key()?.ok()?;
    // A record that can be read has one p=: where it is ours to the letter, nothing need be decoded.
    let is_last = || found.strip_suffix(expected).and_then(|front| front.strip_suffix("; p=")).is_some();
    let is_to_the_letter = || found.split(';').any(|tag| tag.trim().strip_prefix("p=") == Some(expected));
    let is_same = || KeyRecord::parse(found).is_ok_and(|key| key.is_public_key(expected));
    if key.kind == KeyKind::Revoked || is_last() || is_to_the_letter() || is_same() {
        return None;
    }
    let found_key: String =
        found.split("p=").nth(1).unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
    let defect = Defect::DkimKeyMismatched {
        name: context.record.owner.clone(),
        expected_start: ends(expected),
        found_start: ends(&found_key),
    };
    let remedy = if context.key_is_ours() { Remedy::AskOperator } else { context.replace(kept(texts)) };
    Some(context.finding(defect, context.severity(), remedy))
}

/// Keys of one kind start alike: the part that tells them apart comes after the DER header.
fn ends(key: &str) -> String {
    let key: Vec<char> = key.chars().collect();
    if key.len() <= 60 {
        return key.into_iter().collect();
    }
    let start: String = key[44..56].iter().collect();
    let end: String = key[key.len() - 8..].iter().collect();
    format!("…{start}…{end}")
}
