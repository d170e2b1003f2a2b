//! How often a client may ask: a count for each client in windows of a minute or a day, bounded in memory.
//!
//! The windows are those of the clock, the same for everyone, so that all counts are dropped at once and nothing has
//! to be swept. A client can use up two windows one after the other; what matters here is the order of magnitude.

use crate::warmup::seconds_until;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// The usual length of a window, in seconds.
const WINDOW: i64 = 60;

/// How many clients are counted apart; those who come when so many are known share one count.
const MOST_CLIENTS: usize = 10_000;

/// Where a client stands in the window that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many requests there may be in a window.
    pub limit: u32,
    /// How many are left.
    pub remaining: u32,
    /// Seconds until the window ends.
    pub reset: u32,
}

/// Counts requests.
#[derive(Debug)]
pub struct RateLimiter<K> {
    allowed: u32,
    /// The length of a window, in seconds.
    length: i64,
    counts: Mutex<Counts<K>>,
}

#[derive(Debug)]
struct Counts<K> {
    window: i64,
    clients: HashMap<K, u32>,
    others: u32,
}

impl<K: Hash + Eq + Clone> RateLimiter<K> {
    /// Counts a request of this client.
    ///
    /// # Errors
    /// The quota, where it was used up before; nothing is counted then.
    pub fn take(&self, client: &K, now: Timestamp) -> Result<Quota, Quota> {
        let refused = self.admit(&[(client.clone(), 1)], now).is_err();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let used = *counts.clients.get(client).unwrap_or(&counts.others);
        let ends = Timestamp::from_second((counts.window + 1) * self.length).unwrap_or(now);
        let remaining = if refused { 0 } else { self.allowed.saturating_sub(used) };
        let quota = Quota { limit: self.allowed, remaining, reset: seconds_until(ends, now) };
        if refused { Err(quota) } else { Ok(quota) }
    }

    /// Allows so many requests of one client in a minute.
    pub fn new(allowed: u32) -> Self {
        Self::in_window(allowed, WINDOW)
    }

    /// Allows so many requests of one client in windows of so many seconds.
    pub fn in_window(allowed: u32, length: i64) -> Self {
        let counts = Counts { window: 0, clients: HashMap::new(), others: 0 };
        Self { allowed, length: length.max(1), counts: Mutex::new(counts) }
    }

    /// Counts a request under each of these names of its client, such as an address and its network; with each comes
    /// how many times what one client may is allowed under it. Where one of them had too many, nothing is counted and
    /// no name is kept, and the error is the number of seconds after which it may ask again.
    pub fn admit(&self, client: &[(K, u32)], now: Timestamp) -> Result<(), u32> {
        let window = now.as_second().div_euclid(self.length);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.window != window {
            *counts = Counts { window, clients: HashMap::new(), others: 0 };
        }
        let has_room = |(name, times): &(K, u32)| {
            let of_others = if counts.clients.len() < MOST_CLIENTS { 0 } else { counts.others };
            *counts.clients.get(name).unwrap_or(&of_others) < self.allowed.saturating_mul(*times)
        };
        if !client.iter().all(has_room) {
            let ends = Timestamp::from_second((window + 1) * self.length).unwrap_or(now);
            return Err(seconds_until(ends, now));
        }
        let Counts { clients, others, .. } = &mut *counts;
        for (name, _) in client {
            let is_counted_apart = clients.len() < MOST_CLIENTS || clients.contains_key(name);
            *(if is_counted_apart { clients.entry(name.clone()).or_default() } else { &mut *others }) += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_750_000_020 + seconds).unwrap()
    }

    #[test]
    fn each_client_has_its_own_count_until_the_minute_ends() {
        let limiter = RateLimiter::new(2);
        assert_eq!(limiter.admit(&[("a", 1)], at(0)), Ok(()));
        assert_eq!(limiter.admit(&[("a", 1)], at(50)), Ok(()));
        assert_eq!(limiter.admit(&[("a", 1)], at(50)), Err(10));
        assert_eq!(limiter.admit(&[("b", 1)], at(59)), Ok(()));
        assert_eq!(limiter.admit(&[("a", 1)], at(59)), Err(1));
        assert_eq!(limiter.admit(&[("a", 1)], at(60)), Ok(()));
        // A clock that is set back begins a window too.
        assert_eq!(limiter.admit(&[("a", 1)], at(-300)), Ok(()));
    }

    #[test]
    fn a_client_is_told_what_is_left() {
        let limiter = RateLimiter::new(2);
        let quota = |remaining, reset| Quota { limit: 2, remaining, reset };
        assert_eq!(limiter.take(&"a", at(0)), Ok(quota(1, 60)));
        assert_eq!(limiter.take(&"a", at(20)), Ok(quota(0, 40)));
        assert_eq!(limiter.take(&"a", at(59)), Err(quota(0, 1)));
        assert_eq!(limiter.take(&"b", at(59)), Ok(quota(1, 1)));
        assert_eq!(limiter.take(&"a", at(60)), Ok(quota(1, 60)));
    }

    #[test]
    fn a_network_has_more_than_one_client_and_not_all_there_is() {
        let limiter = RateLimiter::new(2);
        let ask = |client: &'static str| limiter.admit(&[(client, 1), ("net", 2)], at(0));
        assert_eq!([ask("a"), ask("a"), ask("b")], [Ok(()); 3]);
        // Its own refusals do not use up what its neighbours may.
        assert_eq!([ask("a"), ask("a"), ask("b")], [Err(60), Err(60), Ok(())]);
        for client in ["c", "d", "e"] {
            assert_eq!(ask(client), Err(60));
        }
        assert_eq!(
            limiter.counts.lock().unwrap().clients.len(),
            3,
            "who was refused with the network takes no room"
        );
        assert_eq!(limiter.admit(&[("c", 1), ("other net", 2)], at(0)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let limiter = RateLimiter::new(1);
        for client in 0..MOST_CLIENTS {
            assert_eq!(limiter.admit(&[(client, 1)], at(0)), Ok(()));
        }
        assert_eq!(limiter.admit(&[(MOST_CLIENTS, 1)], at(0)), Ok(()), "the first of the others");
        assert_eq!(limiter.admit(&[(MOST_CLIENTS + 1, 1)], at(0)), Err(60));
        assert_eq!(limiter.admit(&[(5, 1)], at(0)), Err(60));
        assert_eq!(limiter.counts.lock().unwrap().clients.len(), MOST_CLIENTS);
        assert_eq!(limiter.admit(&[(MOST_CLIENTS + 1, 1)], at(60)), Ok(()));
        assert_eq!(limiter.counts.lock().unwrap().clients.len(), 1);
    }
}
