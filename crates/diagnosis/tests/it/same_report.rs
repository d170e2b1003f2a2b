//! A report is a function of what was seen: not of the order in which answers arrived, nor of how often or from where
//! it was read.

use diagnosis::{Observation, Plan, Report, diagnose};
use scenario::now;
use std::{sync::Arc, time::Duration};

/// The shuffles that each observation is put through.
const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// A shuffle after Fisher and Yates, with numbers of an xorshift generator: the same for the same seed.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for at in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = usize::try_from(state % (at as u64 + 1)).unwrap();
        items.swap(at, other);
    }
}

fn report(plan: &Plan, observation: &Observation) -> String {
    serde_json::to_string_pretty(&diagnose(plan, observation, now())).unwrap()
}

/// The first lines in which two reports differ.
fn difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).filter(|(one, other)| one != other);
    lines.take(4).flat_map(|(one, other)| [one, "\n", other, "\n"]).collect()
}

#[test]
fn the_order_of_answers_changes_nothing_in_a_report() {
    let mut problems = Vec::new();
    for scenario in scenario::all() {
        let (plan, mut observation) = (scenario.plan(), scenario.observe());
        // Each answer at a time of its own, as they come in.
        for (exchange, tenths) in observation.exchanges.iter_mut().rev().zip(0..) {
            Arc::make_mut(exchange).at = now() - Duration::from_millis(100 * tenths);
        }
        let expected = report(&plan, &observation);
        let mut shuffled = observation.clone();
        for seed in SEEDS {
            shuffle(&mut shuffled.exchanges, seed);
            let found = report(&plan, &shuffled);
            if found != expected {
                problems.push(format!("{}:\n{}", scenario.name, difference(&expected, &found)));
                break;
            }
        }
        assert!(observation.exchanges.len() < 2 || shuffled != observation, "{} is shuffled", scenario.name);
    }
    assert!(problems.is_empty(), "{} of the scenarios\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_report_is_the_same_at_each_look_and_after_the_observation_was_stored() {
    for scenario in scenario::all() {
        let (plan, observation) = (scenario.plan(), scenario.observe());
        let expected = report(&plan, &observation);
        assert_eq!(report(&plan, &observation), expected, "{}", scenario.name);
        assert_eq!(report(&scenario.plan(), &scenario.observe()), expected, "{}", scenario.name);
        let stored = serde_json::to_string(&observation).unwrap();
        let again: Observation = serde_json::from_str(&stored).unwrap();
        assert_eq!(again, observation, "{}", scenario.name);
        assert_eq!(report(&plan, &again), expected, "{}", scenario.name);
        let again: Report = serde_json::from_str(&expected).unwrap();
        assert_eq!(again, diagnose(&plan, &observation, now()), "{}", scenario.name);
    }
}
