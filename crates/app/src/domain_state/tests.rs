//! Tables of single steps, and random lives.

use super::*;
use proptest::prelude::*;

const RULES: Rules =
    Rules { grace: SignedDuration::from_hours(72), longest_watch: SignedDuration::from_hours(24) };

fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minutes * 60).unwrap()
}

fn at(hours: i64) -> Timestamp {
    minute(hours * 60)
}

fn look(verdict: Verdict) -> Look {
    Look { verdict, perspectives: 2, trigger: Trigger::Schedule, held: false, elsewhere: false }
}

const FAIL: Look = Look {
    verdict: Verdict::Fail,
    perspectives: 2,
    trigger: Trigger::Schedule,
    held: false,
    elsewhere: false,
};

fn verified() -> State {
    next(&State::added(minute(0)), look(Verdict::Pass), &RULES, minute(0)).0
}

/// Goes through these looks, each at its minute; the state at the end, and what happened when.
fn live(state: &State, looks: &[(i64, Look)]) -> (State, Vec<(i64, Change)>) {
    let mut state = state.clone();
    let mut changes = Vec::new();
    for &(at, look) in looks {
        let (after, change) = next(&state, look, &RULES, minute(at));
        changes.extend(change.map(|change| (at, change)));
        state = after;
    }
    (state, changes)
}

/// Fails from one minute to another, as often as a warned domain is looked at.
fn failing(minutes: std::ops::Range<i64>) -> Vec<(i64, Look)> {
    minutes.step_by(5).map(|minute| (minute, FAIL)).collect()
}

#[test]
fn a_pending_domain_is_verified_once_and_fails_after_72_hours() {
    let state = State::added(at(0));
    let on_demand = Look { trigger: Trigger::Demand, ..look(Verdict::Pass) };
    let (verified, change) = next(&state, on_demand, &RULES, at(1));
    assert_eq!((verified.status, verified.verified_at), (DomainStatus::Verified, Some(at(1))));
    assert_eq!(change, Some(Change::Verified));
    assert_eq!(next(&verified, look(Verdict::Pass), &RULES, at(2)), (verified, None));
    let (still, change) = next(&state, FAIL, &RULES, at(71));
    assert_eq!((still.status, change), (DomainStatus::Pending, None));
    let (failed, change) = next(&state, FAIL, &RULES, at(72));
    assert_eq!((failed.status, change), (DomainStatus::Failed, Some(Change::Failed)));
    let (again, change) = next(&failed, look(Verdict::Pass), &RULES, at(100));
    assert_eq!((again.status, change), (DomainStatus::Verified, Some(Change::Verified)));
    let held = Look { held: true, ..FAIL };
    assert_eq!(next(&state, held, &RULES, at(99)), (state, None), "the fault may be ours");
}

#[test]
fn unknown_and_checks_on_demand_take_nothing_away() {
    for status in DomainStatus::ALL {
        for warning in [false, true] {
            let watch = Watch { suspected_since: Some(at(0)), reminders: 2, ..Watch::default() };
            let state = State {
                status: *status,
                warning,
                fails_at: Some(at(0)),
                verified_at: None,
                consecutive_failures: 9,
                watch,
                held_elsewhere: false,
            };
            assert_eq!(next(&state, look(Verdict::Unknown), &RULES, at(1_000)), (state.clone(), None));
            let on_demand = Look { trigger: Trigger::Demand, ..FAIL };
            assert_eq!(next(&state, on_demand, &RULES, at(1_000)), (state, None));
        }
    }
}

#[test]
fn a_break_is_confirmed_by_several_checks_over_time_and_by_more_than_one_server() {
    let (state, changes) = live(&verified(), &[(100, FAIL), (101, FAIL), (105, FAIL), (114, FAIL)]);
    assert_eq!((state.warning, state.fails_at, changes), (false, None, vec![]));
    let (warned, change) = next(&state, FAIL, &RULES, minute(115));
    assert_eq!(change, Some(Change::Warned));
    assert_eq!((warned.status, warned.warning), (DomainStatus::Verified, true));
    assert_eq!(warned.fails_at, Some(minute(115 + 72 * 60)));
    // Two checks are too few, however far apart.
    assert_eq!(live(&verified(), &[(100, FAIL), (119, FAIL)]).1, []);
    // One that passes begins anew; one that does not know does not.
    let pass = look(Verdict::Pass);
    assert_eq!(live(&verified(), &[(0, FAIL), (5, FAIL), (14, pass), (15, FAIL), (16, FAIL)]).1, []);
    let unknown = look(Verdict::Unknown);
    let (_, changes) = live(&verified(), &[(0, FAIL), (5, FAIL), (14, unknown), (15, FAIL)]);
    assert_eq!(changes, [(15, Change::Warned)]);
    // What nobody else says has to last.
    let alone = |until| -> Vec<_> {
        failing(0..until).into_iter().map(|(at, look)| (at, Look { perspectives: 1, ..look })).collect()
    };
    assert_eq!(live(&verified(), &alone(24 * 60 - 1)).1, []);
    assert_eq!(live(&verified(), &alone(24 * 60 + 5)).1, [(24 * 60, Change::Warned)]);
}

#[test]
fn reminders_come_before_sending_stops() {
    let end = 15 + 72 * 60;
    let (state, changes) = live(&verified(), &failing(0..end + 6));
    let wanted = [
        (15, Change::Warned),
        (end - 24 * 60, Change::Reminded),
        (end - 2 * 60, Change::Reminded),
        (end, Change::Failed),
    ];
    assert_eq!(changes, wanted);
    assert_eq!(state.status, DomainStatus::Failed);
    // Nobody could look for two days: the time is put on top, and there are still two hours from the last reminder on.
    let mut looks = failing(0..60);
    looks.extend(failing(49 * 60..200 * 60));
    let (_, changes) = live(&verified(), &looks);
    let times: Vec<_> = changes.iter().map(|(at, _)| *at).collect();
    let unseen = 49 * 60 - 55;
    assert_eq!(
        times,
        [15, end + unseen - 24 * 60, end + unseen - 2 * 60, end + unseen],
        "the grace runs only while the break is seen"
    );
}

#[test]
fn what_is_mended_recovers_at_once_and_a_second_break_needs_more() {
    let pass = look(Verdict::Pass);
    let (state, changes) = live(&verified(), &[failing(0..61), vec![(61, pass)]].concat());
    assert_eq!(changes, [(15, Change::Warned), (61, Change::Recovered)]);
    assert_eq!((state.fails_at, state.consecutive_failures, state.watch.breaks), (None, 0, 1));
    let (_, changes) = live(&state, &failing(100..200));
    assert_eq!(changes, [(130, Change::Warned)], "half an hour");
    let (_, changes) = live(&state, &failing(3_000..3_100));
    assert_eq!(changes, [(3_015, Change::Warned)], "after a day as before");
}

#[test]
fn nothing_is_demoted_while_demotions_are_held() {
    let held = |range| -> Vec<_> {
        failing(range).into_iter().map(|(at, look)| (at, Look { held: true, ..look })).collect()
    };
    assert_eq!(live(&verified(), &held(0..30_000)).1, []);
    // It was a real one: it is confirmed anew when somebody may look again.
    let (_, changes) = live(&verified(), &[held(0..600), failing(600..700)].concat());
    assert_eq!(changes, [(615, Change::Warned)]);
    let end = 15 + 72 * 60;
    let (_, changes) =
        live(&verified(), &[failing(0..60), held(60..60_000), failing(60_000..70_000)].concat());
    assert_eq!(changes.last(), Some(&(end + 60_000 - 55, Change::Failed)), "{changes:?}");
}

#[test]
fn a_short_grace_has_a_reminder_too() {
    let rules = Rules { grace: SignedDuration::from_mins(60), ..RULES };
    let mut state = verified();
    let mut changes = Vec::new();
    for (at, look) in failing(0..80) {
        let (after, change) = next(&state, look, &rules, minute(at));
        changes.extend(change.map(|change| (at, change)));
        state = after;
    }
    assert_eq!(changes, [(15, Change::Warned), (45, Change::Reminded), (75, Change::Failed)]);
}

#[test]
fn a_name_that_is_held_elsewhere_leaves_right_records_pending() {
    let elsewhere = Look { elsewhere: true, ..look(Verdict::Pass) };
    let (waits, change) = next(&State::added(minute(0)), elsewhere, &RULES, at(100));
    assert_eq!((waits.status, waits.held_elsewhere, change), (DomainStatus::Pending, true, None));
    assert_eq!(waits.fails_at, Some(at(72)), "once its records are not right any more");
    // One that failed waits anew.
    let failed = State { status: DomainStatus::Failed, ..State::added(minute(0)) };
    let (waits, change) = next(&failed, elsewhere, &RULES, at(100));
    assert_eq!((waits.status, waits.fails_at, change), (DomainStatus::Pending, Some(at(172)), None));
    // Nothing certain changes nothing; a break is its own; and once the name is free it is verified.
    assert_eq!(next(&waits, look(Verdict::Unknown), &RULES, at(101)).0, waits);
    assert!(!next(&waits, FAIL, &RULES, at(101)).0.held_elsewhere);
    let (free, change) = next(&waits, look(Verdict::Pass), &RULES, at(101));
    assert_eq!(
        (free.status, free.held_elsewhere, change),
        (DomainStatus::Verified, false, Some(Change::Verified))
    );
    // What was verified before names had holders stays so.
    let (stays, change) = next(&verified(), elsewhere, &RULES, at(1));
    assert_eq!((stays.status, change), (DomainStatus::Verified, None));
}

/// What one check may see.
fn any_look() -> impl Strategy<Value = Look> {
    let verdict =
        prop_oneof![4 => Just(Verdict::Fail), 1 => Just(Verdict::Pass), 2 => Just(Verdict::Unknown)];
    (verdict, 0_usize..4, prop::bool::weighted(0.9), prop::bool::weighted(0.1)).prop_map(
        |(verdict, perspectives, scheduled, held)| Look {
            verdict,
            perspectives,
            trigger: if scheduled { Trigger::Schedule } else { Trigger::Demand },
            held,
            elsewhere: false,
        },
    )
}

/// Looks and the minutes between them: mostly as often as a broken domain is looked at, at times a long way apart.
fn any_life() -> impl Strategy<Value = Vec<(i64, Look)>> {
    let wait = prop_oneof![8 => 1_i64..20, 1 => 20_i64..600, 1 => 600_i64..6_000];
    // A life of many moods: long stretches of one kind are what takes a domain down.
    let stretch = (any_look(), 1_usize..400, any::<bool>(), prop::collection::vec((wait, any_look()), 1..30));
    prop::collection::vec(stretch, 1..12).prop_map(|stretches| {
        let mut life = Vec::new();
        for (look, times, steady, mixed) in stretches {
            if steady {
                life.extend((0..times).map(|_| (13, look)));
            } else {
                life.extend(mixed);
            }
        }
        life
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is seen: a verified domain stops sending only after its whole grace, in which the break was seen
    /// throughout, and not before a warning and a reminder; and nothing flaps.
    #[test]
    fn nothing_temporary_takes_a_domain_down(life in any_life()) {
        let mut state = verified();
        let mut now = 0;
        // How long the break was seen since the last time that all was right, and when it was seen last.
        let (mut seen, mut seen_at, mut fails) = (0, None, 0);
        let (mut warned_at, mut reminded_at) = (None, None);
        let mut warnings: Vec<i64> = Vec::new();
        for (wait, look) in life {
            now += wait;
            let before = state.clone();
            let (after, change) = next(&before, look, &RULES, minute(now));
            if look.verdict == Verdict::Unknown || (look.verdict == Verdict::Fail && look.trigger == Trigger::Demand) {
                prop_assert_eq!(&after, &before);
            }
            if look.verdict == Verdict::Pass {
                prop_assert!(after.status == DomainStatus::Verified && after.is_calm());
                (seen, seen_at, fails) = (0, None, 0);
                (warned_at, reminded_at) = (None, None);
            } else if look.verdict == Verdict::Fail && look.trigger == Trigger::Schedule && !look.held {
                fails += 1;
                let unseen = seen_at.map_or(0, |seen_at| now - seen_at);
                if unseen <= 120 {
                    seen += unseen;
                }
                seen_at = Some(now);
            }
            match change {
                Some(Change::Warned) => {
                    prop_assert!(fails >= 3 && seen >= 15);
                    prop_assert!(look.perspectives >= 2 || seen >= 24 * 60);
                    warned_at = Some(seen);
                    warnings.push(now);
                }
                Some(Change::Reminded) => reminded_at = Some(now),
                Some(Change::Failed) => {
                    prop_assert!(seen - warned_at.unwrap() >= 72 * 60, "seen for {seen} minutes");
                    prop_assert!(now - reminded_at.unwrap() >= 2 * 60);
                    prop_assert!(!look.held);
                }
                _ => {}
            }
            if before.status == DomainStatus::Verified && after.status != DomainStatus::Verified {
                prop_assert_eq!(change, Some(Change::Failed));
            }
            if after.status == DomainStatus::Verified && before.status == DomainStatus::Failed {
                prop_assert_eq!(look.verdict, Verdict::Pass);
            }
            state = after;
        }
        for (index, first) in warnings.iter().enumerate() {
            let in_a_day = warnings[index..].iter().filter(|at| *at - first < 24 * 60).count();
            prop_assert!(in_a_day <= 9, "{in_a_day} warnings in a day: {warnings:?}");
        }
    }

    /// Whatever was before: a break that lasts takes the domain down, though a third of the checks learn nothing and
    /// some see it at one server only.
    #[test]
    fn a_lasting_break_always_takes_a_domain_down(
        life in any_life(),
        weather in prop::collection::vec((prop::bool::weighted(0.3), 1_usize..4), 200),
    ) {
        let (mut state, _) = {
            let mut now = 0;
            let looks: Vec<_> = life.into_iter().map(|(wait, look)| { now += wait; (now, look) }).collect();
            live(&verified(), &looks)
        };
        let start = minute(2_000_000);
        let mut now = start;
        let mut changes = Vec::new();
        let mut silence = 0;
        for (silent, perspectives) in weather.into_iter().cycle() {
            if state.status == DomainStatus::Failed {
                break;
            }
            silence = if silent && silence < 3 { silence + 1 } else { 0 };
            let verdict = if silence > 0 { Verdict::Unknown } else { Verdict::Fail };
            let (after, change) = next(&state, Look { verdict, perspectives, ..FAIL }, &RULES, now);
            changes.extend(change);
            state = after;
            let id = model::DomainId::from_parts(1, 1);
            now = crate::watch::next_check(&state, id, start, &RULES, now, 500).at;
            let days = now.duration_since(start).as_hours() / 24;
            prop_assert!(days < 14, "still {state:?} after {days} days");
        }
        prop_assert!(changes.iter().filter(|change| **change == Change::Failed).count() <= 1);
    }
}
