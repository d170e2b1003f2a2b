//! A claim on work, as the one who holds it sees it.
//!
//! The database says until when by the clock of the wall; whoever holds a lease measures by a clock that only goes on.
//! A process that was frozen and wakes up sees that its lease is over, whatever happened to the clock of the wall, and
//! does nothing that another node may be doing too.

use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// A claim from when it was asked for. Copies are the same lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    begun: Instant,
    length: Duration,
}

impl Lease {
    /// To be called before the database is asked, so that the lease never seems longer here than there.
    pub(crate) fn begin(length: Duration) -> Self {
        Self { begun: Instant::now(), length }
    }

    /// Until when it holds, for the database.
    pub(crate) fn until(&self, now: Timestamp) -> Timestamp {
        let length = SignedDuration::try_from(self.length).unwrap_or(SignedDuration::MAX);
        now.checked_add(length).unwrap_or(now)
    }

    /// Whether it will hold for this long from now on.
    pub(crate) fn holds_for(&self, time: Duration) -> bool {
        self.begun.elapsed().saturating_add(time) <= self.length
    }

    /// `most`, but no more than half of the lease: so much is left when what comes before it has taken no longer.
    pub(crate) fn share(&self, most: Duration) -> Duration {
        most.min(self.length / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_for_what_is_left_of_it() {
        let lease = Lease::begin(Duration::from_mins(2));
        assert!(lease.holds_for(Duration::from_mins(1)));
        assert!(!lease.holds_for(Duration::from_mins(3)));
        assert!(!Lease::begin(Duration::ZERO).holds_for(Duration::from_nanos(1)));
        let now = Timestamp::from_second(1_750_000_000).unwrap();
        assert_eq!(lease.until(now).as_second(), 1_750_000_120);
        assert_eq!(lease.share(Duration::from_secs(15)), Duration::from_secs(15));
        assert_eq!(
            Lease::begin(Duration::from_secs(4)).share(Duration::from_secs(15)),
            Duration::from_secs(2)
        );
    }
}
