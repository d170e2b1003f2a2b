//! Whether this node can do its work.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, Result},
};
use jiff::Timestamp;
use model::DomainStatus;
use std::time::{Duration, Instant};

/// How long an answer about readiness holds. Whoever asks, and however often, causes one write in that time.
const HOLDS: Duration = Duration::from_secs(1);

/// The last answer about readiness, and when it was found. Who asks while it is being found waits for it.
#[derive(Debug, Default)]
pub(crate) struct Readiness(tokio::sync::Mutex<Option<(Instant, Option<String>)>>);

/// How many domains stand where, when that was counted, and how long it took: it goes through an index of all of them.
#[derive(Debug, Default)]
pub(crate) struct Counted(tokio::sync::Mutex<Option<Count>>);

#[derive(Debug)]
struct Count {
    at: Instant,
    took: Duration,
    domains: Vec<(DomainStatus, u64)>,
}

/// A count holds for so many times as long as it took, and a minute at the most: so counting takes a hundredth of the time,
/// whoever asks and however many domains there are.
const HOLDS_TIMES: u32 = 100;

/// Numbers about the work in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Domains of all organisations, by status.
    pub domains: Vec<(DomainStatus, u64)>,
    /// Deliveries that are not done.
    pub queued: u64,
    /// When the oldest of them was accepted.
    pub oldest_queued: Option<Timestamp>,
    /// Keys in the pool.
    pub key_pool: u64,
}

impl App {
    /// Whether something can be stored durably now, as it was found in the last second; the error says why not.
    pub async fn ready(&self) -> std::result::Result<(), String> {
        if let Some(problem) = self.known_problem() {
            return Err(problem);
        }
        // Where others share the database, this node's beat has just written to it.
        if self.store.is_shared() {
            return Ok(());
        }
        let mut last = self.readiness.0.lock().await;
        let known = last.as_ref().filter(|(at, _)| at.elapsed() < HOLDS).map(|(_, problem)| problem.clone());
        let problem = if let Some(problem) = known {
            problem
        } else {
            let found = self.store.ping_write(self.clock.now()).await;
            let problem = found.err().map(|error| Error::from(error).to_string());
            *last = Some((Instant::now(), problem.clone()));
            problem
        };
        problem.map_or(Ok(()), Err)
    }

    /// Refuses whoever does not run the platform: they hold a key with `admin` for all of the organisation that the
    /// instance began with.
    pub async fn require_operator(&self, caller: &Caller) -> Result<()> {
        caller.require(Scope::Admin)?;
        caller.require_whole_organisation()?;
        if caller.is_root {
            return Ok(());
        }
        match self.store.first_organisation().await? {
            Some(first) if first.id == caller.org_id => Ok(()),
            _ => Err(Error::OperatorOnly),
        }
    }

    async fn counted_domains(&self) -> Result<Vec<(DomainStatus, u64)>> {
        let mut last = self.counted.0.lock().await;
        let holds = |took: Duration| (took * HOLDS_TIMES).min(Duration::from_mins(1));
        if let Some(count) = last.as_ref().filter(|count| count.at.elapsed() < holds(count.took)) {
            return Ok(count.domains.clone());
        }
        let began = Instant::now();
        let domains = self.store.count_domains_by_status().await?;
        *last = Some(Count { at: Instant::now(), took: began.elapsed(), domains: domains.clone() });
        Ok(domains)
    }

    /// Numbers about the work in hand. How many domains stand where may be as old as [`HOLDS_TIMES`] says.
    pub async fn gauges(&self) -> Result<Gauges> {
        let (queued, oldest_queued) = self.store.queue_depth().await?;
        Ok(Gauges {
            domains: self.counted_domains().await?,
            queued,
            oldest_queued,
            key_pool: self.store.count_pool_keys().await?,
        })
    }
}
