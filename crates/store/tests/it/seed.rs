//! Things to put into a store.

use model::{DomainId, DomainName, EventId, KeyId, MessageId, OrgId, Timestamp};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};
use store::{
    Domain, Hidden, KeySource, KeyState, NewDelivery, NewDkimKey, NewDomain, NewEvent, NewMessage,
    NewPoolKey, Organisation, Store, StoreOptions,
};

static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A number never given before.
pub fn next() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// A store in a folder of its own, which goes away with it.
pub struct Database {
    pub store: Store,
    pub path: PathBuf,
}

impl Database {
    pub async fn new() -> Self {
        Self::with(StoreOptions::default()).await
    }

    pub async fn with(options: StoreOptions) -> Self {
        let folder = std::env::temp_dir().join(format!("store-it-{}-{}", std::process::id(), next()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("store.db");
        Self { store: Store::open(&path, options).await.unwrap(), path }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.path.parent().unwrap());
    }
}

/// Milliseconds after a fixed moment.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_750_000_000_000 + ms).unwrap()
}

macro_rules! ids {
    ($($function:ident -> $id:ty;)*) => {$(
        /// A new id; ids sort by the order they were made in.
        pub fn $function() -> $id {
            <$id>::from_parts(1_750_000_000_000 + next(), 7)
        }
    )*};
}
ids! {
    domain_id -> DomainId;
    org_id -> OrgId;
    key_id -> KeyId;
    event_id -> EventId;
    message_id -> MessageId;
    api_key_id -> model::ApiKeyId;
    zone_id -> model::ZoneId;
    record_id -> model::RecordId;
    sandbox_id -> model::SandboxMessageId;
    tenant_id -> model::TenantId;
    audit_id -> model::AuditId;
    suppression_id -> model::SuppressionId;
    webhook_id -> model::WebhookId;
    webhook_delivery_id -> model::WebhookDeliveryId;
    change_set_id -> model::ChangeSetId;
    ledger_id -> model::LedgerId;
    connection_id -> model::ConnectionId;
}

pub async fn organisation(store: &Store) -> OrgId {
    let id = org_id();
    let organisation = Organisation { id, name: "Acme".into(), created_at: at(0) };
    store.create_organisation(&organisation, &[]).await.unwrap();
    id
}

pub fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub fn new_domain(org_id: OrgId, domain: &str) -> NewDomain {
    NewDomain {
        id: domain_id(),
        org_id,
        tenant_id: None,
        name: name(domain),
        profile: "three-cname".into(),
        variables: "{}".into(),
        capabilities: "[]".into(),
        approval_status: "approved".into(),
        created_at: at(0),
        fails_at: Some(at(72 * 3_600_000)),
        next_check_at: at(0),
        warmup_started_at: None,
        warmup_days: Some(30),
        region: Some("local".into()),
        fallback_region: None,
    }
}

pub fn new_key(selector: &str) -> NewDkimKey {
    NewDkimKey {
        id: key_id(),
        selector: selector.into(),
        public_key: "MIIB".into(),
        private_key: Hidden::from(&b"sealed-private-key"[..]),
        state: KeyState::Active,
        created_at: at(0),
    }
}

pub fn pool_key(created_at: Timestamp) -> NewPoolKey {
    NewPoolKey {
        id: key_id(),
        public_key: "MIIC".into(),
        private_key: Hidden::from(&b"sealed-private-key"[..]),
        created_at,
    }
}

pub fn event(org_id: OrgId, event_type: &str, subject: &impl ToString) -> NewEvent {
    NewEvent {
        id: event_id(),
        org_id,
        event_type: event_type.into(),
        subject: subject.to_string(),
        data: "{}".into(),
        created_at: at(0),
        trace_parent: None,
    }
}

pub async fn domain(store: &Store, org_id: OrgId, domain: &str) -> Domain {
    let keys = KeySource::Given(vec![new_key(&format!("s{}", next()))]);
    store.create_domain(&new_domain(org_id, domain), keys, &[]).await.unwrap().0
}

pub fn new_message(domain: &Domain) -> NewMessage {
    NewMessage {
        id: message_id(),
        org_id: domain.org_id,
        domain_id: domain.id,
        tenant_id: None,
        key_id: None,
        from_address: format!("news@{}", domain.name).parse().unwrap(),
        subject: "Hello".into(),
        raw: Hidden::from(&b"Subject: Hello\r\n\r\nsecret body\r\n"[..]),
        created_at: at(0),
        daily_cap: None,
        trace_parent: None,
    }
}

pub fn to(recipient: &str) -> NewDelivery {
    NewDelivery {
        recipient: recipient.parse().unwrap(),
        return_path: "bounce+token@bounces.example.com".into(),
        next_attempt_at: at(0),
    }
}
