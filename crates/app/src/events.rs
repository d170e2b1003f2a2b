//! What happened: the feed that callers poll.
//!
//! An event is stored in the transaction of the change that it tells about, and only on transitions. It gets its place in
//! the feed some milliseconds later, behind that transaction (`Store::number_events`), so that nobody who goes on from a
//! cursor misses one, whichever node stored it.

use crate::{
    App,
    access::{Caller, Scope},
    error::{Error, FieldError, Result},
};
use jiff::Timestamp;
use model::{EventId, OrgId};
use serde_json::{Value, json};
use store::{Event, EventPage, NewEvent, NumberedEvent};

/// Every type of event. Append only.
pub const TYPES: &[&str] = &[
    "domain.created",
    "domain.updated",
    "domain.verified",
    "domain.warning",
    "domain.failed",
    "domain.deleted",
    "email.accepted",
    "email.delivered",
    "email.deferred",
    "email.bounced",
    "domain.reminder",
    "domain.recovered",
    "platform.demotions_held",
    "platform.demotions_released",
    "webhook.disabled",
    "webhook.test",
    "domain.disabled",
    "domain.enabled",
    "domain.contested",
    "domain.claim_started",
    "domain.claimed",
    "domain.claim_ended",
    "domain.delegation_changed",
    "domain.key_prepared",
    "domain.key_removable",
    "domain.key_rotated",
    "domain.dns_changed",
    "dns_connection.failed",
    "domain.dns_drifted",
    "domain.dns_repaired",
    "domain.dns_repair_stopped",
    "email.complained",
    "domain.paused",
    "domain.resumed",
];

/// How many events get their number in one transaction.
const BATCH: u32 = 1_000;

/// Where in the feed to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// With the oldest event that is kept.
    Start,
    /// With the next one that happens.
    Latest,
    /// Behind this number.
    Number(u64),
}

/// A part of the feed, and where to go on.
#[derive(Debug)]
pub struct Feed {
    /// Events, oldest first.
    pub events: Vec<NumberedEvent>,
    /// Whether more are there already.
    pub has_more: bool,
    /// Behind which number to go on: everything up to it was looked at.
    pub next: u64,
}

impl App {
    /// The events that the caller sees, oldest first; at most `limit`, of these types, all without any.
    pub async fn events(&self, caller: &Caller, after: After, types: &[String], limit: u32) -> Result<Feed> {
        caller.require(Scope::ReadEvents)?;
        let types = checked_types("types", types)?;
        let visible = caller.visible();
        let from = match after {
            After::Start => 0,
            After::Number(number) => number,
            After::Latest => {
                let EventPage { last_seq, .. } = self.store.event_feed(&visible, u64::MAX, &[], 1).await?;
                return Ok(Feed { events: Vec::new(), has_more: false, next: last_seq });
            }
        };
        let EventPage { mut events, last_seq, gone } =
            self.store.event_feed(&visible, from, &types, limit.saturating_add(1)).await?;
        if matches!(after, After::Number(_)) && from < gone {
            return Err(Error::EventsGone);
        }
        if from > last_seq {
            let message = "is ahead of everything that happened here: it is of another instance, or of a time before \
                           a copy was restored; begin anew without it, or with latest";
            return Err(Error::field("after", message));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = events.len() > limit;
        events.truncate(limit);
        let next = match events.last() {
            Some(last) if has_more => last.seq,
            _ => last_seq,
        };
        Ok(Feed { events, has_more, next })
    }

    /// What happened in the whole organisation, newest first.
    pub async fn recent_events(
        &self,
        caller: &Caller,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Event>> {
        caller.require(Scope::ReadEvents)?;
        caller.require_whole_organisation()?;
        Ok(self.store.list_events(caller.org_id, after, limit).await?)
    }

    /// Gives their place in the feed to events that were stored since the last time; how many.
    pub(crate) async fn number_events(&self) -> Result<usize> {
        let now = self.clock.now();
        let mut new_id = || self.random.webhook_delivery_id(now);
        let numbered = self.store.number_events(BATCH, now, &mut new_id).await?;
        Ok(usize::try_from(numbered).unwrap_or(usize::MAX))
    }

    pub(crate) fn event(
        &self,
        org_id: OrgId,
        event_type: &str,
        subject: String,
        data: &serde_json::Value,
        now: Timestamp,
    ) -> NewEvent {
        debug_assert!(TYPES.contains(&event_type), "{event_type} belongs into TYPES");
        NewEvent {
            id: self.random.event_id(now),
            org_id,
            event_type: event_type.to_owned(),
            subject,
            data: data.to_string(),
            created_at: now,
            trace_parent: self.traces.current(),
        }
    }
}

/// An event as webhooks are told of it: as `GET /events` shows it, with `timestamp` as Standard Webhooks ask for it.
pub(crate) fn payload(numbered: &NumberedEvent) -> Value {
    let event = &numbered.event;
    json!({
        "object": "event",
        "id": event.id,
        "type": event.event_type,
        "timestamp": event.created_at,
        "created_at": event.created_at,
        "subject": event.subject,
        "domain_id": numbered.domain_id,
        "tenant_id": numbered.tenant_id,
        "data": serde_json::from_str::<Value>(&event.data).unwrap_or_default(),
    })
}

/// The types that a request names, each known; `domain.*` names all that begin so.
pub(crate) fn checked_types(field: &str, given: &[String]) -> Result<Vec<&'static str>> {
    let mut types = Vec::new();
    let mut errors = Vec::new();
    for word in given {
        let named: Vec<&'static str> = match word.strip_suffix(".*") {
            Some(noun) => TYPES
                .iter()
                .copied()
                .filter(|known| known.split_once('.').is_some_and(|(start, _)| start == noun))
                .collect(),
            None => TYPES.iter().copied().filter(|known| known == word).collect(),
        };
        if named.is_empty() && errors.len() < 20 {
            let shown: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
            let message = format!("there is no type of event \"{shown}\"; known are {}", TYPES.join(", "));
            errors.push(FieldError { field: field.to_owned(), message });
        }
        types.extend(named.into_iter().filter(|name| !types.contains(name)).collect::<Vec<_>>());
    }
    if errors.is_empty() { Ok(types) } else { Err(Error::Invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str]) -> Result<Vec<&'static str>> {
        checked_types("types", &given.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn types_are_named_whole_or_by_their_noun() {
        assert_eq!(names(&[]).unwrap(), Vec::<&str>::new());
        assert_eq!(names(&["domain.failed", "domain.failed"]).unwrap(), ["domain.failed"]);
        let emails = names(&["email.*", "email.bounced"]).unwrap();
        assert_eq!(
            emails,
            ["email.accepted", "email.delivered", "email.deferred", "email.bounced", "email.complained"]
        );
        for unknown in ["", "*", ".*", "domain", "domain.", "emails.*", "Domain.failed", "email.*.*"] {
            assert!(matches!(names(&[unknown]), Err(Error::Invalid(_))), "{unknown}");
        }
    }
}
