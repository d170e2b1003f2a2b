//! Who is woken when a transaction was committed: background tasks wait for a topic instead of looking again and again.
//!
//! A transaction notes what it changed, and only its commit raises it. What is raised is a hint: whoever waits looks
//! for work on a period too.

use tokio::sync::Notify;

/// What a transaction may change that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// There are events without a number.
    Events,
    /// Something is to be delivered to webhooks.
    Webhooks,
}

const TOPICS: usize = 2;

/// A set of topics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Topics(u32);

impl Topics {
    pub(crate) fn add(&mut self, topic: Topic) {
        self.0 |= 1 << topic as u32;
    }
}

/// Those who wait.
#[derive(Debug, Default)]
pub(crate) struct Signals([Notify; TOPICS]);

impl Signals {
    pub(crate) fn of(&self, topic: Topic) -> &Notify {
        &self.0[topic as usize]
    }

    pub(crate) fn raise(&self, topics: Topics) {
        for (place, notify) in self.0.iter().enumerate() {
            if topics.0 & (1 << place) != 0 {
                notify.notify_one();
            }
        }
    }
}
