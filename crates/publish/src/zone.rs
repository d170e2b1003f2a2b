//! A zone as its DNS host tells it.

use model::{DomainName, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A zone at a host, named by the host's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneHandle {
    /// Its topmost name.
    pub apex: DomainName,
    /// What the host calls it: an id, a path, or the name again.
    pub id: String,
}

/// What the host does with a record beside answering with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// It answers with it as it is.
    Plain,
    /// It answers with something else or only to some (an alias of the host's own, weighted, by place), or lets nobody
    /// change it. It is never touched.
    Opaque,
}

/// A record as its host keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneRecord {
    /// The host's name for it, where records have one.
    pub id: Option<String>,
    /// The record.
    pub record: Record,
    /// Answered with addresses of the host's own (a "proxied" record): nobody sees what it holds.
    pub proxied: bool,
    /// What the host does with it.
    pub kept: Kept,
    /// The customer's note beside it, where the host keeps notes.
    pub note: Option<String>,
}

impl ZoneRecord {
    /// A record that is kept as it is, without an id.
    pub const fn plain(record: Record) -> Self {
        Self { id: None, record, proxied: false, kept: Kept::Plain, note: None }
    }
}

/// How much of a zone a listing has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// All of it.
    Whole,
    /// All records at these names.
    Names(BTreeSet<DomainName>),
}

/// What was in a zone when it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Which one.
    pub handle: ZoneHandle,
    /// Its records.
    pub records: Vec<ZoneRecord>,
    /// How much of it was listed.
    pub listed: Listed,
    /// What the host counts changes with, where it does: a serial.
    pub version: Option<String>,
}

impl Zone {
    /// The records at a name.
    pub fn at<'a>(&'a self, owner: &'a DomainName) -> impl Iterator<Item = &'a ZoneRecord> {
        self.records.iter().filter(move |record| record.record.owner == *owner)
    }

    /// Whether the listing tells what is at a name.
    pub fn knows(&self, owner: &DomainName) -> bool {
        match &self.listed {
            Listed::Whole => true,
            Listed::Names(names) => names.contains(owner),
        }
    }
}
