//! Many plans, observed one beside the other: plans in, observations out, as they come.
//!
//! Each plan is observed by [`observe()`](crate::observe()), the same way as a single one. A bounded number of them
//! is open at a time; plans are taken from the input only as observations leave, so memory does not grow with their
//! number. What lies outside of a plan's own domain and is asked for by many is asked once in a while.
//! Observations come out in the order in which they are finished, not in that of the input.

use crate::{Client, client::Clock, observe::observe_by, shared::Shared};
use diagnosis::{
    Observation, Plan, Report,
    inquiry::{Known, Policy},
};
use futures_util::{Stream, StreamExt};
use model::Timestamp;
use std::{sync::Arc, time::Duration};

/// How many plans are observed at once, and for how long each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkOptions {
    /// How many plans are open at once.
    pub concurrent: usize,
    /// How long one plan may take; what it has not asked by then is told as cut short.
    pub deadline: Duration,
}

impl Default for BulkOptions {
    fn default() -> Self {
        Self { concurrent: 64, deadline: Duration::from_secs(30) }
    }
}

/// A plan and what was observed for it.
pub struct Observed {
    /// The plan.
    pub plan: Plan,
    /// What was asked and answered.
    pub observation: Observation,
    /// What was found out on the way.
    known: Option<Known>,
}

impl Observed {
    /// The report of it: the same as [`diagnosis::diagnose`] makes, without judging twice.
    pub fn diagnose(&mut self, now: Timestamp) -> Report {
        let known = self.known.take().unwrap_or_else(|| Known::of(&self.observation));
        diagnosis::diagnose_known(&self.plan, &self.observation, known, now)
    }
}

/// Observes every plan of the input. `clock` stamps the outcomes.
///
/// Dropping the stream stops the observations that are open; nothing of them is told.
pub fn bulk<'a>(
    client: &'a Client,
    plans: impl Stream<Item = Plan> + 'a,
    policy: &'a Policy,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    options: &BulkOptions,
) -> impl Stream<Item = Observed> + 'a {
    let deadline = options.deadline;
    let clock: Clock = Arc::new(clock);
    let shared = Arc::new(Shared::default());
    plans
        .map(move |plan| {
            let (clock, shared) = (Arc::clone(&clock), Arc::clone(&shared));
            async move {
                let known = Observation::default();
                let (observation, known) =
                    observe_by(client, &plan, policy, clock, deadline, known, Some(&shared)).await;
                Observed { plan, observation, known }
            }
        })
        .buffer_unordered(options.concurrent.max(1))
}
