//! Answers that many plans of one run ask for: addresses of name servers, an SPF include of ours, `_dmarc` of a
//! public suffix.
//!
//! Only what lies outside of a plan's own domain is kept, only certain answers, no longer than their TTL and never
//! longer than [`LONGEST`], and a bounded number of them, the oldest leaving first. An exchange made of a kept answer
//! has the time at which that answer came.

use diagnosis::{
    Plan,
    observation::{Ask, Exchange, Outcome, Rcode},
};
use model::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many answers are kept.
const MOST: usize = 4096;

/// How long an answer is kept, whatever its TTL: a run should see its world change.
const LONGEST: Duration = Duration::from_mins(1);

/// The answers kept in one run.
#[derive(Default)]
pub(crate) struct Shared(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<Ask, Answer>,
    order: VecDeque<Ask>,
}

struct Answer {
    until: Instant,
    at: Timestamp,
    outcome: Outcome,
}

impl Shared {
    /// What is known already of a question that other plans ask as well.
    pub(crate) fn get(&self, plan: &Plan, ask: &Ask, now: Instant) -> Option<(Timestamp, Outcome)> {
        if ask.question.name.is_at_or_below(&plan.domain) {
            return None;
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = kept.answers.get(ask).filter(|answer| answer.until > now)?;
        Some((answer.at, answer.outcome.clone()))
    }

    /// Keeps an answer that other plans may ask for.
    pub(crate) fn put(&self, plan: &Plan, exchange: &Exchange, now: Instant) {
        let Outcome::Reply(reply) = &exchange.outcome else { return };
        let ttl = Duration::from_secs(exchange.ttl().into()).min(LONGEST);
        let is_certain = matches!(reply.rcode, Rcode::NoError | Rcode::NxDomain);
        if !is_certain || ttl.is_zero() || exchange.ask.question.name.is_at_or_below(&plan.domain) {
            return;
        }
        let answer = Answer { until: now + ttl, at: exchange.at, outcome: exchange.outcome.clone() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.answers.insert(exchange.ask.clone(), answer).is_none() {
            kept.order.push_back(exchange.ask.clone());
        }
        if kept.order.len() > MOST
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.answers.remove(&oldest);
        }
    }
}
