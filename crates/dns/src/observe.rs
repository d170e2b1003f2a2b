//! Everything that has to be asked for one plan, asked and kept.
//!
//! `diagnosis::inquiry` says what to ask, round by round; a round's questions go out at once, its outcomes are kept
//! in the order of the questions. So the same servers saying the same things make the same observation, whoever
//! was quicker. One exception: where they say more in all than [`Policy::max_octets`], what came first is kept, and
//! what is left out counts as not answered ([`Failure::TooMuch`]), which fails nothing.
//! Bounded in rounds, in open questions, in octets and in time; a server that answers nothing is given up for the
//! rest of the observation, so that one dead server costs its timeout about once.

use crate::{
    Client,
    client::{Clock, Silent, takes_room},
    shared::Shared,
};
use diagnosis::{
    Observation, Plan,
    inquiry::{Inquiry, Known, Policy},
    observation::{Exchange, Failure, Outcome},
};
use model::Timestamp;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How many rounds an inquiry has at most; the longest honest one needs about half of them.
const MAX_ROUNDS: usize = 12;

/// Asks everything that the plan needs to know. Questions still open after `deadline` count as timed out; `clock`
/// stamps each outcome.
///
/// [`Observation::cut_short`] is set when a bound on questions, rounds, octets or time left something unasked.
pub async fn observe(
    client: &Client,
    plan: &Plan,
    policy: &Policy,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    deadline: Duration,
) -> Observation {
    observe_on(client, plan, policy, clock, deadline, Observation::default()).await
}

/// The same where some answers are known already: they are kept as they are, and only what is not among them is asked.
/// For looking again, and for what was asked in advance.
pub async fn observe_on(
    client: &Client,
    plan: &Plan,
    policy: &Policy,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    deadline: Duration,
    known: Observation,
) -> Observation {
    observe_by(client, plan, policy, Arc::new(clock), deadline, known, None).await.0
}

/// The observation, and what was found out on the way where it came to its end.
pub(crate) async fn observe_by(
    client: &Client,
    plan: &Plan,
    policy: &Policy,
    clock: Clock,
    deadline: Duration,
    known: Observation,
    shared: Option<&Shared>,
) -> (Observation, Option<Known>) {
    let ends = Instant::now() + deadline;
    let mut silent = Silent::new();
    let mut room = policy.max_octets.saturating_sub(known.octets());
    let mut observation = known;
    let mut rounds = 0;
    let mut inquiry = match shared {
        Some(shared) => Inquiry::reading(plan, policy, &shared.readings),
        None => Inquiry::new(plan, policy),
    };
    loop {
        let asks = inquiry.next(&observation);
        if asks.is_empty() {
            observation.cut_short = inquiry.is_cut_short(&observation);
            let known = inquiry.into_known(&observation);
            return (observation, Some(known));
        }
        let out_of_time = Instant::now() >= ends;
        if rounds == MAX_ROUNDS || out_of_time {
            observation.cut_short = true;
            observation.out_of_time = out_of_time;
            return (observation, None);
        }
        rounds += 1;
        let started = Instant::now();
        let mut asks = asks;
        // An exchange where it is known already, nothing where it is to be made, in the order of the asks.
        let mut round: Vec<Option<Arc<Exchange>>> = Vec::with_capacity(asks.len());
        asks.retain(|ask| {
            round.push(shared.and_then(|shared| shared.get(plan, ask, started)));
            round.last().is_none_or(Option::is_none)
        });
        let sent = asks.len();
        let finished = client
            .ask_all(Arc::new(asks), policy.private_addresses, Arc::clone(&clock), silent, Some(ends), room)
            .await;
        (silent, room) = (finished.silent, finished.room);
        tracing::debug!(
            domain = %plan.domain, round = rounds, asks = round.len(), sent, took = ?started.elapsed(), "asked"
        );
        let mut exchanges = finished.exchanges.into_iter();
        let mut is_full = false;
        observation.exchanges.reserve(round.len());
        for known in round {
            let exchange = match known {
                Some(known) if takes_room(&mut room, &known.outcome) => known,
                Some(known) => {
                    let outcome = Outcome::Failure(Failure::TooMuch);
                    Arc::new(Exchange { ask: known.ask.clone(), at: known.at, outcome })
                }
                None => {
                    let Some(exchange) = exchanges.next() else { break };
                    if let Some(shared) = shared {
                        shared.put(plan, &exchange, started);
                    }
                    exchange
                }
            };
            is_full |= exchange.outcome == Outcome::Failure(Failure::TooMuch);
            observation.exchanges.push(exchange);
        }
        if is_full {
            observation.cut_short = true;
            return (observation, None);
        }
        // A resolver that looks in vain for somebody's dead servers is not silent itself.
        silent.retain(|(address, _)| !has_answered(&observation, *address));
    }
}

fn has_answered(observation: &Observation, address: SocketAddr) -> bool {
    let is_reply = |exchange: &&Arc<Exchange>| matches!(exchange.outcome, Outcome::Reply(_));
    observation.exchanges.iter().filter(is_reply).any(|exchange| exchange.ask.server.address() == address)
}
