//! Requests that may be repeated without being carried out twice.
//!
//! A request with a key is claimed before it is carried out, and the claim has the number of the id that what it makes
//! will have ([`Caller::reserved`]). So a repeat after a crash finds what was made, where the answer never went out. The
//! answer is kept for a day, sealed: it may have a secret in it. A fault of ours, a refusal because there were too many
//! requests, and one of a request that is wrong, is no answer: whoever repeats the request has it carried out.

use crate::{App, access::Caller, error::Result, vault::VaultError};
use aws_lc_rs::digest::{Context, SHA256};
use jiff::{SignedDuration, Timestamp};
use model::RequestId;
use store::{Begun, Hidden, IdempotentRequest};

/// How long an answer is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// How long one who carries a request out may be silent before another one does. Longer than a request may take.
const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// How many requests with a key an organisation may begin while one is kept. None is forgotten for the sake of another.
const MOST: u64 = 200_000;

/// How many are forgotten at once.
const SWEPT_AT_ONCE: u32 = 1_000;

/// The largest answer that is kept, in bytes. One that is larger is made anew by who repeats the request.
pub const MOST_ANSWER: usize = 256 * 1024;

/// The id that what a request makes will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// Its number: time and randomness.
    pub number: RequestId,
    /// Whether the request may have been carried out before.
    pub is_repeat: bool,
}

/// A request that came with a key.
#[derive(Debug, Clone)]
pub struct Claim {
    principal: String,
    key: String,
    claims: u32,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Repeated {
    /// Carry it out with this id, and say how it ended.
    CarryOut(Claim, Reserved),
    /// The answer it got before: status, and the rest.
    Answered(u16, Vec<u8>),
    /// It is being carried out.
    Running,
    /// The key came with another request.
    OtherRequest,
    /// The organisation has as many as it may have; for so many seconds.
    TooMany(u32),
}

impl Caller {
    /// The id for something new: the one that was reserved for it, or else `new`.
    pub(crate) fn id_or<T>(&self, from_parts: impl FnOnce(u64, u128) -> T, new: T) -> T {
        self.repeated(from_parts, false).unwrap_or(new)
    }

    /// The id that a request had reserved which may have been carried out before.
    pub(crate) fn made_before<T>(&self, from_parts: impl FnOnce(u64, u128) -> T) -> Option<T> {
        self.repeated(from_parts, true)
    }

    fn repeated<T>(&self, from_parts: impl FnOnce(u64, u128) -> T, only_repeats: bool) -> Option<T> {
        let reserved = self.reserved.filter(|reserved| reserved.is_repeat || !only_repeats)?;
        let (unix_ms, random) = reserved.number.parts();
        Some(from_parts(unix_ms, random))
    }
}

/// Whose keys meet only each other.
fn principal(caller: &Caller) -> String {
    let actor = match caller.actor {
        crate::access::Actor::Key(id) => id.to_string(),
        crate::access::Actor::User(id) => id.to_string(),
        crate::access::Actor::System => "system".to_owned(),
        crate::access::Actor::Visitor => "visitor".to_owned(),
    };
    format!("{}/{actor}", caller.org_id)
}

fn sealed_as(principal: &str, key: &str) -> String {
    format!("idempotency/{principal}/{key}")
}

impl App {
    /// Claims a request with a key. `parts` are what makes it the same request: method, address, body.
    pub async fn begin_request(&self, caller: &Caller, key: &str, parts: &[&[u8]]) -> Result<Repeated> {
        let now = self.clock.now();
        let mut hash = Context::new(&SHA256);
        for part in parts {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let later = |by: SignedDuration| now.checked_add(by).unwrap_or(Timestamp::MAX);
        let request = IdempotentRequest {
            org_id: caller.org_id,
            principal: principal(caller),
            key: key.to_owned(),
            request_hash: Hidden::from(hash.finish().as_ref()),
            reserved_id: self.random.request_id(now),
            now,
            lease_until: later(LEASE),
            not_before: later(-KEPT),
            most: MOST,
        };
        Ok(match self.store.begin_idempotent(&request).await? {
            Begun::Claimed { reserved_id, claims } => {
                let claim = Claim { principal: request.principal, key: request.key, claims };
                Repeated::CarryOut(claim, Reserved { number: reserved_id, is_repeat: claims > 1 })
            }
            Begun::Running => Repeated::Running,
            Begun::OtherRequest => Repeated::OtherRequest,
            Begun::TooMany(again_at) => {
                let seconds = again_at.duration_since(now).as_secs().max(1);
                Repeated::TooMany(u32::try_from(seconds).unwrap_or(u32::MAX))
            }
            Begun::Answered { status, answer } => {
                let opened = self.vault.open(&sealed_as(&request.principal, key), &answer);
                let opened = opened.map_err(|error: VaultError| crate::Error::Internal(error.to_string()))?;
                Repeated::Answered(u16::try_from(status).unwrap_or(500), opened.to_vec())
            }
        })
    }

    /// Keeps the answer to a request. That it cannot be kept is no reason not to give it: whoever repeats the request finds
    /// what was made.
    pub async fn keep_answer(&self, claim: &Claim, status: u16, answer: &[u8]) {
        let Claim { principal, key, claims } = claim;
        let kept = match self.vault.seal(&sealed_as(principal, key), answer, &self.random) {
            Ok(sealed) => {
                self.store.keep_answer(principal, key, *claims, status.into(), &sealed.into()).await.err()
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be sealed");
                return self.give_back_request(claim).await;
            }
        };
        if let Some(error) = kept {
            tracing::warn!(%error, "an answer could not be kept; a repeat of the request is carried out");
        }
    }

    /// Says that a request has no answer that is worth to be kept.
    pub async fn give_back_request(&self, claim: &Claim) {
        let Claim { principal, key, claims } = claim;
        if let Err(error) = self.store.give_back_request(principal, key, *claims).await {
            tracing::warn!(%error, "a request with an idempotency key is held until its lease ends");
        }
    }

    /// Forgets what was kept long enough. Returns how much.
    pub async fn sweep_requests(&self) -> Result<usize> {
        let now = self.clock.now();
        let not_before = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let swept = self.store.sweep_idempotent(not_before, now, SWEPT_AT_ONCE).await?;
        Ok(usize::try_from(swept).unwrap_or(usize::MAX))
    }
}
