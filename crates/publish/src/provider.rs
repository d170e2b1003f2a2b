//! A DNS host as the rest of the house sees it.

use crate::{Capabilities, Step, Zone, ZoneHandle, ZoneRecord};
use model::{DomainName, Record, RecordType};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, pin::Pin};

/// An answer that is waited for.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All records of a type at a name, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetChange {
    /// The name.
    pub owner: DomainName,
    /// The type.
    pub record_type: RecordType,
    /// What is there; empty where the set is new.
    pub before: Vec<ZoneRecord>,
    /// What will be there: what others wrote stays as it was. Empty where the set goes.
    pub after: Vec<Record>,
}

/// Steps in the grain of their host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// One by one, in this order.
    Records(Vec<Step>),
    /// By sets, in this order.
    Sets(Vec<SetChange>),
    /// All records that the zone will have.
    Zone(Vec<ZoneRecord>),
}

/// What is written at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The steps that this does, by their numbers.
    pub steps: Vec<u16>,
    /// All records at the touched names as they are listed now: what a host that compares is asked to compare with.
    pub before: Vec<ZoneRecord>,
    /// What is to be done.
    pub work: Work,
}

/// The host's name for a record that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// By which step.
    pub step: u16,
    /// Its name, where records have one.
    pub id: Option<String>,
}

/// What a credential must be allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// See which zones there are.
    ListZones,
    /// Read the records of this zone.
    ReadRecords,
    /// Write records of this zone.
    WriteRecords,
}

/// What a host said no to, or why it did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refusal {
    /// The credential is not one, or is not one any more.
    CredentialInvalid,
    /// The credential was good once.
    CredentialExpired,
    /// The credential is good, but not from our address.
    CredentialNotFromHere,
    /// The credential is good, but not for this.
    AccessMissing {
        /// What it does not allow, where the host tells.
        right: Option<Right>,
    },
    /// The host has no zone for the name, as far as the credential shows.
    ZoneNotFound {
        /// The names that were asked for.
        tried: Vec<DomainName>,
    },
    /// The host has the zone, and does not serve it to the world.
    ZoneInactive,
    /// Another record stands in the way.
    Conflict,
    /// The zone or account is full.
    QuotaExceeded,
    /// The host does not take the record.
    RecordRefused,
    /// Too many requests.
    RateLimited {
        /// After how many seconds it may be asked again, where it tells.
        retry_after: Option<u32>,
    },
    /// Somebody else wrote in between.
    ZoneChanged,
    /// No connection, or no answer in time.
    Unreachable,
    /// An answer that is not understood.
    Unexpected {
        /// Its HTTP status or DNS response code, where it has one.
        status: Option<u16>,
    },
}

/// A refusal with the host's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// What it comes to.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// What the host said, without control characters, secrets and what is too long.
    pub host_message: Option<String>,
}

/// The longest of a host's message that is kept, in characters.
const MESSAGE_MAX: usize = 500;

impl HostError {
    /// A refusal without words.
    pub const fn bare(refusal: Refusal) -> Self {
        Self { refusal, host_message: None }
    }

    /// A refusal with the host's words. `secrets` are blotted out of them: a host may well repeat what it was sent.
    pub fn saying(refusal: Refusal, message: &str, secrets: &[&str]) -> Self {
        let mut message = message.to_owned();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            message = message.replace(secret, "…");
        }
        let clean: String =
            message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_MAX).collect();
        let clean = clean.trim();
        Self { refusal, host_message: (!clean.is_empty()).then(|| clean.to_owned()) }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host_message {
            Some(message) => write!(f, "{:?}: {message}", self.refusal),
            None => write!(f, "{:?}", self.refusal),
        }
    }
}

impl std::error::Error for HostError {}

/// How much of a batch was done when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// These steps.
    Steps(Vec<Written>),
    /// Nobody knows: the zone has to be looked at.
    Unknown,
    /// Nobody knows, and it may still be done at any moment: what is not in the zone now may be there later.
    UnderWay,
}

/// A batch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteError {
    /// Why.
    pub error: HostError,
    /// How far it came.
    pub done: Done,
}

/// One DNS host with one credential. Only one writes to a zone at a time: whoever calls holds the zone's lease.
pub trait ZoneProvider: Send + Sync {
    /// What the host can.
    fn capabilities(&self) -> Capabilities;

    /// The zone that a name belongs to. `told` is its topmost name as DNS tells it: then no other is taken, since records
    /// in one above or below it would be seen by nobody. Without it, the nearest of those that the host has.
    fn find_zone<'a>(
        &'a self,
        name: &'a DomainName,
        told: Option<&'a DomainName>,
    ) -> Later<'a, Result<ZoneHandle, HostError>>;

    /// What is in the zone: at least all records at `names`.
    fn list<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        names: &'a BTreeSet<DomainName>,
    ) -> Later<'a, Result<Zone, HostError>>;

    /// Writes a batch in the grain of [`Capabilities::grain`].
    fn write<'a>(
        &'a self,
        zone: &'a ZoneHandle,
        batch: &'a Batch,
    ) -> Later<'a, Result<Vec<Written>, WriteError>>;
}
