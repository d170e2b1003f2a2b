//! This node among others: whether it may take work, and how it stops.
//!
//! A node that does not reach the database, or whose clock is not that of the database, takes no work: the leases that it
//! would take are told in times. It goes on answering what it can.

use crate::{App, error::Result};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use store::{Node, StoreError};
use tokio_util::sync::CancellationToken;

/// How often a node says that it is there.
pub(crate) const BEAT: Duration = Duration::from_secs(1);
/// After so long without a beat that went through, no work is taken.
const LOST_AFTER: Duration = Duration::from_secs(5);
/// How far the clock may be from that of the database.
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(3);

/// What is known of this node.
pub(crate) struct Standing {
    started_at: Timestamp,
    draining: AtomicBool,
    /// The last beat that went through, and whether the clock was right.
    beat: Mutex<Option<(Instant, bool)>>,
    /// What is under way is to be given up.
    pub(crate) cut_off: CancellationToken,
    /// Why this program cannot go on with the database.
    outgrown: OnceLock<String>,
    /// That it is so.
    has_ended: CancellationToken,
}

impl Standing {
    pub(crate) fn new(started_at: Timestamp) -> Self {
        Self {
            started_at,
            draining: AtomicBool::new(false),
            beat: Mutex::new(None),
            cut_off: CancellationToken::new(),
            outgrown: OnceLock::new(),
            has_ended: CancellationToken::new(),
        }
    }

    fn last_beat(&self) -> Option<(Instant, bool)> {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the clock is ahead of the database's, given what it said before and after the database was asked. What the
/// question took is nobody's fault.
fn skew(before: Timestamp, after: Timestamp, database: Timestamp) -> SignedDuration {
    if database < before {
        before.duration_since(database)
    } else if database > after {
        after.duration_since(database)
    } else {
        SignedDuration::ZERO
    }
}

impl App {
    /// Says that this node is there, and compares its clock.
    pub(crate) async fn beat(&self) -> Result<()> {
        let asked = Instant::now();
        let before = self.clock.now();
        let node = Node {
            id: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.standing.started_at,
            seen_at: before,
            draining: self.is_draining(),
        };
        let database = match self.store.beat(&node).await {
            Err(error @ StoreError::SchemaTooNew { .. }) => {
                self.end(&error.to_string());
                return Ok(());
            }
            other => other?,
        };
        let skew = skew(before, self.clock.now(), database);
        let is_right = skew.abs() <= MOST_SKEW;
        let mut beat = self.standing.beat.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_right && beat.is_none_or(|(_, was_right)| was_right) {
            let seconds = skew.as_secs();
            tracing::error!(
                seconds,
                "this node's clock is not that of the database: it takes no work until it is set right"
            );
        }
        *beat = Some((asked, is_right));
        drop(beat);
        metrics::gauge!("countersign_clock_skew_seconds").set(skew.as_secs_f64());
        Ok(())
    }

    /// Whether this node may claim work now.
    pub(crate) fn may_claim(&self) -> bool {
        let is_there =
            || self.standing.last_beat().is_some_and(|(at, is_right)| is_right && at.elapsed() < LOST_AFTER);
        !self.is_draining() && (!self.store.is_shared() || is_there())
    }

    /// A later program has changed the database so that this one would do harm: nothing more is begun, what is not
    /// sent yet goes back, and the process ends.
    fn end(&self, why: &str) {
        if self.standing.outgrown.set(why.to_owned()).is_ok() {
            tracing::error!(%why, "this node ends: start it with the program of the others");
        }
        self.begin_drain();
        self.cut_off();
        self.standing.has_ended.cancel();
    }

    /// Waits until this program cannot go on with the database; says why.
    pub async fn outgrown(&self) -> String {
        self.standing.has_ended.cancelled().await;
        self.standing.outgrown.get().cloned().unwrap_or_default()
    }

    /// Why this node is not ready, if it has no need to ask the database for that.
    pub(crate) fn known_problem(&self) -> Option<String> {
        if let Some(why) = self.standing.outgrown.get() {
            return Some(why.clone());
        }
        if self.is_draining() {
            return Some("it is about to stop".to_owned());
        }
        if !self.store.is_shared() {
            return None;
        }
        match self.standing.last_beat() {
            Some((at, true)) if at.elapsed() < LOST_AFTER => None,
            Some((_, false)) => Some("its clock is not that of the database".to_owned()),
            _ => Some("the database is not reached".to_owned()),
        }
    }

    /// Whether this node is about to stop.
    pub fn is_draining(&self) -> bool {
        self.standing.draining.load(Ordering::Acquire)
    }

    /// Takes no work any more and says so; what is under way goes on.
    pub fn begin_drain(&self) {
        self.standing.draining.store(true, Ordering::Release);
    }

    /// Gives up what is under way and can be: what was not sent yet goes back to the other nodes.
    pub fn cut_off(&self) {
        self.standing.cut_off.cancel();
    }

    /// The nodes that work on this database.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        Ok(self.store.nodes(self.clock.now()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_question_took_is_no_skew() {
        let at = |second: i64| Timestamp::from_second(1_750_000_000 + second).unwrap();
        assert_eq!(skew(at(0), at(8), at(4)), SignedDuration::ZERO);
        assert_eq!(skew(at(10), at(11), at(4)), SignedDuration::from_secs(6));
        assert_eq!(skew(at(0), at(1), at(9)), SignedDuration::from_secs(-8));
    }
}
