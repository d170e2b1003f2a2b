//! How often one key may call: a count for each class of operations, in windows of a minute.
//!
//! Each node counts by itself, so n nodes let through up to n times as much.

use crate::{
    App,
    access::{Actor, Caller},
    rate::{Quota, RateLimiter},
};
use model::OrgId;

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Looking.
    Read,
    /// Changing something.
    Write,
    /// Sending mail.
    Send,
    /// Checking a domain's DNS.
    Verify,
}

impl Class {
    /// What a refusal calls them.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reading requests",
            Self::Write => "changing requests",
            Self::Send => "requests to send",
            Self::Verify => "requests to verify",
        }
    }
}

/// How many requests of each class one key may make in a minute; 0 for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Those that look.
    pub read: u32,
    /// Those that change something.
    pub write: u32,
    /// Those that send mail.
    pub send: u32,
    /// Those that check a domain's DNS.
    pub verify: u32,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { read: 6_000, write: 1_200, send: 6_000, verify: 300 }
    }
}

type Limiter = RateLimiter<(OrgId, Actor)>;

/// The counts.
pub(crate) struct Limits([(u32, Limiter); 4]);

impl Limits {
    pub(crate) fn new(limits: RequestLimits) -> Self {
        let counts = [limits.read, limits.write, limits.send, limits.verify];
        Self(counts.map(|allowed| (allowed, RateLimiter::new(allowed))))
    }
}

impl App {
    /// Counts a request of the caller's. Nothing where there is no limit.
    ///
    /// # Errors
    /// The quota, where it is used up.
    pub fn count_request(&self, caller: &Caller, class: Class) -> Result<Option<Quota>, Quota> {
        let (allowed, limiter) = &self.limits.0[class as usize];
        match allowed {
            0 => Ok(None),
            _ => limiter.take(&(caller.org_id, caller.actor), self.clock.now()).map(Some),
        }
    }
}
