//! The asks of an inquiry, none of them twice.

use crate::{observation::Ask, view};
use rustc_hash::FxHashSet;

/// Asks in their order, none twice.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) asks: Vec<Ask>,
    /// Of the question of each, as long as they are few.
    digests: Vec<u64>,
    /// The same, once they are many: few are compared sooner than hashed.
    known: FxHashSet<Ask>,
}

impl Asked {
    const FEW: usize = 24;

    pub(super) fn len(&self) -> usize {
        self.asks.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.asks.reserve(more);
        self.digests.reserve(more);
    }

    pub(super) fn contains(&self, ask: &Ask, digest: u64) -> bool {
        if !self.known.is_empty() {
            return self.known.contains(ask);
        }
        self.digests.iter().zip(&self.asks).any(|(known, other)| *known == digest && other == ask)
    }

    pub(super) fn insert(&mut self, ask: &Ask) {
        self.insert_new(ask, digest_of(ask));
    }

    pub(super) fn insert_new(&mut self, ask: &Ask, digest: u64) {
        if self.contains(ask, digest) {
            return;
        }
        if self.asks.is_empty() {
            self.reserve(8);
        }
        if self.known.is_empty() {
            self.digests.push(digest);
        } else {
            self.known.insert(ask.clone());
        }
        self.asks.push(ask.clone());
        if self.known.is_empty() && self.asks.len() > Self::FEW {
            self.known.extend(self.asks.iter().cloned());
        }
    }
}

pub(super) fn digest_of(ask: &Ask) -> u64 {
    view::digest(&ask.question.name, ask.question.record_type)
}
