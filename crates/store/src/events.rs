//! What happened, in the transaction in which it happened; and the feed of it, in the order in which it became visible.
//!
//! Ids are made before their transaction ends, and by several nodes: whoever reads on behind the last id that they saw
//! misses what was committed later under an earlier one. So events are numbered behind their transactions
//! ([`Store::number_events`]), by one at a time, and the feed goes by number.

use crate::{
    Store, StoreError, Topic, Visible,
    database::{Row, Tx, sql},
    visible::{Texts, texts},
    webhook_deliveries::{Fresh, insert_deliveries},
};
use model::{DomainId, EventId, OrgId, TenantId, Timestamp, WebhookDeliveryId};

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
    /// The span that it came from, where there are traces: what is told of it goes on from there.
    pub trace_parent: Option<String>,
}

/// A stored event.
pub type Event = NewEvent;

pub(crate) async fn insert_events(events: &[NewEvent], tx: &mut Tx) -> Result<(), StoreError> {
    if !events.is_empty() {
        tx.wakes(Topic::Events);
    }
    for event in events {
        sql("INSERT INTO events (id, org_id, event_type, subject, data, created_at, trace_parent)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(&event.id)
        .bind(&event.org_id)
        .bind(&event.event_type)
        .bind(&event.subject)
        .bind(&event.data)
        .bind(&event.created_at)
        .bind_opt(event.trace_parent.as_ref())
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
        trace_parent: row.opt("trace_parent")?,
    })
}

pub(crate) const LIST: &str =
    "SELECT id, org_id, event_type, subject, data, created_at, trace_parent FROM events
     WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
pub(crate) const LIST_FOR_SUBJECT: &str =
    "SELECT id, org_id, event_type, subject, data, created_at, trace_parent FROM events
     WHERE org_id = $1 AND subject = $2 ORDER BY id DESC LIMIT $3";

/// An event of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Its number: larger than that of every event that was visible before.
    pub seq: u64,
    /// The event.
    pub event: Event,
    /// The tenant that it concerns.
    pub tenant_id: Option<TenantId>,
    /// The domain that it concerns.
    pub domain_id: Option<DomainId>,
}

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Events, in the order of their numbers.
    pub events: Vec<NumberedEvent>,
    /// The last number that was given to any event. Every event up to it was looked at, unless the page is full.
    pub last_seq: u64,
    /// Events up to this number were deleted by their age, all or some: who goes on behind an earlier one may miss some.
    pub gone: u64,
}

pub(crate) fn numbered_event(row: &Row) -> Result<NumberedEvent, StoreError> {
    Ok(NumberedEvent {
        seq: row.get("seq")?,
        event: event(row)?,
        tenant_id: row.opt("tenant_id")?,
        domain_id: row.opt("domain_id")?,
    })
}

macro_rules! feed {
    ($($and:literal)*) => {
        concat!(
            "SELECT id, org_id, event_type, subject, data, created_at, trace_parent, seq, tenant_id, domain_id FROM events
             WHERE org_id = $1 AND seq > $2 AND ($3 = '' OR $3 LIKE '%,' || event_type || ',%')",
            $($and,)*
            " ORDER BY seq LIMIT $4"
        )
    };
}
pub(crate) const FEED: Texts = texts!(feed, "domain_id", "$5", "$6");

const LAST_NUMBER: &str = "SELECT value AS n FROM generations WHERE name = 'events'";

/// The row is locked until the commit, so there is one who numbers.
const LAST_NUMBER_ON_POSTGRES: &str = "SELECT value AS n FROM generations WHERE name = 'events' FOR UPDATE";

/// Whose an event is follows from what it is about, unless whoever stored it said so.
pub(crate) const NUMBER: &str = "UPDATE events SET seq = $1 + numbered.place,
         domain_id = COALESCE(events.domain_id, CASE
             WHEN events.subject LIKE 'dom!_%' ESCAPE '!'
                 THEN (SELECT domains.id FROM domains WHERE domains.id = events.subject)
             WHEN events.subject LIKE 'msg!_%' ESCAPE '!'
                 THEN (SELECT messages.domain_id FROM messages WHERE messages.id = events.subject) END),
         tenant_id = COALESCE(events.tenant_id, CASE
             WHEN events.subject LIKE 'dom!_%' ESCAPE '!'
                 THEN (SELECT domains.tenant_id FROM domains WHERE domains.id = events.subject)
             WHEN events.subject LIKE 'msg!_%' ESCAPE '!'
                 THEN (SELECT messages.tenant_id FROM messages WHERE messages.id = events.subject)
             WHEN events.subject LIKE 'whk!_%' ESCAPE '!'
                 THEN (SELECT webhooks.tenant_id FROM webhooks WHERE webhooks.id = events.subject) END)
     FROM (SELECT id AS found, ROW_NUMBER() OVER (ORDER BY id) AS place FROM events
           WHERE seq IS NULL ORDER BY id LIMIT $2) AS numbered
     WHERE events.id = numbered.found RETURNING id, org_id, event_type, tenant_id";

impl Store {
    /// Numbers at most `limit` events that were committed since the last time; how many. One node does it at a time,
    /// and what it numbers becomes visible at once: whoever reads the feed behind a number misses nothing.
    ///
    /// What of it webhooks want is to be delivered to them from then on; `new_id` makes the ids of the deliveries.
    pub async fn number_events(
        &self,
        limit: u32,
        now: Timestamp,
        new_id: &mut (dyn FnMut() -> WebhookDeliveryId + Send),
    ) -> Result<u64, StoreError> {
        let waiting = sql("SELECT id FROM events WHERE seq IS NULL LIMIT 1");
        if self.read_first(waiting).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.pools.write().await?;
        let last: u64 = sql(LAST_NUMBER).on_postgres(LAST_NUMBER_ON_POSTGRES).number(&mut tx).await?;
        let rows = sql(NUMBER).bind(&last).bind(&limit).all(&mut tx).await?;
        let numbered = rows.len() as u64;
        sql("UPDATE generations SET value = $1 WHERE name = 'events'")
            .bind(&(last + numbered))
            .run(&mut tx)
            .await?;
        let fresh = rows.iter().map(|row| {
            Ok(Fresh {
                id: row.get("id")?,
                event_type: row.get("event_type")?,
                org_id: row.get("org_id")?,
                tenant_id: row.opt("tenant_id")?,
            })
        });
        let fresh = fresh.collect::<Result<Vec<_>, StoreError>>()?;
        insert_deliveries(&fresh, now, new_id, &mut tx).await?;
        tx.commit().await?;
        Ok(numbered)
    }

    /// The visible events with a number above `after`, of these types (all without any), in their order.
    pub async fn event_feed(
        &self,
        visible: &Visible,
        after: u64,
        types: &[&str],
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let types = if types.is_empty() { String::new() } else { format!(",{},", types.join(",")) };
        let mut tx = self.pools.snapshot().await?;
        let numbers = sql("SELECT (SELECT value FROM generations WHERE name = 'events') AS last_seq,
                 (SELECT value FROM generations WHERE name = 'events_gone') AS gone");
        let numbers = numbers.first(&mut tx).await?.ok_or(StoreError::NotFound("row"))?;
        let (last_seq, gone) = (numbers.get("last_seq")?, numbers.get("gone")?);
        let page = visible.sql(&FEED).bind(&visible.org_id).bind(&after).text(&types).bind(&limit);
        let rows = visible.bind(page).all(&mut tx).await?;
        let events = rows.iter().map(numbered_event).collect::<Result<_, _>>()?;
        Ok(EventPage { events, last_seq, gone })
    }

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
}

/// The upper end of a page that goes from new to old: the last id of the page before, or more than any id.
pub(crate) fn before(after: Option<impl ToString>, prefix: &str) -> String {
    after.map_or_else(|| format!("{prefix}~"), |id| id.to_string())
}
