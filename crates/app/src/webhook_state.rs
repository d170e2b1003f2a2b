//! What becomes of a delivery to a webhook after an attempt, and of the webhook: pure functions of the outcome.

use jiff::{SignedDuration, Timestamp};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered with 2xx.
    Delivered,
    /// Answered with 410: the webhook asks to be left alone.
    Gone,
    /// Anything else, also no answer.
    Failed,
}

impl Outcome {
    /// What an answer means; none without a status.
    pub const fn of_status(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Delivered,
            Some(410) => Self::Gone,
            _ => Self::Failed,
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Done.
    Delivered,
    /// Again at this time.
    Again(Timestamp),
    /// Given up.
    GivenUp,
}

/// How long an event is tried to be delivered: the last try is at the end of it.
pub const TRIED_FOR: SignedDuration = SignedDuration::from_hours(72);

/// How long nothing may have been delivered before a webhook is disabled: longer than any one event is tried.
pub const DISABLED_AFTER: SignedDuration = SignedDuration::from_hours(5 * 24);

/// Waits in seconds before each further try; the last one repeats.
const WAITS: [i64; 8] = [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 43_200];

/// What comes after the try with number `tries` (1 for the first) of a delivery that began at `started_at`.
/// `thousandths`, 0 to 1,000, spreads the next try by a tenth to either side.
pub fn next(outcome: Outcome, tries: u32, started_at: Timestamp, now: Timestamp, thousandths: u32) -> Next {
    match outcome {
        Outcome::Delivered => return Next::Delivered,
        Outcome::Gone => return Next::GivenUp,
        Outcome::Failed => {}
    }
    let end = started_at.checked_add(TRIED_FOR).unwrap_or(Timestamp::MAX);
    if now >= end {
        return Next::GivenUp;
    }
    let index = usize::try_from(tries.max(1) - 1).unwrap_or(0).min(WAITS.len() - 1);
    let spread = 900 + i64::from(thousandths.min(1_000)) / 5;
    let wait = SignedDuration::from_millis(WAITS[index] * spread);
    Next::Again(now.checked_add(wait).unwrap_or(end).min(end))
}

/// Why a webhook is to be disabled now, if it is. `failing_since` is when the first attempt failed behind which none
/// went through.
pub fn why_disabled(
    outcome: Outcome,
    failing_since: Option<Timestamp>,
    now: Timestamp,
) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::Gone => Some("it answered 410 Gone"),
        Outcome::Failed => failing_since
            .filter(|since| now.duration_since(*since) >= DISABLED_AFTER)
            .map(|_| "nothing could be delivered for five days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn after(hours: i64) -> Timestamp {
        start().checked_add(SignedDuration::from_hours(hours)).unwrap()
    }

    #[test]
    fn tries_back_off_for_three_days() {
        let (mut now, mut tries, mut waits) = (start(), 1, Vec::new());
        while let Next::Again(at) = next(Outcome::Failed, tries, start(), now, 500) {
            waits.push(at.duration_since(now).as_secs());
            (now, tries) = (at, tries + 1);
        }
        assert_eq!(waits[..9], [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 43_200, 43_200]);
        assert_eq!((now, tries), (after(72), 13), "the last try is at the end of the third day");
        for thousandths in [0, 1_000, u32::MAX] {
            let Next::Again(at) = next(Outcome::Failed, 3, start(), start(), thousandths) else { panic!() };
            assert!((270..=330).contains(&at.duration_since(start()).as_secs()));
        }
        assert_eq!(next(Outcome::Failed, 1, start(), after(72), 0), Next::GivenUp);
        assert_eq!(next(Outcome::Gone, 1, start(), start(), 0), Next::GivenUp);
        assert_eq!(next(Outcome::Delivered, 99, start(), after(99), 0), Next::Delivered);
    }

    #[test]
    fn answers_are_judged_by_their_status() {
        for (status, outcome) in [
            (Some(200), Outcome::Delivered),
            (Some(204), Outcome::Delivered),
            (Some(301), Outcome::Failed),
            (Some(410), Outcome::Gone),
            (Some(500), Outcome::Failed),
            (None, Outcome::Failed),
        ] {
            assert_eq!(Outcome::of_status(status), outcome, "{status:?}");
        }
    }

    #[test]
    fn a_webhook_is_disabled_after_five_days_of_nothing_but_failures() {
        assert_eq!(why_disabled(Outcome::Failed, None, after(500)), None);
        assert_eq!(why_disabled(Outcome::Failed, Some(start()), after(119)), None);
        assert!(why_disabled(Outcome::Failed, Some(start()), after(120)).is_some());
        assert_eq!(why_disabled(Outcome::Delivered, Some(start()), after(500)), None);
        assert!(why_disabled(Outcome::Gone, None, start()).is_some());
    }
}
