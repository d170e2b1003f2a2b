//! Warm-up: how many messages a freshly verified domain may send on a day.
//!
//! Mailbox providers trust a new sender little and watch how its volume grows. So a domain may send 50 messages on
//! its first day (UTC), twice as many on each day that follows, and never more than the operator's limit; after
//! its last day nothing is capped any more. Messages are counted, not recipients. The count starts again at midnight
//! UTC. [`today`] decides that from times alone; the store counts, in the transaction that accepts a message, so
//! that neither parallel requests nor a restart pass the cap.
//!
//! The first day is the one on which the domain was first verified. A domain that fails later and recovers goes on
//! where it was; only deleting and adding it again starts anew.

use crate::{
    App,
    access::{Caller, Scope},
    domains::DomainView,
    error::{Error, Result},
};
use jiff::Timestamp;
use model::DomainId;
use serde_json::json;
use store::{DailyCap, StoreError, Told};

/// How many days a warm-up takes unless the customer says otherwise.
pub const DEFAULT_DAYS: u32 = 14;

/// The longest warm-up, in days.
pub const MOST_DAYS: u32 = 90;

/// How many messages a domain may send on its first day.
const FIRST_DAY: u64 = 50;

const DAY_SECONDS: i64 = 86_400;

/// What a domain's warm-up allows today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// The day of the warm-up, counted from 1.
    pub day: u32,
    /// The date, in days since 1970-01-01 (UTC).
    pub date: i64,
    /// How many messages it may send today; one at least.
    pub cap: u64,
    /// The midnight UTC at which the count starts again.
    pub resets_at: Timestamp,
}

/// A domain's warm-up as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warmup {
    /// What it allows today.
    pub today: Today,
    /// How many messages were accepted today.
    pub sent_today: u64,
}

impl Warmup {
    /// Whether no further message may be sent today.
    pub const fn is_used_up(&self) -> bool {
        self.sent_today >= self.today.cap
    }
}

/// What a warm-up of so many `days` allows now; nothing when there is none or it is over.
///
/// `started_at` is when the domain was first verified; before that it is as on the first day, and so it is when the
/// clock was set back to before it. `limit` is the most that any day allows.
pub fn today(started_at: Option<Timestamp>, days: u32, limit: u64, now: Timestamp) -> Option<Today> {
    let date = date_of(now);
    let passed = started_at.map_or(0, |started_at| date.saturating_sub(date_of(started_at)).max(0));
    let passed = u32::try_from(passed).unwrap_or(u32::MAX);
    if passed >= days {
        return None;
    }
    let doubled = 1_u64.checked_shl(passed).and_then(|factor| FIRST_DAY.checked_mul(factor));
    Some(Today {
        day: passed + 1,
        date,
        cap: doubled.unwrap_or(u64::MAX).min(limit).max(1),
        resets_at: Timestamp::from_second((date + 1) * DAY_SECONDS).unwrap_or(Timestamp::MAX),
    })
}

/// The date in UTC, in days since 1970-01-01.
pub(crate) fn date_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(DAY_SECONDS)
}

/// Whole seconds until a time, rounded up; one at least, so that a client that waits does not come too early.
pub fn seconds_until(at: Timestamp, now: Timestamp) -> u32 {
    let millis = at.as_millisecond().saturating_sub(now.as_millisecond());
    let seconds = u64::try_from(millis).unwrap_or(0).div_ceil(1_000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// A length of warm-up as a caller gave it.
pub(crate) fn checked_days(days: u32) -> Result<u32> {
    if days <= MOST_DAYS {
        return Ok(days);
    }
    let message = format!("is more than {MOST_DAYS}; give 0 to {MOST_DAYS} days, 0 for no warm-up");
    Err(Error::field("warmup_days", message))
}

impl App {
    /// What a domain's warm-up allows today, and how much of it is used.
    pub(crate) async fn warmup_of(&self, domain: &store::Domain) -> Result<Option<Warmup>> {
        let Some(today) = self.warmup_today(domain, self.clock.now()) else { return Ok(None) };
        let sent_today = match domain.warmup_started_at {
            Some(_) => self.store.messages_on_day(domain.id, today.date).await?,
            None => 0,
        };
        Ok(Some(Warmup { today, sent_today }))
    }

    pub(crate) fn warmup_today(&self, domain: &store::Domain, now: Timestamp) -> Option<Today> {
        let (days, limit) = (domain.warmup_days.unwrap_or(0), self.settings.warmup_daily_limit);
        today(domain.warmup_started_at, days, limit, now)
    }

    /// Sets how many days a domain's warm-up takes, counted from the day on which it was first verified. 0 ends it.
    pub async fn set_warmup_days(&self, caller: &Caller, id: DomainId, days: u32) -> Result<DomainView> {
        caller.require(Scope::WriteDomains)?;
        let days = checked_days(days)?;
        let domain = self.stored_domain(caller, id).await?;
        let now = self.clock.now();
        let data = json!({"domain": domain.name, "warmup_days": days});
        let event = self.event(caller.org_id, "domain.updated", id.to_string(), &data, now);
        let data = json!({"domain": domain.name, "warmup_days": days, "before": {"warmup_days": domain.warmup_days}});
        let audit = self.audit_entry(caller, "domain.updated", &id, &data, now);
        let told = Told::new(std::slice::from_ref(&event), &audit);
        let changed = match self.store.set_warmup_days(caller.org_id, id, days, told).await {
            // Deleted meanwhile.
            Err(StoreError::NotFound(_)) => {
                return Err(Error::NotFound { noun: "domain", id: id.to_string() });
            }
            other => other?,
        };
        tracing::info!(domain = %changed.name, days, "the length of a domain's warm-up was set");
        self.domain_view(changed).await
    }
}

impl DomainView {
    /// The cap that a message of this domain counts against.
    pub(crate) fn daily_cap(&self) -> Option<DailyCap> {
        self.warmup.map(|warmup| DailyCap { day: warmup.today.date, messages: warmup.today.cap })
    }

    /// The refusal of a message, where the warm-up stands like this.
    pub(crate) fn warmup_refusal(&self, warmup: Warmup, now: Timestamp) -> Error {
        Error::WarmupLimitExceeded {
            domain: self.domain.name.clone(),
            warmup,
            days: self.domain.warmup_days.unwrap_or(0),
            retry_after: seconds_until(warmup.today.resets_at, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cap(started: &str, days: u32, limit: u64, now: &str) -> Option<(u32, u64)> {
        today(Some(time(started)), days, limit, time(now)).map(|today| (today.day, today.cap))
    }

    #[test]
    fn it_doubles_each_day_and_ends() {
        let caps: Vec<_> = (0..14)
            .map(|day| {
                let now = time("2026-11-01T15:00:00Z")
                    .checked_add(jiff::SignedDuration::from_hours(24 * day))
                    .unwrap();
                let today = today(Some(time("2026-11-01T15:00:00Z")), 14, u64::MAX, now).unwrap();
                assert_eq!(i64::from(today.day), day + 1);
                today.cap
            })
            .collect();
        assert_eq!(
            caps,
            [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 409_600]
        );
        assert_eq!(cap("2026-11-01T15:00:00Z", 14, u64::MAX, "2026-11-15T00:00:00Z"), None);
        assert_eq!(cap("2026-11-01T15:00:00Z", 14, u64::MAX, "2026-11-14T23:59:59Z"), Some((14, 409_600)));
    }

    #[test]
    fn a_day_ends_at_midnight_utc_however_short_it_was() {
        let started = "2026-11-30T23:59:59.9Z";
        assert_eq!(cap(started, 14, 100_000, "2026-11-30T23:59:59.999Z"), Some((1, 50)));
        assert_eq!(cap(started, 14, 100_000, "2026-12-01T00:00:00Z"), Some((2, 100)));
        let now = time("2026-12-31T23:59:58.5Z");
        let last = today(Some(now), 1, 100_000, now).unwrap();
        assert_eq!(last.resets_at, time("2027-01-01T00:00:00Z"));
        assert_eq!(seconds_until(last.resets_at, now), 2);
        assert_eq!(cap("2028-02-28T12:00:00Z", 14, 100_000, "2028-03-01T00:00:00Z"), Some((3, 200)));
    }

    #[test]
    fn the_limit_holds_on_every_day_and_no_doubling_overflows() {
        assert_eq!(cap("2026-11-01T00:00:00Z", 14, 1_000, "2026-11-05T00:00:00Z"), Some((5, 800)));
        assert_eq!(cap("2026-11-01T00:00:00Z", 14, 1_000, "2026-11-06T00:00:00Z"), Some((6, 1_000)));
        assert_eq!(cap("2026-11-01T00:00:00Z", 14, 10, "2026-11-01T00:00:00Z"), Some((1, 10)));
        // Day 60: 50 times 2 to the 59th is more than 64 bits hold; so is 2 to the 79th alone.
        assert_eq!(cap("2026-01-01T00:00:00Z", 90, u64::MAX, "2026-03-01T00:00:00Z"), Some((60, u64::MAX)));
        assert_eq!(cap("2026-01-01T00:00:00Z", 90, 100_000, "2026-03-21T00:00:00Z"), Some((80, 100_000)));
        assert_eq!(
            cap("1970-01-01T00:00:00Z", u32::MAX, 7, "9999-12-30T00:00:00Z").map(|(_, cap)| cap),
            Some(7)
        );
    }

    #[test]
    fn a_clock_that_goes_back_stays_on_the_first_day() {
        assert_eq!(cap("2026-11-10T12:00:00Z", 14, 100_000, "2026-11-10T11:00:00Z"), Some((1, 50)));
        assert_eq!(cap("2026-11-10T12:00:00Z", 14, 100_000, "2026-11-02T00:00:00Z"), Some((1, 50)));
        assert_eq!(cap("2026-11-10T12:00:00Z", 14, 100_000, "1969-12-31T23:59:59Z"), Some((1, 50)));
        assert_eq!(seconds_until(time("2026-11-10T00:00:00Z"), time("2026-11-11T00:00:00Z")), 1);
    }

    #[test]
    fn without_days_there_is_none_and_before_the_start_it_is_the_first() {
        assert_eq!(cap("2026-11-10T12:00:00Z", 0, 100_000, "2026-11-10T12:00:00Z"), None);
        assert_eq!(today(None, 0, 100_000, time("2026-11-10T12:00:00Z")), None);
        let waiting = today(None, 14, 100_000, time("2026-11-10T12:00:00Z")).unwrap();
        assert_eq!((waiting.day, waiting.cap), (1, 50));
    }
}
