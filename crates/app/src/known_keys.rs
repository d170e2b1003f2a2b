//! What is known of API keys between requests: whose they are, as long as nothing in the database changed since they were
//! read, and when they were last used.
//!
//! A key is looked up once for each state of a SQLite database ([`store::Mark`]), so that a revoked one is refused by the very
//! next request. On PostgreSQL nothing is known between requests. Uses are only a note for people: they are written down
//! together, once a minute.

use crate::{App, access::Caller, error::Result};
use jiff::{SignedDuration, Timestamp};
use model::ApiKeyId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use store::Mark;

/// How many keys are remembered; then all are forgotten.
const MOST: usize = 10_000;

/// How many uses are written down in one statement.
const NOTED_AT_ONCE: usize = 1_000;

/// How long uses are gathered.
const GATHERED: SignedDuration = SignedDuration::from_secs(60);

/// The SHA-256 of a secret.
type Hash = [u8; 32];

/// What is known.
#[derive(Default)]
pub(crate) struct KnownKeys {
    callers: Mutex<HashMap<Hash, (Mark, Caller)>>,
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    last: HashMap<ApiKeyId, Timestamp>,
    noted_at: Option<Timestamp>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KnownKeys {
    /// The caller with the key of this hash, where it was read from the database as it is now.
    pub(crate) fn caller(&self, hash: &Hash, mark: Option<Mark>) -> Option<Caller> {
        let callers = lock(&self.callers);
        let (read_at, caller) = callers.get(hash)?;
        (Some(*read_at) == mark).then(|| caller.clone())
    }

    /// Remembers a caller who was read behind `mark`.
    pub(crate) fn keep(&self, hash: Hash, mark: Option<Mark>, caller: &Caller) {
        let Some(mark) = mark else { return };
        let mut callers = lock(&self.callers);
        if callers.len() >= MOST && !callers.contains_key(&hash) {
            callers.clear();
        }
        callers.insert(hash, (mark, caller.clone()));
    }

    /// The key was used.
    pub(crate) fn used(&self, id: ApiKeyId, now: Timestamp) {
        lock(&self.uses).last.insert(id, now);
    }

    /// When the key was last used, where that is not written down yet.
    pub(crate) fn last_use(&self, id: ApiKeyId) -> Option<Timestamp> {
        lock(&self.uses).last.get(&id).copied()
    }

    /// The uses to write down: those of a minute, or all of them.
    fn take(&self, now: Timestamp, all: bool) -> Vec<(ApiKeyId, Timestamp)> {
        let mut uses = lock(&self.uses);
        let begun = *uses.noted_at.get_or_insert(now);
        // A clock that was set back begins a minute too.
        if !all && begun <= now && now.duration_since(begun) < GATHERED {
            return Vec::new();
        }
        uses.noted_at = Some(now);
        std::mem::take(&mut uses.last).into_iter().collect()
    }
}

impl App {
    /// Writes down when keys were last used, at most once a minute, or `all` of it now.
    pub(crate) async fn note_key_uses(&self, all: bool) -> Result<()> {
        let uses = self.known_keys.take(self.clock.now(), all);
        for some in uses.chunks(NOTED_AT_ONCE) {
            self.store.note_key_uses(some).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_gathered_for_a_minute() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let (keys, id) = (KnownKeys::default(), ApiKeyId::from_parts(1, 2));
        for second in 0..60 {
            keys.used(id, at(second));
            assert!(keys.take(at(second), false).is_empty());
        }
        assert_eq!(keys.last_use(id), Some(at(59)));
        assert_eq!(keys.take(at(60), false), [(id, at(59))]);
        keys.used(id, at(61));
        assert!(keys.take(at(61), false).is_empty());
        assert_eq!(keys.take(at(61), true), [(id, at(61))]);
        assert_eq!(keys.last_use(id), None);
    }
}
