//! A claim on work, as the one who holds it sees it.
//!
//! The database says until when by the clock of the wall; whoever holds a lease measures by a clock that only goes on.
//! A process that was frozen and wakes up sees that its lease is over, whatever happened to the clock of the wall, and
//! does nothing that another node may be doing too.

use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use store::StoreError;

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

/// A lease that is renewed while the work goes on.
#[derive(Debug)]
pub(crate) struct HeldLease {
    lease: Mutex<Lease>,
    past_the_end: AtomicBool,
}

impl HeldLease {
    pub(crate) const fn new(lease: Lease) -> Self {
        Self { lease: Mutex::new(lease), past_the_end: AtomicBool::new(false) }
    }

    pub(crate) fn renew(&self, lease: Lease) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// Whether the next step may be made, after which nothing can be taken back; remembers the yes.
    pub(crate) fn may_go_on(&self) -> bool {
        let lease = *self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        // What is left must do for what is sent to arrive.
        let holds = lease.holds_for((lease.length / 8).min(Duration::from_secs(5)));
        self.past_the_end.store(holds, Ordering::Release);
        holds
    }

    /// Whether the other side may have all of it already.
    pub(crate) fn is_past_the_end(&self) -> bool {
        self.past_the_end.load(Ordering::Acquire)
    }
}

/// How long something is tried to be stored again: the database may be away for a moment.
pub(crate) struct Patience {
    began: Instant,
    time: Duration,
    pause: Duration,
}

impl Patience {
    pub(crate) fn of(time: Duration) -> Self {
        Self { began: Instant::now(), time, pause: Duration::from_millis(100) }
    }

    /// Waits a moment, and says that it is worth another try; at once that it is not.
    pub(crate) async fn again(&mut self, error: &StoreError) -> bool {
        if !error.is_temporary() || self.began.elapsed() >= self.time {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        true
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
