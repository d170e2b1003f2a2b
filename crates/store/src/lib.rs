//! All SQL of the project: schema, migrations, queries, claims.
//!
//! One file per noun, one method per use. Every method that changes something is one transaction, takes the time
//! and new ids as arguments, and takes the events that tell about the change, so that state and event are stored
//! together or not at all. When such a method returns `Ok`, its work is on disk (`synchronous=FULL` on SQLite,
//! `synchronous_commit=on` on PostgreSQL): a process that dies or loses power afterwards has it, so a 202 or a 250 may
//! be sent.
//!
//! There are two databases behind the same methods: a SQLite file, which has one writer, and PostgreSQL, which many
//! nodes write to. One conformance suite runs on both.
//!
//! Work is claimed by lease: a claim is one statement, so two claimers never get the same row (on PostgreSQL they go
//! around each other's), and a claim whose
//! owner died comes free when its lease ends. Reads go to connections of their own and never wait for a write.
//!
//! What it does not do: decide anything (statuses come in as arguments), encrypt (private keys come in encrypted),
//! read a clock, or know what is inside reports, observations and events: these are JSON text here.

mod api_keys;
mod audit;
mod backup;
mod brake;
mod change_sets;
mod checks;
mod claims;
#[cfg(test)]
mod connection_tests;
mod contacts;
mod copy;
mod database;
mod deliveries;
mod dkim_keys;
mod dns_connections;
mod dns_drifts;
mod dns_ledger;
mod domain_connect;
mod domains;
mod error;
mod events;
mod health;
mod idempotency;
mod identities;
mod invitations;
mod key_feed;
mod key_rotation;
mod mark;
mod messages;
mod migrate;
mod nodes;
mod organisations;
mod packed;
#[cfg(test)]
mod plans;
mod playground;
mod postgres;
mod reputation;
mod retired_keys;
mod sandbox;
pub mod sealed;
mod sessions;
mod settings;
mod setup_links;
mod signals;
mod suppressions;
mod sweeps;
mod tenants;
mod users;
mod value;
mod visible;
mod warmup;
mod webhook_deliveries;
mod webhooks;

pub use api_keys::{ApiKey, NewApiKey, Successor};
pub use audit::{AuditEntry, AuditFilter, Told};
pub use backup::{back_up, check_backup, restore};
pub use brake::{Held, Outcomes};
pub use change_sets::{ChangePurpose, ChangeSetMove, ChangeState, StoredChangeSet, ZoneLease};
pub use checks::{CheckRecord, StoredCheck};
pub use claims::{ClaimEnd, ClaimLook, ClaimMove, ClaimStart, DomainClaim};
pub use contacts::{Alert, Contact, ContactProof};
pub use database::StoreOptions;
pub use deliveries::{
    Attempt, ClaimedDelivery, Delivery, DeliveryClaim, DeliveryResult, DeliveryState, NewDelivery,
};
pub use dkim_keys::{DkimKey, KeyState, NewDkimKey, NewPoolKey};
pub use dns_connections::{DnsConnection, RepairMode};
pub use dns_drifts::DnsDrift;
pub use dns_ledger::{LedgerMove, LedgerRow, LedgerState};
pub use domains::{
    Delegation, Domain, DomainFilter, DomainPage, Health, KeySource, NewDomain, Switch, Watch,
};
pub use error::StoreError;
pub use events::{Event, EventPage, NewEvent, NumberedEvent};
pub use idempotency::{Begun, IdempotentRequest};
pub use identities::Joining;
pub use key_feed::{KeyChange, SubZoneDomain};
pub use key_rotation::{GoneKey, KeyTurn, NewKeyBeside};
pub use mark::Mark;
pub use messages::{Message, NewMessage, Outgoing};
pub use nodes::Node;
pub use organisations::{ListedOrganisation, Organisation};
pub use playground::{
    NewPlaygroundRecord, NewPlaygroundZone, PlaygroundChange, PlaygroundRecord, PlaygroundZone,
};
pub use reputation::{Became, Pause, PauseCause, SendingCounts, SendingDay};
pub use retired_keys::RetiredKey;
pub use sandbox::{NewSandboxMessage, SandboxLimits, SandboxMessage, SandboxSummary};
pub use sessions::{NewSession, Session, Token, TokenKind};
pub use setup_links::SetupLink;
pub use signals::Topic;
pub use suppressions::Suppression;
pub use tenants::Tenant;
pub use users::{ChangedBy, Member, Membership, Role, User};
pub use visible::Visible;
pub use warmup::DailyCap;
pub use webhook_deliveries::{
    ClaimedWebhookDelivery, Disable, Replay, WebhookAttempt, WebhookDelivery, WebhookDeliveryState,
    WebhookResult,
};
pub use webhooks::{Webhook, WebhookStatus};

use database::{Kind, Pools, Row, Sql};
use std::{fmt, ops::Deref, path::Path, sync::Arc};
use tokio::sync::Notify;

/// The database. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    pools: Pools,
}

impl Store {
    /// Opens the SQLite file, makes it when it is not there, and brings its schema up to date.
    ///
    /// Several processes may open the same file. A file that a newer program has migrated is refused.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let pools = Pools::open_sqlite(path, &options).await?;
        migrate::migrate(&pools).await?;
        Ok(Self { pools })
    }

    /// Connects to a PostgreSQL database, `postgres://user:password@host/name?sslmode=verify-full`, and brings its
    /// schema up to date. Several nodes may work on it at once.
    ///
    /// # Errors
    /// `Unreachable`, `Encoding`, `SchemaTooNew`, or what the server says against the address (`Database`).
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let pools = Pools::connect_postgres(url, &options).await?;
        migrate::migrate(&pools).await?;
        Ok(Self { pools })
    }

    /// Whether nodes on other machines may work on the same database.
    pub const fn is_shared(&self) -> bool {
        matches!(self.pools.kind, Kind::Postgres(_))
    }

    /// Woken when a change of this kind was committed here.
    pub fn changed(&self, topic: Topic) -> &Notify {
        self.pools.signals.of(topic)
    }

    /// Waits for running work and closes the connections. Not needed for durability.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    async fn read_all(&self, sql: Sql) -> Result<Vec<Row>, StoreError> {
        sql.all(&mut self.pools.read().await?).await
    }

    async fn read_first(&self, sql: Sql) -> Result<Option<Row>, StoreError> {
        sql.first(&mut self.pools.read().await?).await
    }
}

/// Bytes that `Debug` does not show: messages, hashes, encrypted keys. Cloning does not copy them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Hidden(Arc<[u8]>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Deref for Hidden {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Hidden {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Hidden {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}
