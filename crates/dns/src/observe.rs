//! Everything that has to be asked for one plan, asked and kept.
//!
//! `diagnosis::inquiry` says what to ask, round by round; a round's questions go out at once, its outcomes are kept
//! in the order of the questions. So the same servers saying the same things make the same observation, whoever
//! was quicker. Bounded in rounds, in open questions and in time; a name server that stays silent is given up for
//! the rest of the observation, so that one dead server costs its timeout about once.

use crate::Client;
use diagnosis::{
    Observation, Plan,
    inquiry::{self, Policy},
    observation::{Ask, Exchange, Failure, Outcome},
};
use futures_util::{StreamExt, stream};
use model::Timestamp;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// How many rounds an inquiry has at most; the longest honest one needs about half of them.
const MAX_ROUNDS: usize = 12;

/// How many questions of one observation are open at once: few enough not to look like an attack to one server.
const CONCURRENT: usize = 48;

/// After so many timeouts an address is not asked again in the same observation.
const TIMEOUTS_ALLOWED: u32 = 2;

/// Asks everything that the plan needs to know. Questions still open after `deadline` count as timed out; `clock`
/// stamps each outcome.
///
/// [`Observation::cut_short`] is set when a bound on questions, rounds or time left something unasked.
pub async fn observe(
    client: &Client,
    plan: &Plan,
    policy: &Policy,
    clock: impl Fn() -> Timestamp,
    deadline: Duration,
) -> Observation {
    let ends = Instant::now() + deadline;
    let silent = Silent::default();
    let mut observation = Observation::default();
    let mut rounds = 0;
    loop {
        let asks = inquiry::next(plan, &observation, policy);
        if asks.is_empty() {
            observation.cut_short = inquiry::is_cut_short(plan, &observation, policy);
            return observation;
        }
        if rounds == MAX_ROUNDS || Instant::now() >= ends {
            observation.cut_short = true;
            return observation;
        }
        rounds += 1;
        let started = Instant::now();
        let mut outcomes: Vec<Option<(Timestamp, Outcome)>> = vec![None; asks.len()];
        // By index: a closure over borrowed asks would keep this future from being sent to another thread.
        let mut open = stream::iter(0..asks.len())
            .map(|index| {
                let (ask, silent) = (&asks[index], &silent);
                async move { (index, put(client, ask, policy, silent, ends).await) }
            })
            .buffer_unordered(CONCURRENT);
        while let Some((index, outcome)) = open.next().await {
            outcomes[index] = Some((clock(), outcome));
        }
        drop(open);
        tracing::debug!(domain = %plan.domain, round = rounds, asks = asks.len(), took = ?started.elapsed(), "asked");
        for (ask, outcome) in asks.into_iter().zip(outcomes) {
            let (at, outcome) = outcome.unwrap_or_else(|| (clock(), Outcome::Failure(Failure::Timeout)));
            observation.exchanges.push(Exchange { ask, at, outcome });
        }
    }
}

async fn put(client: &Client, ask: &Ask, policy: &Policy, silent: &Silent, ends: Instant) -> Outcome {
    let address = ask.server.address();
    if Instant::now() >= ends || silent.is_given_up(address) {
        return Outcome::Failure(Failure::Timeout);
    }
    match timeout_at(ends, client.ask(ask, policy)).await {
        Ok(outcome) => {
            if outcome == Outcome::Failure(Failure::Timeout) {
                silent.timed_out(address);
            }
            outcome
        }
        // Our own deadline says nothing of the server.
        Err(_) => Outcome::Failure(Failure::Timeout),
    }
}

/// How often each address has timed out.
#[derive(Default)]
struct Silent(Mutex<HashMap<SocketAddr, u32>>);

impl Silent {
    fn is_given_up(&self, address: SocketAddr) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&address).is_some_and(|&count| count >= TIMEOUTS_ALLOWED)
    }

    fn timed_out(&self, address: SocketAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(address).or_default() += 1;
    }
}
