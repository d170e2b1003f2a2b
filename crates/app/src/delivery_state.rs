//! What becomes of a delivery after an attempt: a pure function of the outcome.

use jiff::{SignedDuration, Timestamp};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The server took it.
    Accepted,
    /// 4xx, or no connection: try again.
    Temporary,
    /// 5xx: this recipient is lost.
    Permanent,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Done.
    Delivered,
    /// Again at this time.
    Deferred(Timestamp),
    /// Given up.
    Failed,
}

/// RFC 5321 §4.5.4.1 asks to give up after 4 to 5 days; receivers' rate limits rarely outlast three.
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// However old a message is, it is tried this often.
const ATTEMPTS_TO_GIVE_UP: u32 = 6;

/// Waits in seconds before each further attempt; the last one repeats.
const WAITS: [i64; 7] = [30, 120, 300, 900, 1_800, 3_600, 10_800];

/// The state after the attempt with number `attempts` (1 for the first), of a message accepted at `accepted_at`.
pub fn next(
    outcome: &AttemptOutcome,
    attempts: u32,
    accepted_at: Timestamp,
    now: Timestamp,
) -> DeliveryState {
    match outcome {
        AttemptOutcome::Accepted => DeliveryState::Delivered,
        AttemptOutcome::Permanent => DeliveryState::Failed,
        // Age alone says nothing: the platform itself may have been down.
        AttemptOutcome::Temporary
            if attempts >= ATTEMPTS_TO_GIVE_UP && now.duration_since(accepted_at) >= GIVE_UP_AFTER =>
        {
            DeliveryState::Failed
        }
        AttemptOutcome::Temporary => {
            let index = usize::try_from(attempts.max(1) - 1).unwrap_or(0).min(WAITS.len() - 1);
            let wait = SignedDuration::from_secs(WAITS[index]);
            DeliveryState::Deferred(now.checked_add(wait).unwrap_or(now))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_failures_back_off_and_end() {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let after = |hours: i64| start.checked_add(SignedDuration::from_hours(hours)).unwrap();
        let wait = |attempts| match next(&AttemptOutcome::Temporary, attempts, start, start) {
            DeliveryState::Deferred(at) => at.duration_since(start).as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait(1), wait(2), wait(7), wait(99)), (30, 120, 10_800, 10_800));
        assert_eq!(next(&AttemptOutcome::Temporary, 20, start, after(72)), DeliveryState::Failed);
        assert!(matches!(next(&AttemptOutcome::Temporary, 1, start, after(100)), DeliveryState::Deferred(_)));
        assert_eq!(next(&AttemptOutcome::Permanent, 1, start, start), DeliveryState::Failed);
        assert_eq!(next(&AttemptOutcome::Accepted, 1, start, after(99)), DeliveryState::Delivered);
    }
}
