//! The private parts of keys that were replaced, told to the world some time later, where the operator wants that.
//!
//! A DKIM signature is meant for the way of a message. Kept in a mailbox that is stolen it proves for ever who wrote it,
//! unless the key is known to everybody: then anybody could have made it. Only keys behind aliases are kept for that, since
//! those left our DNS when another took their place; and none is told as long as verifiers find it at its name, in a copy of the
//! customer's, say.

use crate::{App, error::Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use diagnosis::observation::Question;
use jiff::{SignedDuration, Timestamp};
use mail::lookup::Answer;
use model::{DomainName, RecordData, RecordType};
use store::RetiredKey;

/// For how long a key is told. Whoever wants to deny something later can point to a copy.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(180 * 24);

/// When a key that is still found in DNS is looked for again.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// How many keys are looked for in one go.
const AT_ONCE: u32 = 20;

/// How many keys of one selector are told.
const MOST: u32 = 10;

/// When keys are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Telling {
    /// How many days after they were replaced; 0 for never.
    pub after_days: u32,
}

impl Telling {
    pub(crate) const fn is_on(self) -> bool {
        self.after_days > 0
    }

    fn after(self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.after_days))
    }

    /// What was replaced before then was told for long enough, or never could be; where nothing is told, all of it.
    pub(crate) fn over_before(self, now: Timestamp) -> Timestamp {
        if self.is_on() {
            now.checked_sub(self.after() + TOLD_FOR).unwrap_or(Timestamp::MIN)
        } else {
            Timestamp::MAX
        }
    }
}

/// A key that is told.
#[derive(Debug, Clone)]
pub struct ToldKey {
    /// Base64 of the DER-encoded `SubjectPublicKeyInfo`, the `p=` of its record.
    pub public_key: String,
    /// The private part, PKCS #8 in PEM (RFC 7468 §10).
    pub private_key: String,
    /// When it was replaced in DNS.
    pub retired_at: Timestamp,
    /// Since when it is told.
    pub told_at: Timestamp,
}

impl App {
    /// Tells the keys whose time has come and which no verifier finds any more. Returns how many it looked at.
    pub async fn tell_retired_keys(&self) -> Result<usize> {
        let telling = self.settings.retired_keys;
        if !telling.is_on() {
            return Ok(0);
        }
        let now = self.clock.now();
        let before = now.checked_sub(telling.after()).unwrap_or(Timestamp::MIN);
        let waiting = self.store.retired_keys_waiting(now, before, AT_ONCE).await?;
        for key in &waiting {
            if self.is_found_no_more(key).await {
                self.store.tell_retired_key(key.id, now).await?;
            } else {
                let again = now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
                self.store.postpone_retired_key(key.id, again).await?;
            }
        }
        Ok(waiting.len())
    }

    /// Whether DNS says for certain that the key is not at its name.
    async fn is_found_no_more(&self, key: &RetiredKey) -> bool {
        let policy = &self.settings.policy;
        let question = Question::new(key.owner.clone(), RecordType::Txt);
        match self.dns_for(policy).resolve(&policy.resolvers, &question).await {
            Answer::NxDomain | Answer::NoData => true,
            Answer::TempError(_) => false,
            Answer::Records(records) => {
                // However it is written: spaces may be anywhere in it (RFC 6376 §3.6.1).
                let has_it = |record: &RecordData| match record {
                    RecordData::Txt(text) => {
                        let joined: String = text.joined().chars().filter(|c| !c.is_whitespace()).collect();
                        joined.contains(&key.public_key)
                    }
                    _ => false,
                };
                !records.iter().any(has_it)
            }
        }
    }

    /// The keys that were behind a selector of our zone and are told to everybody by now, the newest first.
    pub async fn told_keys(&self, selector: &str) -> Result<Vec<ToldKey>> {
        let is_one = !selector.is_empty()
            && selector.len() <= 63
            && selector.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if !self.settings.retired_keys.is_on() || !is_one {
            return Ok(Vec::new());
        }
        let keys = self.store.told_keys(&selector.to_ascii_lowercase(), MOST).await?;
        let told = keys.into_iter().filter_map(|key| {
            let Ok(private) = self.vault.open(&key.id.to_string(), &key.private_key) else {
                tracing::error!(id = %key.id, "a retired key cannot be opened: it is sealed by another master key");
                return None;
            };
            Some(ToldKey {
                public_key: key.public_key,
                private_key: pem(&private),
                retired_at: key.retired_at,
                told_at: key.told_at?,
            })
        });
        Ok(told.collect())
    }
}

/// Where verifiers ask for the key of a selector.
pub(crate) fn owner(selector: &str, domain: &DomainName) -> Option<DomainName> {
    domain.prepend("_domainkey").and_then(|name| name.prepend(selector)).ok()
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_until_they_were_told_for_half_a_year() {
        let now = Timestamp::UNIX_EPOCH;
        let days = |days: i64| now.checked_add(SignedDuration::from_hours(24 * days)).unwrap();
        assert_eq!(Telling { after_days: 30 }.over_before(days(30 + 180)), days(0));
        assert_eq!(Telling::default().over_before(now), Timestamp::MAX);
    }
}
