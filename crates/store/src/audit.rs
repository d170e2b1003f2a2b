//! The audit log: who changed what, in the transaction of the change. Lines are added and never changed.

use crate::{
    NewEvent, Store, StoreError,
    database::{Row, Tx, sql},
    events::{before, insert_events},
};
use model::{AuditId, OrgId, TenantId, Timestamp};

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id; ids sort by time.
    pub id: AuditId,
    /// In which organisation.
    pub org_id: OrgId,
    /// The tenant that whoever did it was limited to.
    pub tenant_id: Option<TenantId>,
    /// When.
    pub at: Timestamp,
    /// What kind of actor: `key`, `user` or `system`.
    pub actor_kind: String,
    /// The key or the user.
    pub actor_id: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// The request in which it was done.
    pub request_id: Option<String>,
    /// What was done, such as `key.revoked`.
    pub action: String,
    /// The id of the thing that it was done to.
    pub subject: String,
    /// What there is to say of it, JSON; no secret.
    pub data: String,
}

/// What is told of a change, in its transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told<'a> {
    /// To those who follow what happens.
    pub events: &'a [NewEvent],
    /// To those who ask later who did it; nothing where nobody asked for the change.
    pub audit: Option<&'a AuditEntry>,
}

impl<'a> Told<'a> {
    /// Events and a line of the audit log.
    pub const fn new(events: &'a [NewEvent], audit: &'a AuditEntry) -> Self {
        Self { events, audit: Some(audit) }
    }
}

impl<'a> From<&'a [NewEvent]> for Told<'a> {
    fn from(events: &'a [NewEvent]) -> Self {
        Self { events, audit: None }
    }
}

impl<'a, const N: usize> From<&'a [NewEvent; N]> for Told<'a> {
    fn from(events: &'a [NewEvent; N]) -> Self {
        Self { events, audit: None }
    }
}

impl<'a> From<&'a Vec<NewEvent>> for Told<'a> {
    fn from(events: &'a Vec<NewEvent>) -> Self {
        Self { events, audit: None }
    }
}

impl<'a> From<&'a AuditEntry> for Told<'a> {
    fn from(audit: &'a AuditEntry) -> Self {
        Self::new(&[], audit)
    }
}

/// Stores what is told of a change.
pub(crate) async fn tell(told: Told<'_>, tx: &mut Tx) -> Result<(), StoreError> {
    insert_events(told.events, tx).await?;
    let Some(entry) = told.audit else { return Ok(()) };
    sql(
        "INSERT INTO audit_log (id, org_id, tenant_id, at, actor_kind, actor_id, address, request_id, action,
             subject, data)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&entry.id)
    .bind(&entry.org_id)
    .bind_opt(entry.tenant_id.as_ref())
    .bind(&entry.at)
    .bind(&entry.actor_kind)
    .bind_opt(entry.actor_id.as_ref())
    .bind_opt(entry.address.as_ref())
    .bind_opt(entry.request_id.as_ref())
    .bind(&entry.action)
    .bind(&entry.subject)
    .bind(&entry.data)
    .run(tx)
    .await?;
    Ok(())
}

fn entry(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        tenant_id: row.opt("tenant_id")?,
        at: row.get("at")?,
        actor_kind: row.get("actor_kind")?,
        actor_id: row.opt("actor_id")?,
        address: row.opt("address")?,
        request_id: row.opt("request_id")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        data: row.get("data")?,
    })
}

/// Which lines of the audit log to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only what was done to this thing.
    pub subject: Option<String>,
    /// Only what this key or user did.
    pub actor_id: Option<String>,
}

macro_rules! list {
    ($($and:literal),*) => {
        concat!(
            "SELECT id, org_id, tenant_id, at, actor_kind, actor_id, address, request_id, action, subject, data
             FROM audit_log WHERE org_id = $1 AND id < $2",
            $($and,)*
            " ORDER BY id DESC LIMIT $3"
        )
    };
}

pub(crate) const LIST: &str = list!();

impl Store {
    /// The organisation's audit log, newest first, from behind `after`.
    pub async fn list_audit(
        &self,
        org_id: OrgId,
        filter: &AuditFilter,
        after: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let text = match (&filter.subject, &filter.actor_id) {
            (None, None) => LIST,
            (Some(_), None) => list!(" AND subject = $4"),
            (None, Some(_)) => list!(" AND actor_id = $4"),
            (Some(_), Some(_)) => list!(" AND subject = $4 AND actor_id = $5"),
        };
        let mut page = sql(text).bind(&org_id).text(&before(after, AuditId::PREFIX)).bind(&limit);
        for wanted in [&filter.subject, &filter.actor_id].into_iter().flatten() {
            page = page.text(wanted);
        }
        self.read_all(page).await?.iter().map(entry).collect()
    }

    /// Stores a line of the audit log that tells about no change in the store.
    pub async fn add_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        tell(entry.into(), &mut tx).await?;
        tx.commit().await
    }
}
