//! Many plans, observed one beside the other: plans in, observations out, as they come.
//!
//! Each plan is observed by [`observe()`](crate::observe()), the same way as a single one. A bounded number of them
//! is open at a time, fewer where more would only wait for the same server; plans are taken from the input only as
//! observations leave, so memory does not grow with their number. What lies outside of a plan's own domain and is asked for by many is asked once in a while.
//! Observations come out in the order in which they are finished, not in that of the input.

use crate::{Client, client::Clock, observe::observe_by, shared::Shared};
use diagnosis::{
    Observation, Plan, Report,
    inquiry::{Known, Policy},
};
use futures_util::{Stream, StreamExt, stream};
use model::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

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

/// So many plans are open whatever waits: one server that answers nobody is not to hold up the others.
const ALWAYS_OPEN: usize = 20;

/// How many plans are open.
#[derive(Clone, Default)]
struct Open(Arc<AtomicUsize>);

/// A place among the open ones, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Open {
    fn take(&self) -> Place {
        self.0.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&self.0))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands out the plans one at a time, and past [`ALWAYS_OPEN`] only as long as no questions wait for a server to answer
/// others: a plan begun then would only wait, and keep what is worked on out of the processor's cache.
///
/// Nobody is told when it may go on: those who are open are, and whoever polls them polls this first.
fn begun_in_turn(client: &Client, plans: impl Stream<Item = Plan>, open: Open) -> impl Stream<Item = Plan> {
    let mut plans = Box::pin(plans);
    let mut is_begun = false;
    stream::poll_fn(move |context| {
        if std::mem::take(&mut is_begun) {
            // What the last one asks is to be counted before another one is begun.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if open.0.load(Ordering::Relaxed) >= ALWAYS_OPEN && client.is_crowded() {
            return Poll::Pending;
        }
        let next = plans.as_mut().poll_next(context);
        is_begun = matches!(next, Poll::Ready(Some(_)));
        next
    })
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
    let open = Open::default();
    begun_in_turn(client, plans, open.clone())
        .map(move |plan| {
            let (clock, shared, place) = (Arc::clone(&clock), Arc::clone(&shared), open.take());
            async move {
                let _place = place;
                let known = Observation::default();
                let (observation, known) =
                    observe_by(client, &plan, policy, clock, deadline, known, Some(&shared)).await;
                Observed { plan, observation, known }
            }
        })
        .buffer_unordered(options.concurrent.max(1))
}
