//! What judging an observation costs, in time and allocations: `cargo bench -p diagnosis`.
//!
//! Observations are those of scenarios, once as a bulk check makes them (resolvers first) and once with everything
//! asked. `inquire` is what all rounds of the inquiry cost together, without any waiting.
use diagnosis::{
    Observation, Plan, diagnose,
    inquiry::{self, Look, Policy},
};
use divan::{AllocProfiler, Bencher};
use scenario::{Scenario, now};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const SCENARIOS: [&str; 4] = ["all_good", "five_records_good", "dkim_key_mismatched", "nothing_there"];

fn main() {
    divan::main();
}

fn observed(name: &str, look: Look) -> (Scenario, Plan, Observation, Policy) {
    let scenario = scenario::load(name);
    let policy = Policy { look, ..scenario.policy() };
    let (plan, (observation, _)) = (scenario.plan(), scenario.observe_by(&policy));
    (scenario, plan, observation, policy)
}

#[divan::bench(args = SCENARIOS)]
fn diagnose_resolvers_first(bencher: Bencher<'_, '_>, name: &str) {
    let (_, plan, observation, _) = observed(name, Look::ResolversFirst);
    bencher.bench_local(|| diagnose(&plan, &observation, now()));
}

#[divan::bench(args = SCENARIOS)]
fn diagnose_thorough(bencher: Bencher<'_, '_>, name: &str) {
    let (_, plan, observation, _) = observed(name, Look::Thorough);
    bencher.bench_local(|| diagnose(&plan, &observation, now()));
}

#[divan::bench(args = SCENARIOS)]
fn inquire_resolvers_first(bencher: Bencher<'_, '_>, name: &str) {
    let (_, plan, observation, policy) = observed(name, Look::ResolversFirst);
    bencher.bench_local(|| inquire(&plan, &observation, &policy));
}

#[divan::bench(args = SCENARIOS)]
fn inquire_thorough(bencher: Bencher<'_, '_>, name: &str) {
    let (_, plan, observation, policy) = observed(name, Look::Thorough);
    bencher.bench_local(|| inquire(&plan, &observation, &policy));
}

/// All rounds again, the answers at hand.
fn inquire(plan: &Plan, observation: &Observation, policy: &Policy) -> usize {
    let mut known = Observation::default();
    loop {
        let asks = inquiry::next(plan, &known, policy);
        if asks.is_empty() {
            return known.exchanges.len();
        }
        let from = known.exchanges.len();
        known.exchanges.extend(observation.exchanges[from..].iter().take(asks.len()).cloned());
    }
}
