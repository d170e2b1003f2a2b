//! What a DNS host can.

use model::RecordType;
use serde::{Deserialize, Serialize};

/// What a host changes at once, at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// One record.
    Record,
    /// All records of a type at a name.
    Set,
    /// The whole zone.
    Zone,
}

/// What a host does as a whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Atomic {
    /// Each change by itself.
    Each,
    /// Up to so many changes together.
    Batch(usize),
}

/// What a host can, and how it wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// What it changes at once.
    pub grain: Grain,
    /// What it does as a whole.
    pub atomic: Atomic,
    /// The least and the greatest TTL, in seconds.
    pub ttl: (u32, u32),
    /// All records of a set have the same TTL (RFC 2181 §5.2).
    pub set_ttl: bool,
    /// Its records may be answered with its own addresses instead.
    pub proxies: bool,
    /// The types it takes.
    pub types: &'static [RecordType],
    /// How many octets a text may have.
    pub text_max: usize,
    /// How many octets all texts at one name may have together.
    pub set_text_max: usize,
}
