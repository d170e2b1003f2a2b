//! When a domain is looked at next.
//!
//! Quick while the customer is likely to be at the DNS host's panel, and while something may be broken; a domain that
//! has been right for long is left alone for longer, one that breaks often less so. Those that are left alone (*calm*)
//! have a place of their own in their period, which their id decides: however they came in, they are spread evenly over
//! it, and however they were delayed they come back to it. Calm domains that became late, since the platform was down,
//! are not all looked at at once but at their next place ([`next_place`] again; the store moves them, each once).

use crate::domain_state::{MEMORY, PATIENCE, Rules, State, next_deadline};
use jiff::{SignedDuration, Timestamp};
use model::{DomainId, DomainStatus};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The shortest and the usual unit of a period, in seconds.
const SHORTEST: i64 = 900;

/// A calm domain that is so late was not looked at for a reason of ours.
pub const LATE: SignedDuration = SignedDuration::from_mins(10);

/// When to look next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// When.
    pub at: Timestamp,
    /// The period of a calm domain, in seconds; nothing for one that is in a hurry.
    pub period: Option<u32>,
}

/// When to look again. `since` is when its quick phase began: it was added, it failed, or someone asked. `spread`, in
/// thousandths, moves what is in a hurry by up to a tenth, so that domains added together do not stay together.
pub fn next_check(
    state: &State,
    id: DomainId,
    since: Timestamp,
    rules: &Rules,
    now: Timestamp,
    spread: u32,
) -> Next {
    let age = now.duration_since(since).as_secs();
    let soon = |seconds: i64| {
        let millis = seconds * 1_000 + seconds * i64::from(spread.min(1_000)) / 10;
        Next { at: now.checked_add(SignedDuration::from_millis(millis)).unwrap_or(now), period: None }
    };
    match state.status {
        // It waits for the name, not for its records.
        DomainStatus::Pending if state.held_elsewhere && age >= PATIENCE.as_secs() => calm(id, 3_600, now),
        DomainStatus::Pending => soon(match age {
            i64::MIN..120 => 5,
            120..600 => 15,
            600..3_600 => 60,
            3_600..21_600 => 300,
            21_600.. => 900,
        }),
        DomainStatus::Verified if state.warning => {
            let usual = soon(if age < 3_600 { 300 } else { 900 });
            // What is promised for a time happens then.
            let deadline = next_deadline(state, rules).map_or(usual.at, |at| at.max(now));
            Next { at: usual.at.min(deadline), ..usual }
        }
        DomainStatus::Verified if state.watch.suspected_since.is_some() => {
            soon(match state.consecutive_failures {
                0..=1 => 60,
                2 => 240,
                _ => 600,
            })
        }
        DomainStatus::Verified => calm(id, period(state, rules, now), now),
        DomainStatus::Failed if age < 604_800 => calm(id, 3_600, now),
        DomainStatus::Failed | DomainStatus::Disabled => calm(id, 86_400, now),
    }
}

fn calm(id: DomainId, period: i64, now: Timestamp) -> Next {
    Next { at: next_place(id, period, now), period: u32::try_from(period).ok() }
}

/// How often a domain that is right is looked at, in seconds: it grows with the time since anything changed, to a
/// twentieth of it, and halves with each break that is remembered.
fn period(state: &State, rules: &Rules, now: Timestamp) -> i64 {
    let watch = &state.watch;
    let changed = state.verified_at.into_iter().chain(watch.last_break_at).max();
    let quiet = changed.map_or(0, |changed| now.duration_since(changed).as_secs());
    let remembered = watch.last_break_at.is_some_and(|last| now.duration_since(last) < MEMORY);
    let halved = if remembered { watch.breaks.min(4) } else { 0 };
    let longest = rules.longest_watch.as_secs().max(SHORTEST);
    let wanted = (quiet / 20) >> halved;
    let mut period = SHORTEST;
    while period * 2 <= wanted.min(longest) {
        period *= 2;
    }
    if wanted >= longest { longest } else { period }
}

/// The next place of a domain in its period: half a period from now at the soonest.
pub fn next_place(id: DomainId, period: i64, now: Timestamp) -> Timestamp {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let period = period.max(1) * 1_000;
    let phase = i64::try_from(hasher.finish() >> 1).unwrap_or(0) % period;
    let soonest = now.as_millisecond() + period / 2;
    let at = soonest + (phase - soonest).rem_euclid(period);
    Timestamp::from_millisecond(at).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Watch;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn id(number: u64) -> DomainId {
        DomainId::from_parts(1_700_000_000_000 + number / 50, u128::from(number) * 0x9e37_79b9_7f4a_7c15)
    }

    fn verified(at: Timestamp) -> State {
        State { status: DomainStatus::Verified, verified_at: Some(at), ..State::added(at) }
    }

    #[test]
    fn checks_come_quickly_at_first_and_back_off() {
        let state = State::added(at(0));
        let wait = |age: i64, spread: u32| {
            let next = next_check(&state, id(1), at(0), &Rules::default(), at(age), spread);
            next.at.duration_since(at(age)).as_millis()
        };
        assert_eq!(wait(0, 0), 5_000);
        assert_eq!(wait(0, 1_000), 5_500);
        let waits: Vec<_> = [0, 300, 1_800, 7_200, 86_400].iter().map(|&age| wait(age, 0)).collect();
        assert!(waits.is_sorted() && waits[4] == 900_000);
    }

    #[test]
    fn the_period_fits_the_history() {
        const HOUR: i64 = 3_600;
        let rules = Rules::default();
        let mut state = verified(at(0));
        let periods: Vec<_> = [0, HOUR, 11 * HOUR, 5 * 24 * HOUR, 20 * 24 * HOUR, 900 * 24 * HOUR]
            .iter()
            .map(|&age| period(&state, &rules, at(age)))
            .collect();
        assert_eq!(periods, [900, 900, 1_800, 14_400, 86_400, 86_400]);
        state.watch = Watch { breaks: 2, last_break_at: Some(at(0)), ..Watch::default() };
        assert_eq!(period(&state, &rules, at(20 * 24 * HOUR)), 14_400, "halved twice, and rounded down");
        assert_eq!(period(&state, &rules, at(31 * 24 * HOUR)), 86_400, "forgotten");
        let often = Rules { longest_watch: SignedDuration::from_hours(1), ..rules };
        assert_eq!(period(&state, &often, at(900 * 24 * HOUR)), HOUR);
    }

    #[test]
    fn a_suspicion_is_followed_up_and_a_deadline_is_met() {
        let rules = Rules::default();
        let mut state = verified(at(0));
        state.watch.suspected_since = Some(at(0));
        let wait = |state: &State, now: i64| {
            let next = next_check(state, id(1), at(0), &rules, at(now), 0);
            assert_eq!(next.period, None);
            next.at.duration_since(at(now)).as_secs()
        };
        for (failures, seconds) in [(1, 60), (2, 240), (3, 600), (9, 600)] {
            state.consecutive_failures = failures;
            assert_eq!(wait(&state, 100), seconds);
        }
        state.warning = true;
        state.fails_at = Some(at(72 * 3_600));
        assert_eq!(wait(&state, 0), 300);
        assert_eq!(wait(&state, 7_200), 900);
        assert_eq!(wait(&state, 48 * 3_600 - 70), 70, "the first reminder");
        state.watch.reminders = 2;
        assert_eq!(wait(&state, 72 * 3_600 - 30), 30, "the end");
    }

    /// How many checks fall into the fullest minute, beside the mean over a day.
    fn crowding(times: impl Iterator<Item = Timestamp>, from: Timestamp) -> f64 {
        let mut counts = vec![0_u32; 3_000];
        let mut total = 0_u32;
        for time in times {
            let minute = usize::try_from(time.duration_since(from).as_secs() / 60).unwrap();
            counts[minute] += 1;
            total += 1;
        }
        f64::from(*counts.iter().max().unwrap()) * 1_440.0 / f64::from(total)
    }

    #[test]
    fn a_million_domains_are_spread_evenly_and_stay_so_after_an_outage() {
        const DAY: i64 = 86_400;
        let ids = || (0..1_000_000).map(id);
        // All checked within one hour (a bulk import), with the period of old domains.
        let first: Vec<Timestamp> =
            ids().zip(0_i64..).map(|(id, n)| next_place(id, DAY, at(n * 3_600 / 1_000_000))).collect();
        let from = |times: &[Timestamp]| *times.iter().min().unwrap();
        let after_import = crowding(first.iter().copied(), from(&first));
        // The platform is down for six hours. A quarter of them is late; each goes to its next place.
        let back = at(DAY / 2 + 9 * 3_600);
        let moved: Vec<Timestamp> = ids()
            .zip(&first)
            .map(|(id, &due)| if due < back { next_place(id, DAY, due) } else { due })
            .collect();
        let late = first.iter().filter(|&&due| due < back).count();
        assert!(late > 200_000, "{late}");
        assert!(moved.iter().all(|&due| due >= back && due.duration_since(back).as_secs() <= DAY));
        let after_outage = crowding(moved.into_iter(), back);
        println!(
            "most in a minute / mean: {after_import:.3} after an import, {after_outage:.3} after an outage"
        );
        assert!(after_import < 1.2 && after_outage < 1.2, "{after_import} {after_outage}");
    }
}
