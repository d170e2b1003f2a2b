//! What happened, in the transaction in which it happened.

use crate::{
    Store, StoreError,
    database::{Row, Tx, sql},
};
use model::{EventId, OrgId, Timestamp};

/// An event to store together with the change that it tells about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id; ids sort by time.
    pub id: EventId,
    /// Whose event.
    pub org_id: OrgId,
    /// Such as `domain.verified`.
    pub event_type: String,
    /// The id of the thing it is about.
    pub subject: String,
    /// JSON.
    pub data: String,
    /// When it happened.
    pub created_at: Timestamp,
}

/// A stored event.
pub type Event = NewEvent;

pub(crate) async fn insert_events(events: &[NewEvent], tx: &mut Tx) -> Result<(), StoreError> {
    for event in events {
        sql("INSERT INTO events (id, org_id, event_type, subject, data, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(&event.id)
        .bind(&event.org_id)
        .bind(&event.event_type)
        .bind(&event.subject)
        .bind(&event.data)
        .bind(&event.created_at)
        .run(tx)
        .await?;
    }
    Ok(())
}

fn event(row: &Row) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.get("id")?,
        org_id: row.get("org_id")?,
        event_type: row.get("event_type")?,
        subject: row.get("subject")?,
        data: row.get("data")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) const LIST: &str = "SELECT id, org_id, event_type, subject, data, created_at FROM events
     WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
pub(crate) const LIST_FOR_SUBJECT: &str =
    "SELECT id, org_id, event_type, subject, data, created_at FROM events
     WHERE org_id = $1 AND subject = $2 ORDER BY id DESC LIMIT $3";

impl Store {
    /// The organisation's events, newest first, from behind `after`.
    pub async fn list_events(
        &self,
        org_id: OrgId,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let page = sql(LIST).bind(&org_id).text(&before(after, EventId::PREFIX)).bind(&limit);
        self.read_all(page).await?.iter().map(event).collect()
    }

    /// The newest events about one thing, newest first.
    pub async fn list_events_for_subject(
        &self,
        org_id: OrgId,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let page = sql(LIST_FOR_SUBJECT).bind(&org_id).text(subject).bind(&limit);
        self.read_all(page).await?.iter().map(event).collect()
    }

    /// Stores events that tell about no change in the store.
    pub async fn add_events(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        insert_events(events, &mut tx).await?;
        tx.commit().await
    }

    /// Deletes at most `limit` events from before `created_before`; how many.
    pub async fn delete_events_before(
        &self,
        created_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let mut tx = self.pools.write().await?;
        let deleted = sql("DELETE FROM events WHERE id IN (
                 SELECT id FROM events WHERE created_at < $1 ORDER BY created_at LIMIT $2)")
        .bind(&created_before)
        .bind(&limit)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

/// The upper end of a page that goes from new to old: the last id of the page before, or more than any id.
pub(crate) fn before(after: Option<impl ToString>, prefix: &str) -> String {
    after.map_or_else(|| format!("{prefix}~"), |id| id.to_string())
}
