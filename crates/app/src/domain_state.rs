//! The life of a sender domain's DNS status: a pure function from state, what was seen, and time to the next state.
//!
//! ```text
//! pending ── pass ──▶ verified ── fails, confirmed ──▶ verified, with a warning ── the grace is over ──▶ failed
//!    │                  ▲  ▲                              │     reminders on the way                      │
//!    │                  │  └──────────── pass ────────────┘                                               │
//!    └─ 72 h of fail ─▶ failed ──────────────────────────────── pass ──────────────▶ verified ◀───────────┘
//! ```
//!
//! Nothing temporary takes anything away:
//!
//! - **Unknown changes nothing**, ever, and a check on demand never takes anything away.
//! - **A break is confirmed** before anything changes: it must have been seen by several checks in a row over
//!   [`CONFIRM`], and by more than one server. The first check that fails only brings the next ones closer. What only
//!   one server says has to last for [`CONFIRM_ALONE`].
//! - **Then comes the warning**, with a time at which sending stops. Until then it goes on, and reminders are sent;
//!   it never stops without a last one in time.
//! - **The grace runs only while the break is seen.** Time in which nobody could look (no answers, the platform was
//!   down, demotions were held) is put on top.
//! - **A name has one holder.** Right records of a name that another organisation holds leave the domain pending, until
//!   the name is free or was claimed ([`crate::claims`]).
//! - **Nothing flaps**: a domain that breaks again within a day has to be broken for longer to be warned again.

use jiff::{SignedDuration, Timestamp};
use model::{DomainStatus, Verdict};
use store::Watch;

/// How long a domain may be pending before it counts as failed.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(72);

/// How long a break must have been seen before it is one.
pub const CONFIRM: SignedDuration = SignedDuration::from_mins(15);

/// The same where no second server says so.
pub const CONFIRM_ALONE: SignedDuration = SignedDuration::from_hours(24);

/// How many checks in a row must have seen a break.
const CONFIRMING: u32 = 3;

/// Two checks further apart than this say nothing about the time between them.
const GAP: SignedDuration = SignedDuration::from_hours(2);

/// How long before sending stops its owner is reminded.
const REMINDERS: [SignedDuration; 2] = [SignedDuration::from_hours(24), SignedDuration::from_hours(2)];

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// For how long a break is held against a domain.
pub(crate) const MEMORY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Where a domain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its status.
    pub status: DomainStatus,
    /// Whether a verified domain is broken at the moment.
    pub warning: bool,
    /// When it was last found verified after not being so.
    pub verified_at: Option<Timestamp>,
    /// When it will count as failed if nothing changes; of a failed domain, when it did.
    pub fails_at: Option<Timestamp>,
    /// Checks in a row that failed for certain.
    pub consecutive_failures: u32,
    /// Whether its records are right and another organisation holds its name.
    pub held_elsewhere: bool,
    /// What is remembered of its breaks.
    pub watch: Watch,
}

/// Why the check was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// It was due.
    Schedule,
    /// Someone asked for it.
    Demand,
}

/// What a check saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its verdict.
    pub verdict: Verdict,
    /// How many servers say that a required record is not right.
    pub perspectives: usize,
    /// Why it was made.
    pub trigger: Trigger,
    /// Whether demotions are held, since the fault may be ours ([`crate::outage`]).
    pub held: bool,
    /// Whether another organisation holds the name.
    pub elsewhere: bool,
}

/// What the operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a verified domain that broke may go on sending.
    pub grace: SignedDuration,
    /// The longest that a domain which is right is left alone.
    pub longest_watch: SignedDuration,
}

impl Rules {
    /// Rules in hours.
    pub fn of_hours(grace: u32, longest_watch: u32) -> Self {
        let hours = |hours| SignedDuration::from_hours(i64::from(hours));
        Self { grace: hours(grace), longest_watch: hours(longest_watch) }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::of_hours(72, 24)
    }
}

/// What happened to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// All required records were seen.
    Verified,
    /// It is broken, and will stop sending.
    Warned,
    /// It is still broken, and will stop sending soon.
    Reminded,
    /// It was broken, and is right again.
    Recovered,
    /// It cannot send any more.
    Failed,
}

impl Change {
    /// The event that tells of it.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Verified => "domain.verified",
            Self::Warned => "domain.warning",
            Self::Reminded => "domain.reminder",
            Self::Recovered => "domain.recovered",
            Self::Failed => "domain.failed",
        }
    }
}

impl State {
    /// A domain that was just added.
    pub fn added(now: Timestamp) -> Self {
        Self {
            status: DomainStatus::Pending,
            warning: false,
            verified_at: None,
            fails_at: Some(later(now, PATIENCE)),
            consecutive_failures: 0,
            held_elsewhere: false,
            watch: Watch::default(),
        }
    }

    /// Whether it is a verified domain of which nothing bad is known.
    pub const fn is_calm(&self) -> bool {
        matches!(self.status, DomainStatus::Verified) && !self.warning && self.watch.suspected_since.is_none()
    }

    /// The same domain without a break under way; what is remembered of those before stays.
    fn whole(&self) -> Self {
        let Watch { breaks, last_break_at, .. } = self.watch;
        Self {
            warning: false,
            fails_at: None,
            consecutive_failures: 0,
            held_elsewhere: false,
            watch: Watch { breaks, last_break_at, ..Watch::default() },
            ..self.clone()
        }
    }
}

/// The next state, and what happened on the way to it.
pub fn next(state: &State, look: Look, rules: &Rules, now: Timestamp) -> (State, Option<Change>) {
    let scheduled = look.trigger == Trigger::Schedule;
    match (state.status, look.verdict) {
        (DomainStatus::Verified, Verdict::Pass) => {
            (state.whole(), state.warning.then_some(Change::Recovered))
        }
        (DomainStatus::Pending | DomainStatus::Failed, Verdict::Pass) if look.elsewhere => {
            let fails_at = state.fails_at.filter(|_| state.status == DomainStatus::Pending);
            let fails_at = fails_at.or_else(|| Some(later(now, PATIENCE)));
            let status = DomainStatus::Pending;
            (State { status, fails_at, held_elsewhere: true, ..state.whole() }, None)
        }
        (DomainStatus::Pending | DomainStatus::Failed, Verdict::Pass) => {
            let status = DomainStatus::Verified;
            (State { status, verified_at: Some(now), ..state.whole() }, Some(Change::Verified))
        }
        (DomainStatus::Verified, Verdict::Fail) if scheduled => broken(state.clone(), look, rules, now),
        (DomainStatus::Pending, Verdict::Fail) if scheduled && !look.held => {
            let mut next = State { held_elsewhere: false, ..state.clone() };
            next.consecutive_failures += 1;
            let is_over = state.fails_at.is_some_and(|fails_at| now >= fails_at);
            if is_over { (failed(next, now), Some(Change::Failed)) } else { (next, None) }
        }
        // Unknown, a switched-off domain, a failure on demand, and one that is known already.
        _ => (state.clone(), None),
    }
}

fn failed(state: State, now: Timestamp) -> State {
    State { status: DomainStatus::Failed, warning: false, fails_at: Some(now), ..state }
}

/// A verified domain was seen to be broken by a scheduled check.
fn broken(mut next: State, look: Look, rules: &Rules, now: Timestamp) -> (State, Option<Change>) {
    if look.held {
        // As if nobody had looked: the time until it is seen again is put on top of the grace. It turned, though.
        next.watch.suspected_since.get_or_insert(now);
        return (next, None);
    }
    let unseen = next.watch.last_failure_at.map(|last| now.duration_since(last));
    match unseen.filter(|unseen| *unseen <= GAP) {
        Some(_) => {}
        None if next.warning => {
            next.fails_at = next.fails_at.map(|fails_at| later(fails_at, unseen.unwrap_or_default()));
        }
        None => {
            next.watch.suspected_since = Some(now);
            next.consecutive_failures = 0;
        }
    }
    next.watch.last_failure_at = Some(now);
    next.consecutive_failures += 1;
    if next.warning { warned(next, look, rules, now) } else { suspected(next, look, rules, now) }
}

fn suspected(mut next: State, look: Look, rules: &Rules, now: Timestamp) -> (State, Option<Change>) {
    let since = next.watch.suspected_since.unwrap_or(now);
    let seen_for = now.duration_since(since);
    if next.consecutive_failures < CONFIRMING || seen_for < needed(&next.watch, look, now) {
        return (next, None);
    }
    let known = next.watch.last_break_at.is_some_and(|last| now.duration_since(last) < MEMORY);
    next.watch.breaks = if known { next.watch.breaks.saturating_add(1) } else { 1 };
    next.watch.last_break_at = Some(now);
    next.watch.reminders = 0;
    next.warning = true;
    next.fails_at = Some(later(now, rules.grace));
    (next, Some(Change::Warned))
}

/// For how long a break must have been seen.
fn needed(watch: &Watch, look: Look, now: Timestamp) -> SignedDuration {
    if look.perspectives < 2 {
        return CONFIRM_ALONE;
    }
    match watch.last_break_at {
        Some(last) if now.duration_since(last) < DAY => CONFIRM * (1 << watch.breaks.min(4)),
        _ => CONFIRM,
    }
}

fn warned(mut next: State, look: Look, rules: &Rules, now: Timestamp) -> (State, Option<Change>) {
    let stops_at = next.fails_at.unwrap_or(now);
    let reminders = reminders(rules.grace);
    let (all, last) = (count(reminders.len()), reminders.last().copied().unwrap_or_default());
    let due = reminders.iter().filter(|before| now >= earlier(stops_at, **before)).count();
    if count(due) > next.watch.reminders {
        next.watch.reminders = count(due);
        if count(due) == all {
            // Late perhaps: what is promised is the time from the last reminder on.
            next.fails_at = Some(stops_at.max(later(now, last)));
        }
        return (next, Some(Change::Reminded));
    }
    let seen_for = next.watch.suspected_since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    let is_sure = look.perspectives >= 2 || seen_for >= CONFIRM_ALONE;
    if now >= stops_at && is_sure { (failed(next, now), Some(Change::Failed)) } else { (next, None) }
}

/// How long before the end reminders are sent, the longest first; one at least.
fn reminders(grace: SignedDuration) -> Vec<SignedDuration> {
    let mut fitting: Vec<_> = REMINDERS.into_iter().filter(|before| *before < grace).collect();
    if fitting.is_empty() {
        fitting.push(grace / 2);
    }
    fitting
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// When something is to happen to a warned domain: the next reminder, or the end.
pub(crate) fn next_deadline(state: &State, rules: &Rules) -> Option<Timestamp> {
    let stops_at = state.fails_at.filter(|_| state.warning)?;
    let sent = usize::try_from(state.watch.reminders).unwrap_or(usize::MAX);
    Some(reminders(rules.grace).get(sent).map_or(stops_at, |before| earlier(stops_at, *before)))
}

#[cfg(test)]
mod tests;
