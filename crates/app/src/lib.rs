//! The use cases: what the platform does for those who call it, and by itself.
//!
//! [`App`] joins the rooms that know nothing of each other: `store`, `dns`, `smtp`, `mail` and `diagnosis`. Routes
//! and pages call its methods, the background [`tasks`] call its reconcilers. Decisions are in pure modules
//! ([`domain_state`], [`delivery_state`]); time and randomness come in through [`ports`].

pub mod access;
mod alerts;
mod audit;
pub mod change_sets;
pub mod check_gate;
pub mod checks;
mod claim_proof;
pub mod claims;
pub mod contacts;
pub mod credential_forms;
mod delegation;
mod deliver;
pub mod delivery_state;
mod dkim_keys;
pub mod dns_connections;
pub mod dns_hosts;
mod domain_check;
pub mod domain_connect;
pub mod domain_state;
pub mod domains;
pub mod drift;
pub mod emails;
pub mod error;
pub mod events;
pub mod exports;
pub mod health;
pub mod idempotency;
pub mod key_rotation;
pub mod keys;
mod known_keys;
mod lease;
pub mod limits;
mod nodes;
pub mod notices;
pub mod oidc;
pub mod operator_health;
mod organisations;
pub mod outage;
pub mod outbound;
pub mod platform_zone;
pub mod playground;
mod playground_host;
pub mod ports;
pub mod rate;
pub mod readiness;
pub mod reputation;
mod required;
pub mod retired_keys;
pub mod root_keys;
pub mod sandbox;
mod sandbox_domain;
mod scope;
pub mod settings;
pub mod setup_links;
mod sub_zones;
mod suppressions;
pub mod sweep;
pub mod tasks;
pub mod tenants;
pub mod traces;
mod transport;
pub mod users;
pub mod vault;
pub mod warmup;
pub mod watch;
mod webhook_deliver;
pub mod webhook_state;
pub mod webhooks;
mod zone_feed;

pub use alerts::ReportText;
pub use claim_proof::Found as ClaimFound;
pub use error::{Error, FieldError, Result};
pub use providers::Secret;
pub use settings::{NameServer, RelayTls, Settings, Transport};

/// What `api` and `web` show comes from these rooms; they reach them through here.
pub use {diagnosis, mail, publish, store};

use arc_swap::ArcSwap;
use diagnosis::inquiry::Policy;
use dns::authority::ZoneSet;
use jiff::Timestamp;
use model::{DomainId, OrgId};
use ports::{Clock, Random};
use std::{hash::DefaultHasher, sync::Arc};
use store::Store;
use tasks::Wake;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use vault::Vault;

/// The platform, assembled.
pub struct App {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) dns: dns::Client,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) keys: dkim_keys::KeyCache,
    pub(crate) known_keys: known_keys::KnownKeys,
    pub(crate) zones: Arc<ArcSwap<ZoneSet>>,
    pub(crate) host_zones: Arc<ArcSwap<ZoneSet>>,
    pub(crate) zone_turn: tokio::sync::Mutex<zone_feed::LastServed>,
    /// Names this process in leases.
    pub(crate) node: String,
    pub(crate) check_turns: Turns,
    pub(crate) free_checks: check_gate::Gate,
    pub(crate) limits: limits::Limits,
    /// What each setup link has written.
    pub(crate) link_writes: rate::RateLimiter<model::SetupLinkId>,
    /// Links to DNS hosts that were made for each domain, and browsers that came back from there.
    pub(crate) connects: rate::RateLimiter<DomainId>,
    pub(crate) connects_back: rate::RateLimiter<DomainId>,
    pub(crate) check_slots: Arc<Semaphore>,
    pub(crate) delivery_slots: Arc<Semaphore>,
    pub(crate) running: TaskTracker,
    pub(crate) readiness: health::Readiness,
    pub(crate) counted: health::Counted,
    pub(crate) brake: outage::Brake,
    pub(crate) door: users::Door,
    pub(crate) webhooks: webhook_deliver::Webhooks,
    pub(crate) standing: nodes::Standing,
    /// How alerts show a report; set once, by the composition root.
    pub report_text: std::sync::OnceLock<ReportText>,
    /// Where people log in too; set once, by the composition root.
    pub(crate) provider: std::sync::OnceLock<oidc::Provider>,
    /// Spans of what is done; none until the composition root gives a tracer.
    pub traces: traces::Traces,
    /// Pokes for the background tasks.
    pub wake: Wake,
}

/// How many domains are checked, and how many messages delivered, at the same time.
const SLOTS: usize = 16;

/// Checks on demand, one at a time for a domain, without a lock for every domain there may be: a few share one. Each
/// lock holds the domain that was last checked under it, and when that began.
pub(crate) struct Turns(Vec<tokio::sync::Mutex<Option<(DomainId, Timestamp)>>>);

impl Turns {
    fn new() -> Self {
        Self((0..256).map(|_| tokio::sync::Mutex::default()).collect())
    }

    /// The lock of a domain.
    pub(crate) fn of(&self, id: DomainId) -> &tokio::sync::Mutex<Option<(DomainId, Timestamp)>> {
        let hash =
            std::hash::BuildHasher::hash_one(&std::hash::BuildHasherDefault::<DefaultHasher>::default(), id);
        &self.0[usize::try_from(hash % 256).unwrap_or(0)]
    }
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The operator's settings.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// The DNS client.
    pub dns: dns::Client,
    /// The secrets.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Names this process in leases and logs, for people; what makes it differ from all others is added.
    pub node_name: String,
    /// What our DNS server serves; replaced as a whole.
    pub zones: Arc<ArcSwap<ZoneSet>>,
    /// What the DNS host of the playground serves, where it is a server of its own.
    pub host_zones: Arc<ArcSwap<ZoneSet>>,
}

/// How often in a minute a setup link has a DNS host asked.
const LINK_WRITES: u32 = 10;

impl App {
    /// Assembles the platform. Nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        // Two processes that were given one name must not take each other's leases for their own.
        let node = format!("{}-{}", parts.node_name, parts.random.token(8));
        let standing = nodes::Standing::new(parts.clock.now());
        let reach = if parts.settings.private_webhook_targets {
            outbound::Reach::Anywhere
        } else {
            outbound::Reach::Public
        };
        Self {
            free_checks: check_gate::Gate::new(parts.settings.checks_per_minute),
            link_writes: rate::RateLimiter::new(LINK_WRITES),
            limits: limits::Limits::new(parts.settings.request_limits),
            settings: parts.settings,
            store: parts.store,
            dns: parts.dns,
            vault: parts.vault,
            clock: parts.clock,
            random: parts.random,
            keys: dkim_keys::KeyCache::default(),
            known_keys: known_keys::KnownKeys::default(),
            zones: parts.zones,
            host_zones: parts.host_zones,
            zone_turn: tokio::sync::Mutex::default(),
            node,
            check_turns: Turns::new(),
            connects: rate::RateLimiter::new(domain_connect::TIMES),
            connects_back: rate::RateLimiter::new(domain_connect::TIMES),
            check_slots: Arc::new(Semaphore::new(SLOTS)),
            delivery_slots: Arc::new(Semaphore::new(SLOTS)),
            running: TaskTracker::new(),
            readiness: health::Readiness::default(),
            counted: health::Counted::default(),
            brake: outage::Brake::default(),
            door: users::Door::new(),
            webhooks: webhook_deliver::Webhooks::new(reach),
            standing,
            report_text: std::sync::OnceLock::new(),
            provider: std::sync::OnceLock::new(),
            traces: traces::Traces::default(),
            wake: Wake::default(),
        }
    }

    /// Waits until no check and no delivery is under way. To be called when the tasks have stopped.
    pub async fn finished(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Takes this node off the list and closes the database: nothing changes in the data folder any more.
    pub async fn close(&self) {
        if let Err(error) = self.note_key_uses(true).await {
            tracing::debug!(%error, "the last uses of API keys could not be noted");
        }
        if self.store.is_shared()
            && let Err(error) = self.store.remove_node(&self.node).await
        {
            tracing::debug!(%error, "this node could not be taken off the list");
        }
        self.store.close().await;
    }

    /// The DNS client for what is asked by this policy. Where private addresses are none of its business, the names of
    /// the operator's network are not either.
    pub(crate) fn dns_for(&self, policy: &Policy) -> dns::Client {
        if policy.private_addresses { self.dns.clone() } else { self.dns.for_public_names() }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the database is like now, where it tells without being asked: what is read from now on stays right as long as
    /// this is the same.
    pub fn store_mark(&self) -> Option<store::Mark> {
        self.store.mark()
    }

    /// A new id for a request, for logs and problem documents.
    pub fn request_id(&self) -> model::RequestId {
        self.random.request_id(self.clock.now())
    }

    /// The first organisation, made at the first start. Says whether it was made now.
    pub async fn first_organisation(&self, name: &str) -> Result<(OrgId, bool)> {
        let now = self.clock.now();
        let new = store::Organisation { id: self.random.org_id(now), name: name.to_owned(), created_at: now };
        let (first, is_new) = self.store.first_organisation_or(&new).await?;
        Ok((first.id, is_new))
    }
}
