//! Whether the platform itself is in order: what was seen of it, judged, with the fix for each thing that is not.
//!
//! Whoever can see a fact gathers it (the composition root sees disks and ports, the store its work); judging is pure.
//! A fact that could not be had is told as unknown, never as good.

use crate::{App, error::Result};
use diagnosis::{Plan, PlannedRecord, Report, plan::Expected, profile::TxtConflict};
use jiff::SignedDuration;
use model::{Purpose, RecordData, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the questions about our own zone may take.
const DEADLINE: Duration = Duration::from_secs(8);

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// In order.
    Ok,
    /// It could not be seen.
    Unknown,
    /// It works, and will not for long.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthItem {
    /// What: `clock`, `disk`, `database`, …
    pub code: String,
    /// How it stands.
    pub state: HealthState,
    /// What was seen, in one line.
    pub seen: String,
    /// What to do; `None` where nothing is to be done.
    pub fix: Option<String>,
}

impl HealthItem {
    /// A thing in order.
    pub fn ok(code: &str, seen: impl Into<String>) -> Self {
        Self { code: code.to_owned(), state: HealthState::Ok, seen: seen.into(), fix: None }
    }

    /// A thing that is not, or that could not be seen.
    pub fn not_ok(code: &str, state: HealthState, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code: code.to_owned(), state, seen: seen.into(), fix: Some(fix.into()) }
    }
}

/// What the store shows of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkFacts {
    /// How long a durable write took, or why it failed.
    pub write: std::result::Result<Duration, String>,
    /// How far the database's clock is ahead of ours; `None` where the database is in this process.
    pub database_ahead: Option<SignedDuration>,
    /// Since when each kind of work is due and not taken, by its name; `None` where nothing waits.
    pub due_since: Vec<(&'static str, Option<Timestamp>)>,
    /// DKIM keys in the pool, and how many there should be.
    pub key_pool: (u64, u64),
    /// Whether nothing is left that an earlier master key sealed; `None` where there is no earlier one.
    pub earlier_keys_can_go: Option<bool>,
}

impl App {
    /// What the store shows of the work.
    pub async fn work_facts(&self) -> Result<WorkFacts> {
        let started = Instant::now();
        let write = match self.store.ping_write(self.clock.now()).await {
            Ok(()) => Ok(started.elapsed()),
            Err(error) => Err(crate::Error::from(error).to_string()),
        };
        let asked = self.clock.now();
        let database_ahead = self.store.database_time().await?.map(|at| {
            // Half of the way there and back.
            let way = self.clock.now().duration_since(asked) / 2;
            at.duration_since(asked) - way
        });
        Ok(WorkFacts {
            write,
            database_ahead,
            due_since: vec![
                ("checks", self.store.next_domain_due_at().await?),
                ("deliveries", self.store.next_delivery_due_at().await?),
                ("events", self.store.oldest_unnumbered_event().await?),
            ],
            key_pool: (self.store.count_pool_keys().await?, self.settings.key_pool as u64),
            earlier_keys_can_go: self.earlier_keys_can_go().await?,
        })
    }

    /// The report on our own zone, as the resolvers see it: whether it is delegated to us, whether what they find in it
    /// is what we serve, and whether the servers that send have names.
    pub async fn own_zone_report(&self) -> Report {
        let mut plan = own_zone_plan(&self.settings);
        if self.zones.load().has_sub_zones() {
            plan.records.extend(name_of_sub_zones(&self.settings).map(Arc::new));
        }
        let policy = &self.settings.policy;
        let clock = self.clock.clone();
        let observation =
            dns::observe(&self.dns_for(policy), &plan, policy, move || clock.now(), DEADLINE).await;
        diagnosis::diagnose(&plan, &observation, self.clock.now())
    }
}

/// A name that zones are delegated to: made up, as theirs are, and answered with the address of a name server.
fn name_of_sub_zones(settings: &crate::Settings) -> Option<PlannedRecord> {
    let server = settings.zone_servers().next()?;
    let address = *server.addresses.first()?;
    let data = match address {
        IpAddr::V4(v4) => RecordData::A(v4),
        IpAddr::V6(v6) => RecordData::Aaaa(v6),
    };
    Some(PlannedRecord {
        hosted: false,
        key: SUB_ZONE_SERVER.to_owned(),
        purpose: Purpose::Other,
        owner: server.name.prepend("health").ok()?,
        ttl: crate::platform_zone::TTL,
        required: true,
        expected: Expected::Address { data },
        explanation: String::new(),
    })
}

/// What is looked at where zones are delegated to us.
pub const SUB_ZONE_SERVER: &str = "delegated_zones";

/// The records of our own zone that everything depends on.
pub fn own_zone_plan(settings: &crate::Settings) -> Plan {
    let zone = &settings.platform_zone;
    let at = |label: &str| zone.prepend(label).unwrap_or_else(|_| zone.clone());
    let record = |key: &str, purpose, owner, expected| PlannedRecord {
        hosted: false,
        key: key.to_owned(),
        purpose,
        owner,
        ttl: crate::platform_zone::TTL,
        required: true,
        expected,
        explanation: String::new(),
    };
    let include = crate::platform_zone::spf_record(&settings.sender_addresses);
    let include = Expected::Txt { value: include, conflict: TxtConflict::default() };
    let bounces = Expected::Mx { preference: 10, exchange: at("feedback"), beside: Vec::new() };
    let records = vec![
        record("spf_include", Purpose::Other, at("spf"), include),
        record("bounces", Purpose::Other, at("bounce"), bounces),
    ];
    Plan { senders: settings.visible_senders(), ..Plan::new(zone.clone(), "platform", records) }
}

/// A clock that is further off than this signs and judges wrongly: mail is dated, signatures and sessions end.
const CLOCK_WARN: SignedDuration = SignedDuration::from_secs(2);
const CLOCK_FAIL: SignedDuration = SignedDuration::from_secs(60);

/// How far our clock is off, against whose.
pub fn judge_clock(ahead_of_us: Option<(SignedDuration, &str)>) -> HealthItem {
    const CODE: &str = "clock";
    const FIX: &str =
        "Let the system keep its clock by NTP: timedatectl set-ntp true, then timedatectl timesync-status.";
    let Some((off, whose)) = ahead_of_us else {
        return HealthItem::not_ok(
            CODE,
            HealthState::Unknown,
            "there is no other clock to compare with",
            "Name a time server in the configuration, such as time_server = \"ntp.example.com\".",
        );
    };
    let seconds = off.as_secs_f64();
    let seen = format!(
        "this machine is {:.1} s {} {whose}",
        seconds.abs(),
        if seconds > 0.0 { "behind" } else { "ahead of" }
    );
    match off.abs() {
        off if off >= CLOCK_FAIL => HealthItem::not_ok(CODE, HealthState::Fail, seen, FIX),
        off if off >= CLOCK_WARN => HealthItem::not_ok(CODE, HealthState::Warn, seen, FIX),
        _ => HealthItem::ok(CODE, seen),
    }
}

/// A disk with less than this free is soon full.
const DISK_WARN: u64 = 2 << 30;
const DISK_FAIL: u64 = 200 << 20;

/// What is free where the data is, of how much, in octets.
pub fn judge_disk(folder: &str, space: std::result::Result<(u64, u64), String>) -> HealthItem {
    const CODE: &str = "disk";
    let (free, total) = match space {
        Ok(space) => space,
        Err(problem) => {
            let seen = format!("{folder}: {problem}");
            return HealthItem::not_ok(
                CODE,
                HealthState::Fail,
                seen,
                "Look whether the data folder is mounted and readable.",
            );
        }
    };
    let gib = |octets: u64| octets / (1 << 20);
    let seen = format!("{} MiB of {} MiB free at {folder}", gib(free), gib(total));
    let fix = "Make room or take a larger disk: when it is full, nothing can be accepted any more.";
    match free {
        free if free < DISK_FAIL => HealthItem::not_ok(CODE, HealthState::Fail, seen, fix),
        free if free < DISK_WARN || free < total / 20 => {
            HealthItem::not_ok(CODE, HealthState::Warn, seen, fix)
        }
        _ => HealthItem::ok(CODE, seen),
    }
}

/// A durable write that takes longer holds everything up.
const WRITE_WARN: Duration = Duration::from_millis(250);

/// Work that is due for longer than this is not being done.
const DUE_WARN: SignedDuration = SignedDuration::from_mins(2);
const DUE_FAIL: SignedDuration = SignedDuration::from_mins(15);

/// The database, the age of each queue, and the pool of keys.
pub fn judge_work(facts: &WorkFacts, now: Timestamp) -> Vec<HealthItem> {
    let database = match &facts.write {
        Ok(took) if *took < WRITE_WARN => {
            HealthItem::ok("database", format!("a durable write took {} ms", took.as_millis()))
        }
        Ok(took) => HealthItem::not_ok(
            "database",
            HealthState::Warn,
            format!("a durable write took {} ms", took.as_millis()),
            "Look for a slow or shared disk under the database; every accepted message waits for such a write.",
        ),
        Err(problem) => HealthItem::not_ok(
            "database",
            HealthState::Fail,
            problem.clone(),
            "Nothing can be accepted until the database takes writes again. Look at its disk, its log and its connections.",
        ),
    };
    let mut items = vec![database];
    for (work, since) in &facts.due_since {
        let code = format!("queue_{work}");
        let late = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        let fix =
            "Look in the log for what fails, and at the load of this machine; another node shares the work.";
        items.push(match late {
            late if late >= DUE_FAIL => HealthItem::not_ok(&code, HealthState::Fail, overdue(late), fix),
            late if late >= DUE_WARN => HealthItem::not_ok(&code, HealthState::Warn, overdue(late), fix),
            _ => HealthItem::ok(&code, "nothing waits that is due"),
        });
    }
    let (have, want) = facts.key_pool;
    let seen = format!("{have} of {want} keys are made in advance");
    items.push(if have * 5 >= want {
        HealthItem::ok("key_pool", seen)
    } else {
        let fix = "Adding domains waits for keys until there are more: they are made in the background. If this stays, the \
                   machine is too busy.";
        HealthItem::not_ok("key_pool", HealthState::Warn, seen, fix)
    });
    items.extend(facts.earlier_keys_can_go.map(judge_master_key));
    items
}

fn judge_master_key(can_go: bool) -> HealthItem {
    if can_go {
        let seen = "every secret is sealed with the master key in force: previous_master_keys can go from the configuration";
        return HealthItem::ok("master_key", seen);
    }
    HealthItem::not_ok(
        "master_key",
        HealthState::Warn,
        "secrets are being sealed anew with the master key in force",
        "Leave previous_master_keys in the configuration of every node until this is done.",
    )
}

fn overdue(late: SignedDuration) -> String {
    format!("the oldest has been due for {} min and is not done", late.as_mins())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(item: &HealthItem) -> HealthState {
        assert_eq!(item.fix.is_none(), item.state == HealthState::Ok, "{item:?}");
        item.state
    }

    #[test]
    fn clocks_are_judged_either_way_and_never_without_another() {
        let off = |seconds| state(&judge_clock(Some((SignedDuration::from_secs(seconds), "the database"))));
        assert_eq!(
            [off(0), off(-1), off(5), off(-5), off(60), off(-600)].map(|state| state as u8),
            [0, 0, 2, 2, 3, 3]
        );
        assert_eq!(state(&judge_clock(None)), HealthState::Unknown);
        let behind = judge_clock(Some((SignedDuration::from_secs(90), "the database")));
        assert!(behind.seen.contains("90.0 s behind the database"), "{behind:?}");
    }

    #[test]
    fn disks_are_judged_by_what_is_free() {
        let disk = |free, total| state(&judge_disk("/data", Ok((free, total))));
        assert_eq!(disk(100 << 30, 200 << 30), HealthState::Ok);
        assert_eq!(disk(5 << 30, 200 << 30), HealthState::Warn);
        assert_eq!(disk(1 << 30, 2 << 30), HealthState::Warn);
        assert_eq!(disk(100 << 20, 2 << 30), HealthState::Fail);
        assert_eq!(state(&judge_disk("/data", Err("no such folder".to_owned()))), HealthState::Fail);
    }

    #[test]
    fn work_is_judged_by_how_long_it_has_been_due() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ago = |minutes: i64| Some(now - SignedDuration::from_mins(minutes));
        let facts = WorkFacts {
            write: Ok(Duration::from_millis(3)),
            database_ahead: None,
            due_since: vec![
                ("checks", ago(3)),
                ("deliveries", ago(20)),
                ("events", None),
                ("later", ago(-5)),
            ],
            key_pool: (5, 30),
            earlier_keys_can_go: Some(false),
        };
        let found: Vec<(String, HealthState)> =
            judge_work(&facts, now).iter().map(|item| (item.code.clone(), state(item))).collect();
        assert_eq!(
            found,
            [
                ("database".to_owned(), HealthState::Ok),
                ("queue_checks".to_owned(), HealthState::Warn),
                ("queue_deliveries".to_owned(), HealthState::Fail),
                ("queue_events".to_owned(), HealthState::Ok),
                ("queue_later".to_owned(), HealthState::Ok),
                ("key_pool".to_owned(), HealthState::Warn),
                ("master_key".to_owned(), HealthState::Warn),
            ]
        );
        let down = WorkFacts { write: Err("the disk is full".to_owned()), ..facts.clone() };
        assert_eq!(state(&judge_work(&down, now)[0]), HealthState::Fail);
        let slow = WorkFacts { write: Ok(Duration::from_secs(1)), ..facts };
        assert_eq!(state(&judge_work(&slow, now)[0]), HealthState::Warn);
    }
}
