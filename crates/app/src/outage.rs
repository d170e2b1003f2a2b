//! The brake on demotions: when many domains seem to break at once, the fault is more likely ours.
//!
//! A resolver that answers "no such name" for everything, a zone of ours that nobody can resolve: each looks like a
//! break of every customer's domain. Then nobody is suspected any further, warned or failed, and sending goes on. Two
//! things hold the brake ([`reason_to_hold`], pure):
//!
//! - of the verified domains that all nodes looked at in the last ten minutes, too many turned from right to not right;
//! - our own sentinel, a record of the platform zone, is not seen through the resolvers that the checks ask.
//!
//! They are let go when no node has seen a reason for ten minutes, so that nodes whose resolvers differ do not pull to and
//! fro. A domain turns once: those that really broke at the same time are confirmed a little later, when the brake is let go.

use crate::{App, error::Result};
use diagnosis::observation::{Ask, Outcome, Question, Rcode, Reply, Server};
use jiff::{SignedDuration, Timestamp};
use model::{RecordData, RecordType, TxtData};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use store::{Held, Outcomes};

/// The label of the sentinel in the platform zone, and what it says.
pub(crate) const SENTINEL: (&str, &str) = ("_sentinel", "countersign is here");

/// The minutes that count.
const WINDOW: i64 = 10;

/// How long an answer about the brake holds on this node, in seconds.
const HOLDS: i64 = 10;

/// Why demotions are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Our own record is not seen.
    Sentinel,
    /// Many domains turned at once.
    ManyAtOnce,
}

impl Reason {
    /// The word in events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sentinel => "sentinel",
            Self::ManyAtOnce => "many_at_once",
        }
    }
}

/// Whether demotions are to be held. Fewer than three domains never hold the brake: a platform may have no more.
pub const fn reason_to_hold(recent: Outcomes, sentinel_is_seen: bool) -> Option<Reason> {
    let Outcomes { looked, turned } = recent;
    if !sentinel_is_seen {
        Some(Reason::Sentinel)
    } else if (turned >= 10 && turned > looked / 50) || (turned >= 3 && turned > looked / 2) {
        Some(Reason::ManyAtOnce)
    } else {
        None
    }
}

/// What this node saw in the last minutes, and what it knows of the brake.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    minutes: Mutex<BTreeMap<i64, Outcomes>>,
    known: tokio::sync::Mutex<Option<(Timestamp, bool)>>,
    /// Whether there is something that was not put into the database, and when that was last done.
    untold: Mutex<(bool, Option<Timestamp>)>,
}

impl Brake {
    /// Counts a look at a verified domain of which all was right before.
    pub fn note(&self, turned: bool, now: Timestamp) {
        let minute = now.as_second().div_euclid(60);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = minutes.entry(minute).or_default();
        outcomes.looked += 1;
        outcomes.turned += u64::from(turned);
        *minutes = minutes.split_off(&(minute - WINDOW));
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
    }

    /// Whether what this node saw is to be put into the database now; it is taken for done then.
    fn is_to_tell(&self, now: Timestamp) -> bool {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let was_told = untold.1.is_some_and(|at| (0..HOLDS).contains(&now.duration_since(at).as_secs()));
        let is_due = untold.0 && !was_told;
        if is_due {
            *untold = (false, Some(now));
        }
        is_due
    }

    fn minutes(&self) -> Vec<(i64, Outcomes)> {
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.iter().map(|(minute, outcomes)| (*minute, *outcomes)).collect()
    }
}

impl App {
    /// Whether demotions are held now, by what all nodes saw. Where that cannot be told, they are.
    pub(crate) async fn demotions_are_held(&self) -> bool {
        let now = self.clock.now();
        let mut known = self.brake.known.lock().await;
        let fresh = |at: &Timestamp| (0..HOLDS).contains(&now.duration_since(*at).as_secs());
        if let Some((_, held)) = known.as_ref().filter(|(at, _)| fresh(at)) {
            return *held;
        }
        let held = match self.judge_brake(now).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "whether demotions are to be held cannot be told: they are");
                true
            }
        };
        *known = Some((now, held));
        metrics::gauge!("countersign_demotions_held").set(if held { 1.0 } else { 0.0 });
        held
    }

    /// Puts what this node saw where all nodes count it, and lets the brake go when no node sees a reason any more: nobody
    /// else may ask for a while.
    pub(crate) async fn watch_brake(&self) -> Result<()> {
        let now = self.clock.now();
        if self.brake.is_to_tell(now) {
            self.store.put_outcomes(&self.node, &self.brake.minutes(), first_minute(now)).await?;
        }
        if self.store.demotions_held().await?.is_some() {
            self.demotions_are_held().await;
        }
        Ok(())
    }

    async fn judge_brake(&self, now: Timestamp) -> Result<bool> {
        let since = first_minute(now);
        self.store.put_outcomes(&self.node, &self.brake.minutes(), since).await?;
        let recent = self.store.outcomes_since(since).await?;
        let reason = reason_to_hold(recent, self.sees_sentinel().await);
        let was = self.store.demotions_held().await?;
        match (reason, was) {
            (Some(reason), _) => self.hold_demotions(reason, recent, now).await.map(|()| true),
            (None, Some(held)) => self.let_demotions_go(&held, now).await.map(|gone| !gone),
            (None, None) => Ok(false),
        }
    }

    async fn hold_demotions(&self, reason: Reason, recent: Outcomes, now: Timestamp) -> Result<()> {
        let word = reason.as_str();
        let data = json!({"reason": word, "looked": recent.looked, "turned": recent.turned});
        let held = Held { since: now, reason: word.to_owned(), renewed_at: now };
        let events = self.operator_event("platform.demotions_held", &data, now).await?;
        if self.store.hold_demotions(&held, &events).await? {
            tracing::error!(
                reason = word,
                looked = recent.looked,
                turned = recent.turned,
                "demotions are held: the fault may be ours, see to the resolvers and the delegation of the platform zone"
            );
        }
        Ok(())
    }

    /// Whether they are not held any more. A node whose resolvers are well lets nothing go while another's are not.
    async fn let_demotions_go(&self, held: &Held, now: Timestamp) -> Result<bool> {
        let quiet_since = now.checked_sub(SignedDuration::from_mins(WINDOW)).unwrap_or(now);
        if held.renewed_at > quiet_since {
            return Ok(false);
        }
        let data = json!({"reason": held.reason, "held_since": held.since});
        let events = self.operator_event("platform.demotions_released", &data, now).await?;
        let released = self.store.release_demotions(quiet_since, &events).await?;
        if released {
            tracing::warn!(reason = held.reason, since = %held.since, "demotions are not held any more");
        }
        // Another node may have let them go, or seen a reason: what is stored counts.
        Ok(released || self.store.demotions_held().await?.is_none())
    }

    /// An event of the organisation that the instance began with: those who run it read it there.
    async fn operator_event(
        &self,
        event_type: &str,
        data: &serde_json::Value,
        now: Timestamp,
    ) -> Result<Vec<store::NewEvent>> {
        let first = self.store.first_organisation().await?;
        let subject = self.settings.platform_zone.to_string();
        Ok(first.map(|first| self.event(first.id, event_type, subject, data, now)).into_iter().collect())
    }

    /// Whether one resolver at least sees our own record, and none says that it is not there.
    async fn sees_sentinel(&self) -> bool {
        let (label, text) = SENTINEL;
        let Ok(name) = self.settings.platform_zone.prepend(label) else { return false };
        let policy = &self.settings.policy;
        let dns = self.dns_for(policy);
        let asks = policy.resolvers.iter().map(|resolver| {
            let question = Question { name: name.clone(), record_type: RecordType::Txt };
            let ask = Ask::new(question, Server::Resolver { address: *resolver });
            let dns = &dns;
            async move { dns.ask(&ask, policy).await }
        });
        let mut seen = false;
        for outcome in futures_util::future::join_all(asks).await {
            match outcome {
                Outcome::Reply(reply) if says(&reply, text) => seen = true,
                // It is there: who says otherwise says so of customers' records too.
                Outcome::Reply(Reply { rcode: Rcode::NoError | Rcode::NxDomain, .. }) => return false,
                Outcome::Reply(_) | Outcome::Failure(_) => {}
            }
        }
        seen
    }
}

/// The first of the minutes that count.
fn first_minute(now: Timestamp) -> i64 {
    now.as_second().div_euclid(60) - WINDOW
}

fn says(reply: &Reply, text: &str) -> bool {
    reply.answer.iter().any(|record| match &record.data {
        RecordData::Txt(data) => *data == TxtData::from_text(text),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_or_an_unseen_sentinel_hold_demotions() {
        let of = |looked, turned| reason_to_hold(Outcomes { looked, turned }, true);
        // A platform with a handful of domains: one or two may well break.
        assert_eq!(of(1, 1), None);
        assert_eq!(of(4, 2), None);
        assert_eq!(of(4, 3), Some(Reason::ManyAtOnce));
        // A large one: two in a hundred, and ten at least.
        assert_eq!(of(1_000, 9), None);
        assert_eq!(of(1_000, 20), None);
        assert_eq!(of(1_000, 21), Some(Reason::ManyAtOnce));
        assert_eq!(of(100, 10), Some(Reason::ManyAtOnce));
        assert_eq!(of(u64::MAX, u64::MAX), Some(Reason::ManyAtOnce));
        assert_eq!(of(0, 0), None);
        let unseen = reason_to_hold(Outcomes { looked: 1_000, turned: 0 }, false);
        assert_eq!(unseen, Some(Reason::Sentinel));
    }

    #[test]
    fn only_the_last_minutes_count() {
        let brake = Brake::default();
        let at = |minute: i64| Timestamp::from_second(1_700_000_040 + minute * 60).unwrap();
        for minute in 0..30 {
            brake.note(minute % 2 == 0, at(minute));
        }
        let minutes = brake.minutes();
        assert_eq!(minutes.len(), 11);
        assert_eq!(minutes.iter().map(|(_, outcomes)| outcomes.turned).sum::<u64>(), 5);
    }
}
