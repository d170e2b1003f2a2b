//! The life of a sender domain's DNS status: a pure function from state, verdict and time to the next state.
//!
//! ```text
//! pending ── pass ──▶ verified ── fail, for 72 h and 3 checks ──▶ failed
//!    │                  ▲  └─ fail: health "warning", sending goes on │
//!    └─ 72 h of fail ─▶ failed ── pass ───────────────────────────────┘ (back to verified)
//! ```
//!
//! Unknown changes nothing, ever. A check on demand never takes anything away.

use jiff::{SignedDuration, Timestamp};
use model::{DomainStatus, Verdict};

/// How long a domain may be pending, and how long a verified one may be broken, before it counts as failed.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(72);

/// How many checks in a row must have failed before a verified domain is given up.
const FAILURES_TO_GIVE_UP: u32 = 3;

/// Where a domain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its status.
    pub status: DomainStatus,
    /// Whether a verified domain is broken at the moment.
    pub warning: bool,
    /// When it was last found verified after not being so.
    pub verified_at: Option<Timestamp>,
    /// When it will count as failed if nothing changes; of a failed domain, when it did.
    pub fails_at: Option<Timestamp>,
    /// Checks in a row that failed for certain.
    pub consecutive_failures: u32,
}

/// Why the check was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// It was due.
    Schedule,
    /// Someone asked for it.
    Demand,
}

impl State {
    /// A domain that was just added.
    pub fn added(now: Timestamp) -> Self {
        Self {
            status: DomainStatus::Pending,
            warning: false,
            verified_at: None,
            fails_at: later(now, PATIENCE),
            consecutive_failures: 0,
        }
    }
}

/// The next state, and the events of the transition.
pub fn next(state: &State, verdict: Verdict, trigger: Trigger, now: Timestamp) -> (State, Vec<&'static str>) {
    let mut next = state.clone();
    let mut events = Vec::new();
    match (state.status, verdict) {
        (DomainStatus::Verified, Verdict::Pass) => {
            next.warning = false;
            next.consecutive_failures = 0;
            next.fails_at = None;
        }
        (DomainStatus::Pending | DomainStatus::Failed, Verdict::Pass) => {
            next = State {
                status: DomainStatus::Verified,
                warning: false,
                verified_at: Some(now),
                fails_at: None,
                consecutive_failures: 0,
            };
            events.push("domain.verified");
        }
        (DomainStatus::Verified, Verdict::Fail) if trigger == Trigger::Schedule => {
            next.consecutive_failures += 1;
            if !state.warning {
                next.warning = true;
                next.fails_at = later(now, PATIENCE);
                events.push("domain.warning");
            } else if next.consecutive_failures >= FAILURES_TO_GIVE_UP && is_over(state.fails_at, now) {
                next.status = DomainStatus::Failed;
                next.fails_at = Some(now);
                events.push("domain.failed");
            }
        }
        (DomainStatus::Pending, Verdict::Fail) if trigger == Trigger::Schedule => {
            next.consecutive_failures += 1;
            if is_over(state.fails_at, now) {
                next.status = DomainStatus::Failed;
                next.fails_at = Some(now);
                events.push("domain.failed");
            }
        }
        // Unknown, a switched-off domain, a failure on demand, and one that is known already.
        _ => {}
    }
    (next, events)
}

fn is_over(deadline: Option<Timestamp>, now: Timestamp) -> bool {
    deadline.is_some_and(|deadline| now >= deadline)
}

fn later(now: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    now.checked_add(by).ok()
}

/// When to look again. Quick while the customer is likely to be at the DNS host's panel, slower as time goes by;
/// spread by up to a tenth so that domains added together do not stay together. `spread` is in thousandths.
pub fn next_check(state: &State, since: Timestamp, now: Timestamp, spread: u32) -> Timestamp {
    let age = now.duration_since(since).as_secs();
    let seconds: i64 = match state.status {
        DomainStatus::Pending => match age {
            i64::MIN..120 => 5,
            120..600 => 15,
            600..3_600 => 60,
            3_600..21_600 => 300,
            21_600.. => 900,
        },
        DomainStatus::Verified if state.warning => 300,
        DomainStatus::Verified => 3_600,
        DomainStatus::Failed => match age {
            i64::MIN..604_800 => 3_600,
            604_800.. => 86_400,
        },
        DomainStatus::Disabled => 86_400,
    };
    let millis = seconds * 1_000 + seconds * i64::from(spread.min(1_000)) / 10;
    now.checked_add(SignedDuration::from_millis(millis)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hours * 3_600).unwrap()
    }

    #[test]
    fn a_pending_domain_is_verified_once_and_fails_after_72_hours() {
        let state = State::added(at(0));
        let (verified, events) = next(&state, Verdict::Pass, Trigger::Demand, at(1));
        assert_eq!(
            (verified.status, verified.verified_at, events),
            (DomainStatus::Verified, Some(at(1)), vec!["domain.verified"])
        );
        assert_eq!(next(&verified, Verdict::Pass, Trigger::Schedule, at(2)), (verified, vec![]));
        let (still, events) = next(&state, Verdict::Fail, Trigger::Schedule, at(71));
        assert_eq!((still.status, events), (DomainStatus::Pending, vec![]));
        let (failed, events) = next(&state, Verdict::Fail, Trigger::Schedule, at(72));
        assert_eq!((failed.status, events), (DomainStatus::Failed, vec!["domain.failed"]));
        let (again, events) = next(&failed, Verdict::Pass, Trigger::Schedule, at(100));
        assert_eq!((again.status, events), (DomainStatus::Verified, vec!["domain.verified"]));
    }

    #[test]
    fn unknown_changes_nothing_in_any_state() {
        for status in
            [DomainStatus::Pending, DomainStatus::Verified, DomainStatus::Failed, DomainStatus::Disabled]
        {
            for warning in [false, true] {
                let state = State {
                    status,
                    warning,
                    fails_at: Some(at(0)),
                    verified_at: None,
                    consecutive_failures: 9,
                };
                assert_eq!(next(&state, Verdict::Unknown, Trigger::Schedule, at(1_000)), (state, vec![]));
            }
        }
    }

    #[test]
    fn a_verified_domain_is_warned_first_and_only_gives_up_after_its_grace() {
        let (verified, _) = next(&State::added(at(0)), Verdict::Pass, Trigger::Schedule, at(0));
        assert_eq!(next(&verified, Verdict::Fail, Trigger::Demand, at(1)), (verified.clone(), vec![]));
        let (warned, events) = next(&verified, Verdict::Fail, Trigger::Schedule, at(1));
        assert_eq!(
            (warned.status, warned.warning, events),
            (DomainStatus::Verified, true, vec!["domain.warning"])
        );
        let (second, events) = next(&warned, Verdict::Fail, Trigger::Schedule, at(72));
        assert_eq!((second.status, events), (DomainStatus::Verified, vec![]));
        let (third, events) = next(&second, Verdict::Fail, Trigger::Schedule, at(73));
        assert_eq!((third.status, events), (DomainStatus::Failed, vec!["domain.failed"]));
        let (healed, events) = next(&second, Verdict::Pass, Trigger::Schedule, at(73));
        assert_eq!((healed.warning, healed.consecutive_failures, events), (false, 0, vec![]));
    }

    #[test]
    fn checks_come_quickly_at_first_and_back_off() {
        let state = State::added(at(0));
        let wait = |age_seconds: i64, spread: u32| {
            let now = at(0).checked_add(SignedDuration::from_secs(age_seconds)).unwrap();
            next_check(&state, at(0), now, spread).duration_since(now).as_millis()
        };
        assert_eq!(wait(0, 0), 5_000);
        assert_eq!(wait(0, 1_000), 5_500);
        let waits: Vec<_> = [0, 300, 1_800, 7_200, 86_400].iter().map(|&age| wait(age, 0)).collect();
        assert!(waits.is_sorted() && waits[4] == 900_000);
    }
}
