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

/// When a receiver asks to be tried again by `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
pub fn asked_for(retry_after: &str, now: Timestamp) -> Option<Timestamp> {
    let text = retry_after.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than any number of seconds that counts.
        let seconds = text.parse().unwrap_or(i64::from(u32::MAX)).min(i64::from(u32::MAX));
        return Some(now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX));
    }
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// No earlier than the receiver asks for, but no later than the longest wait there is, and the last try.
pub fn postponed(next: Next, asked: Option<Timestamp>, started_at: Timestamp, now: Timestamp) -> Next {
    let (Next::Again(at), Some(asked)) = (next, asked) else { return next };
    let longest = now.checked_add(SignedDuration::from_secs(WAITS[WAITS.len() - 1])).unwrap_or(at);
    let end = started_at.checked_add(TRIED_FOR).unwrap_or(Timestamp::MAX);
    Next::Again(at.max(asked.min(longest).min(end)))
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
    fn who_asks_for_time_gets_it_within_bounds() {
        let in_seconds = |asked: &str| {
            let next = next(Outcome::Failed, 1, start(), start(), 500);
            match postponed(next, asked_for(asked, start()), start(), start()) {
                Next::Again(at) => at.duration_since(start()).as_secs(),
                other => panic!("{other:?}"),
            }
        };
        for (asked, seconds) in [
            ("120", 120),
            (" 7 ", 7),
            ("1", 5),
            ("0", 5),
            ("86400", 43_200),
            ("99999999999999999999999", 43_200),
            ("Tue, 14 Nov 2023 22:23:20 GMT", 600),
            ("Tue, 14 Nov 2000 22:23:20 GMT", 5),
            ("", 5),
            ("-1", 5),
            ("soon", 5),
            ("1.5", 5),
        ] {
            assert_eq!(in_seconds(asked), seconds, "{asked}");
        }
        let late = after(71);
        let put_off = postponed(Next::Again(late), asked_for("43200", late), start(), late);
        assert_eq!(put_off, Next::Again(after(72)), "the last try is no later");
        assert_eq!(postponed(Next::GivenUp, Some(late), start(), late), Next::GivenUp);
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
