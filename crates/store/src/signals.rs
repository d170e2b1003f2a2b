//! Who is woken when a transaction was committed: background tasks wait for a topic instead of looking again and again.
//!
//! A transaction notes what it changed, and only its commit raises it: here at once, on other nodes by NOTIFY. That goes
//! over a connection of its own, for all commits of some milliseconds together: NOTIFY inside a transaction takes a lock
//! of the whole server at its commit, so that all who do it wait for each other's disk writes. What is raised is a hint:
//! whoever waits looks for work on a period too.

use crate::{
    Store, StoreError,
    database::{Kind, sql},
};
use sqlx::{PgPool, postgres::PgListener};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// What a transaction may change that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// There are events without a number.
    Events,
    /// Something is to be delivered to webhooks.
    Webhooks,
    /// Domains are due.
    Verify,
    /// Messages are to be delivered.
    Deliver,
    /// What DNS serves has changed.
    Dns,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 5] = [Self::Events, Self::Webhooks, Self::Verify, Self::Deliver, Self::Dns];
}

/// The channel of PostgreSQL.
const CHANNEL: &str = "countersign";
/// For how long commits are gathered.
const GATHERED: Duration = Duration::from_millis(20);
/// How long nothing may be heard before the link is tried.
const SILENCE: Duration = Duration::from_secs(20);
/// How long a try may take.
const TRY_LIMIT: Duration = Duration::from_secs(5);

/// A set of topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Topics(u32);

impl Topics {
    pub(crate) fn add(&mut self, topic: Topic) {
        self.0 |= 1 << topic as u32;
    }

    const fn has(self, topic: Topic) -> bool {
        self.0 & (1 << topic as u32) != 0
    }
}

/// Those who wait.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    here: [Notify; Topic::ALL.len()],
    /// For other nodes, not sent yet.
    pending: AtomicU32,
    has_pending: Notify,
}

impl Signals {
    pub(crate) fn of(&self, topic: Topic) -> &Notify {
        &self.here[topic as usize]
    }

    pub(crate) fn raise(&self, topics: Topics) {
        if topics == Topics::default() {
            return;
        }
        for topic in Topic::ALL {
            if topics.has(topic) {
                self.of(topic).notify_one();
            }
        }
        self.pending.fetch_or(topics.0, Ordering::AcqRel);
        self.has_pending.notify_one();
    }
}

impl Store {
    /// Tells other nodes what is committed here, for as long as it is polled; ends at once where there are none.
    /// `node` names this one.
    pub async fn tell_other_nodes(&self, node: &str) {
        let Kind::Postgres(_) = &self.pools.kind else { return };
        let signals = &self.pools.signals;
        loop {
            signals.has_pending.notified().await;
            sleep(GATHERED).await;
            let topics = signals.pending.swap(0, Ordering::AcqRel);
            let told = async {
                let query = sql("SELECT pg_notify($1, $2)").text(CHANNEL).text(&format!("{node} {topics}"));
                query.first(&mut self.pools.read().await?).await.map(drop)
            };
            if told.await.is_err() {
                // They look by themselves, and are told again in a moment.
                signals.pending.fetch_or(topics, Ordering::AcqRel);
                sleep(Duration::from_secs(1)).await;
                signals.has_pending.notify_one();
            }
        }
    }

    /// Hears what other nodes commit, for as long as it is polled; ends at once where there are none. `on` is called with
    /// each topic; with each one too where something may have been missed.
    pub async fn hear_other_nodes(&self, node: &str, on: impl Fn(Topic)) {
        let Kind::Postgres(pool) = &self.pools.kind else { return };
        loop {
            // A link that broke is made anew; until then nodes look by themselves.
            drop(hear(pool, node, &on).await);
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn hear(pool: &PgPool, node: &str, on: &impl Fn(Topic)) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(pool).await?;
    // A link that broke is made anew here, where it is known that something may have been missed.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Topic::ALL.into_iter().for_each(on);
    loop {
        let Ok(heard) = timeout(SILENCE, listener.try_recv()).await else {
            let alive = sqlx::query("SELECT 1").execute(&mut listener);
            timeout(TRY_LIMIT, alive).await.map_err(|_| StoreError::Busy)??;
            continue;
        };
        let Some(heard) = heard? else { return Ok(()) };
        let Some((sender, topics)) = heard.payload().rsplit_once(' ') else { continue };
        let topics = Topics(topics.parse().unwrap_or(u32::MAX));
        if sender != node {
            Topic::ALL.into_iter().filter(|topic| topics.has(*topic)).for_each(on);
        }
    }
}
