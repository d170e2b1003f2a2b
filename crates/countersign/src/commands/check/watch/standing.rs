//! Where the records of a domain stand at one look, and when to look next.

use diagnosis::{
    Observation, RecordReport, Report,
    observation::{Exchange, Outcome, Rcode, Server},
};
use model::{RecordStatus, RecordType, Timestamp};
use std::{sync::Arc, time::Duration};

/// How many servers of a kind have a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Have it.
    pub right: usize,
    /// Have something else, or nothing.
    pub wrong: usize,
    /// Gave no clear answer.
    pub silent: usize,
}

impl Count {
    fn of(record: &RecordReport, resolvers: bool) -> Self {
        let mut count = Self::default();
        for seen in &record.seen {
            if matches!(seen.server, Server::Resolver { .. }) == resolvers {
                match seen.right {
                    Some(true) => count.right += 1,
                    Some(false) => count.wrong += 1,
                    None => count.silent += 1,
                }
            }
        }
        count
    }

    fn words(self, kind: &str) -> String {
        let total = self.right + self.wrong + self.silent;
        let plural = if total == 1 { "" } else { "s" };
        let silent = if self.silent == 0 { String::new() } else { format!(" ({} silent)", self.silent) };
        format!("{} of {total} {kind}{plural}{silent}", self.right)
    }
}

/// Where one record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The record's key.
    pub key: String,
    /// Its name, in full.
    pub name: String,
    /// Whether the domain needs it.
    pub required: bool,
    /// What became of it.
    pub status: RecordStatus,
    /// The zone's name servers.
    pub name_servers: Count,
    /// " (1 of 1 by IPv4, 0 of 1 by IPv6)", where that is not the same; else nothing.
    pub families: String,
    /// The resolvers.
    pub resolvers: Count,
    /// What is wrong, where anything is.
    pub problem: Option<String>,
}

impl Standing {
    fn of(record: &RecordReport, report: &Report) -> Self {
        let key = &record.planned.key;
        let problem = report.findings.iter().find(|finding| finding.record.as_ref() == Some(key));
        Self {
            key: explain::shown::value(key),
            name: explain::shown::value(record.planned.owner.as_str()),
            required: record.planned.required,
            status: record.status,
            name_servers: Count::of(record, false),
            families: record.propagation.by_family().map_or_else(String::new, |[v4, v6]| {
                let (all_v4, all_v6) = (v4.asked(), v6.asked());
                format!(" ({} of {all_v4} by IPv4, {} of {all_v6} by IPv6)", v4.right, v6.right)
            }),
            resolvers: Count::of(record, true),
            // In a few words: the report that ends the watch says it in full.
            problem: problem.and_then(|problem| Some(explain::page(problem.code())?.title.to_owned())),
        }
    }

    /// Whether everybody who answers has it. A policy that is inherited is at nobody's and right all the same.
    pub fn is_everywhere(&self) -> bool {
        let has = self.name_servers.right + self.resolvers.right;
        let has_not = self.name_servers.wrong + self.resolvers.wrong;
        self.status == RecordStatus::Verified && (has_not == 0 || has == 0)
    }

    /// Whether it is right though nobody has it: a policy further up holds for the domain.
    fn is_inherited(&self) -> bool {
        self.status == RecordStatus::Verified
            && !self.is_begun()
            && self.name_servers.wrong + self.resolvers.wrong > 0
    }

    /// Whether anybody has it.
    fn is_begun(&self) -> bool {
        self.name_servers.right + self.resolvers.right > 0
    }

    /// One word for where it stands.
    pub fn word(&self) -> &'static str {
        match self.status {
            _ if self.is_inherited() => "inherited",
            _ if self.is_everywhere() => "done",
            RecordStatus::Verified | RecordStatus::Pending => "on its way",
            RecordStatus::Missing => "missing",
            RecordStatus::Failed => "wrong",
            RecordStatus::Unknown => "unknown",
        }
    }

    /// Who has it, and what is wrong.
    pub fn detail(&self) -> String {
        if self.is_inherited() {
            return "a policy further up holds".to_owned();
        }
        let mut detail = self.resolvers.words("resolver");
        if self.name_servers != Count::default() {
            detail = format!("{}{}, {detail}", self.name_servers.words("name server"), self.families);
        }
        match (&self.problem, self.status) {
            (Some(problem), RecordStatus::Failed | RecordStatus::Missing) => format!("{detail}: {problem}"),
            _ => detail,
        }
    }
}

/// Where all records stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The records, in the plan's order.
    pub records: Vec<Standing>,
    /// When the last resolver will have let go of an older answer.
    pub visible_everywhere_by: Option<Timestamp>,
}

impl Look {
    /// Reads a report.
    pub fn at(report: &Report) -> Self {
        Self {
            records: report.records.iter().map(|record| Standing::of(record, report)).collect(),
            visible_everywhere_by: report.visible_everywhere_by,
        }
    }

    /// The records that are waited for: those that the domain needs, and of the others those that somebody has begun
    /// to publish.
    pub fn awaited(&self) -> impl Iterator<Item = &Standing> {
        let none_required = !self.records.iter().any(|record| record.required);
        self.records.iter().filter(move |record| none_required || record.required || record.is_begun())
    }

    /// The domain needs only some of its records, and the others are not waited for.
    pub fn awaits_required_only(&self) -> bool {
        self.awaited().count() < self.records.len() && self.awaited().all(|record| record.required)
    }

    /// What to say when the waiting is over.
    pub fn closing(&self) -> String {
        let open: Vec<&Standing> = self.records.iter().filter(|record| !record.is_everywhere()).collect();
        let keys = |is_wrong: bool| {
            let is_asked = |record: &&&Standing| (record.status == RecordStatus::Failed) == is_wrong;
            open.iter().filter(is_asked).map(|record| record.key.as_str()).collect::<Vec<_>>().join(", ")
        };
        let rest: Vec<String> = [("still wrong", keys(true)), ("not there", keys(false))]
            .into_iter()
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(words, keys)| format!("; {words}: {keys}"))
            .collect();
        match rest.as_slice() {
            [] => "Everything is seen everywhere.".to_owned(),
            rest => format!("All required records are seen everywhere{}.", rest.concat()),
        }
    }

    /// Whether everything that is waited for is everywhere.
    pub fn is_done(&self) -> bool {
        self.awaited().all(Standing::is_everywhere)
    }

    /// What is different from the look before, one line a record; all of them at the first look.
    pub fn changes(&self, before: Option<&Self>) -> Vec<String> {
        let was = |key: &str| before.and_then(|look| look.records.iter().find(|record| record.key == key));
        self.records
            .iter()
            .filter(|record| was(&record.key) != Some(record))
            .map(|record| format!("{}: {}, {}", record.key, record.word(), record.detail()))
            .collect()
    }
}

/// When to look next: soon while things change, less and less often while they do not.
#[derive(Debug, Clone)]
pub struct Pace {
    shortest: Duration,
    interval: Duration,
}

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(30);

impl Pace {
    /// Begins with `shortest` between two looks.
    pub fn new(shortest: Duration) -> Self {
        Self { shortest, interval: shortest }
    }

    /// How long to wait after a look at `now`. A cache that lets go earlier is looked at then.
    pub fn wait(&mut self, changed: bool, cache_ends: Option<Timestamp>, now: Timestamp) -> Duration {
        self.interval =
            if changed { self.shortest } else { (self.interval * 3 / 2).min(LONGEST.max(self.shortest)) };
        let ends = cache_ends.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        // A second more: TTLs are whole seconds.
        let ends = ends.map(|left| left + Duration::from_secs(1)).filter(|left| *left >= self.shortest);
        ends.map_or(self.interval, |left| left.min(self.interval))
    }
}

/// How long a resolver's answer about a record is kept before the resolver is asked again. Behind the address of a
/// public one are many caches, so that its next answer may be another one before the TTL has ended.
const RESOLVER_AGAIN: Duration = Duration::from_secs(30);

/// What need not be asked again: where the zones and their servers are, for as long as that may be cached, and what
/// resolvers said just now. `patience` is the shortest time between two looks.
pub fn still_known(observation: &Observation, now: Timestamp, patience: Duration) -> Observation {
    let again = RESOLVER_AGAIN.min(patience * 10);
    let is_known = |exchange: &&Arc<Exchange>| {
        let Outcome::Reply(reply) = &exchange.outcome else { return false };
        let Ok(age) = Duration::try_from(now.duration_since(exchange.at)) else { return false };
        let tells_servers = matches!(
            exchange.ask.question.record_type,
            RecordType::Soa | RecordType::Ns | RecordType::A | RecordType::Aaaa
        );
        matches!(exchange.ask.server, Server::Resolver { .. })
            && matches!(reply.rcode, Rcode::NoError | Rcode::NxDomain)
            && age < Duration::from_secs(exchange.ttl().into())
            && (tells_servers || age < again)
    };
    Observation {
        exchanges: observation.exchanges.iter().filter(is_known).cloned().collect(),
        ..Observation::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: RecordStatus, servers: (usize, usize), resolvers: (usize, usize)) -> Standing {
        let count = |(right, wrong)| Count { right, wrong, silent: 0 };
        Standing {
            key: "spf".to_owned(),
            name: "acme.test".to_owned(),
            required: true,
            status,
            name_servers: count(servers),
            families: String::new(),
            resolvers: count(resolvers),
            problem: None,
        }
    }

    fn look(records: Vec<Standing>) -> Look {
        Look { records, visible_everywhere_by: None }
    }

    #[test]
    fn a_record_is_done_when_everybody_who_answers_has_it() {
        use RecordStatus::{Failed, Missing, Pending, Verified};
        assert!(record(Verified, (2, 0), (3, 0)).is_everywhere());
        assert!(record(Verified, (0, 2), (0, 3)).is_everywhere(), "inherited");
        assert!(!record(Verified, (2, 0), (2, 1)).is_everywhere());
        assert!(!record(Pending, (1, 1), (0, 3)).is_everywhere());
        assert!(!record(Failed, (2, 0), (3, 0)).is_everywhere());
        let optional = |status, servers| Standing { required: false, ..record(status, servers, (0, 0)) };
        let done = record(Verified, (2, 0), (3, 0));
        assert!(look(vec![done.clone(), optional(Missing, (0, 2))]).is_done(), "nobody has begun with it");
        assert!(!look(vec![done, optional(Pending, (1, 1))]).is_done());
        assert!(!look(vec![optional(Missing, (0, 2))]).is_done(), "nothing else is waited for");
    }

    #[test]
    fn what_is_not_waited_for_is_named_when_the_waiting_ends() {
        let optional = |key: &str, status| Standing {
            key: key.to_owned(),
            required: false,
            ..record(status, (0, 2), (0, 1))
        };
        let done = record(RecordStatus::Verified, (2, 0), (3, 0));
        assert_eq!(look(vec![done.clone()]).closing(), "Everything is seen everywhere.");
        let inherited = optional("dmarc", RecordStatus::Verified);
        assert_eq!(
            (inherited.word(), inherited.detail().as_str()),
            ("inherited", "a policy further up holds")
        );
        assert_eq!(look(vec![done.clone(), inherited]).closing(), "Everything is seen everywhere.");
        let wrong = look(vec![
            done,
            optional("dmarc", RecordStatus::Failed),
            optional("mx", RecordStatus::Failed),
            optional("a", RecordStatus::Missing),
        ]);
        assert!(wrong.is_done() && wrong.awaits_required_only());
        assert_eq!(
            wrong.closing(),
            "All required records are seen everywhere; still wrong: dmarc, mx; not there: a."
        );
    }

    #[test]
    fn only_what_changed_is_told() {
        let first = look(vec![record(RecordStatus::Missing, (0, 2), (0, 1))]);
        assert_eq!(first.changes(None), ["spf: missing, 0 of 2 name servers, 0 of 1 resolver"]);
        assert!(first.changes(Some(&first)).is_empty());
        let second = look(vec![record(RecordStatus::Verified, (2, 0), (1, 0))]);
        assert_eq!(second.changes(Some(&first)), ["spf: done, 2 of 2 name servers, 1 of 1 resolver"]);
    }

    #[test]
    fn looks_become_rarer_until_something_changes_or_a_cache_ends() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let seconds = Duration::from_secs;
        let mut pace = Pace::new(seconds(4));
        assert_eq!(pace.wait(true, None, now), seconds(4));
        assert_eq!(pace.wait(false, None, now), seconds(6));
        assert_eq!(pace.wait(false, None, now), seconds(9));
        for _ in 0..10 {
            pace.wait(false, None, now);
        }
        assert_eq!(pace.wait(false, None, now), LONGEST);
        let ends = "2026-11-21T10:00:12Z".parse().unwrap();
        assert_eq!(pace.wait(false, Some(ends), now), seconds(13));
        let passed = "2026-11-21T09:00:00Z".parse().unwrap();
        assert_eq!(pace.wait(false, Some(passed), now), LONGEST);
        assert_eq!(pace.wait(true, None, now), seconds(4));
    }
}
