//! The result of a diagnosis.

use crate::{
    Finding, MailPolicy, Propagation,
    observation::Server,
    plan::{Expected, PlannedRecord},
    well_known::TriedSelectors,
};
use model::{CheckStatus, DomainName, Purpose, RecordStatus, RecordType, Timestamp, Verdict};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// What is there, what is wrong, and what follows from it, for one domain at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The domain.
    pub domain: DomainName,
    /// The profile it was checked against.
    pub profile: String,
    /// When.
    pub checked_at: Timestamp,
    /// When the looking began, where the caller said: of two reports the one that began later knows better.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// Whether this is a single look, where the caller said: nobody checks the domain again by itself.
    #[serde(default)]
    pub once: bool,
    /// Whether all required records are right.
    pub verdict: Verdict,
    /// SPF as a whole.
    pub spf_status: CheckStatus,
    /// DKIM as a whole.
    pub dkim_status: CheckStatus,
    /// DMARC as a whole.
    pub dmarc_status: CheckStatus,
    /// The return path as a whole.
    pub return_path_status: CheckStatus,
    /// The zone that the domain is in, where DNS told.
    pub zone: Option<DomainName>,
    /// The name servers of that zone, by which its DNS host is recognised.
    pub name_servers: Vec<DomainName>,
    /// The planned records that are to be published, in the plan's order.
    pub records: Vec<RecordReport>,
    /// The records in the zone that is delegated to us, where the plan is for one: nobody has to publish them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosted: Vec<RecordReport>,
    /// The findings, worst first, then in the plan's order.
    pub findings: Vec<Finding>,
    /// Since when the name servers that answer are known to have all required records right; `None` while one has
    /// not. A first report says when it looked, [`Report::keep_certain`] takes over when that was first seen.
    #[serde(default)]
    pub authoritative_since: Option<Timestamp>,
    /// When every resolver that was asked will have let go of an older answer; `None` when all see what is there.
    pub visible_everywhere_by: Option<Timestamp>,
    /// What came of trying selectors that many have, where none was known. The report's DKIM records are those found.
    #[serde(default)]
    pub tried_selectors: Option<TriedSelectors>,
    /// What the records come to for mail, beyond each by itself.
    #[serde(default)]
    pub mail: MailPolicy,
    /// What the zone says at `_domainconnect`: where its DNS host takes Domain Connect requests.
    #[serde(default)]
    pub domain_connect: Option<String>,
    /// How many questions were put, and to how many servers.
    pub questions_asked: usize,
}

/// One planned record and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReport {
    /// The plan's record.
    #[serde(flatten)]
    pub planned: Arc<PlannedRecord>,
    /// The zone that the name is in, where DNS told.
    pub zone: Option<DomainName>,
    /// What became of it.
    pub status: RecordStatus,
    /// The last status that was certain, where that is known.
    #[serde(default)]
    pub last_certain: Option<RecordStatus>,
    /// The values at the name now, for people.
    pub current: Vec<String>,
    /// The value to publish in the place of `current`, where that is not simply the planned one (SPF merge).
    pub replace: Option<String>,
    /// Codes of the findings about this record.
    pub findings: Vec<String>,
    /// Who was asked, and what each said, in one line each.
    pub seen: Vec<Seen>,
    /// How far the record has spread.
    #[serde(default)]
    pub propagation: Propagation,
}

/// What one server said of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Who.
    pub server: Server,
    /// Whether it has the right record; `None` when it gave no answer that says anything.
    pub right: Option<bool>,
    /// The answer's remaining TTL, in seconds.
    pub ttl: u32,
}

impl RecordReport {
    /// The status now, or the last one that was certain.
    pub fn certain_status(&self) -> Option<RecordStatus> {
        match self.status {
            RecordStatus::Unknown | RecordStatus::Pending => self.last_certain,
            certain => Some(certain),
        }
    }

    /// Whether the record was right when that was last known.
    pub fn was_right(&self) -> bool {
        self.certain_status() == Some(RecordStatus::Verified)
    }

    /// The name as the panel of a DNS host wants it: relative to the zone DNS told, else to the guess of the
    /// public suffix list.
    pub fn host(&self) -> String {
        let zone = self.zone.clone().or_else(|| model::registrable_domain(&self.planned.owner));
        zone.and_then(|zone| self.planned.owner.relative_to(&zone))
            .unwrap_or_else(|| self.planned.owner.to_string())
    }

    /// The type to publish.
    pub fn record_type(&self) -> RecordType {
        self.planned.expected.record_type()
    }

    /// The value to publish, merged where there is something to merge with.
    pub fn value(&self) -> String {
        self.replace.clone().unwrap_or_else(|| self.planned.expected.value())
    }

    /// Whether this is a DKIM record that was right when that was last known.
    pub fn was_right_key(&self) -> bool {
        self.is_dkim() && self.was_right()
    }

    /// Whether this is a record for DKIM.
    pub fn is_dkim(&self) -> bool {
        self.planned.purpose == Purpose::Dkim
            || matches!(
                self.planned.expected,
                Expected::Dkim { .. } | Expected::Cname { dkim_key: Some(_), .. }
            )
    }
}

impl Report {
    /// All planned records: those to be published, and those in a zone that is delegated to us.
    pub fn all(&self) -> impl Iterator<Item = &RecordReport> + Clone {
        self.records.iter().chain(&self.hosted)
    }

    /// Whether a record is a key that was found by trying, and is not right: a leftover perhaps, by which nothing is
    /// to be judged.
    pub fn is_stray_key(&self, record: &RecordReport) -> bool {
        self.tried_selectors.is_some() && record.is_dkim() && record.status != RecordStatus::Verified
    }

    /// Takes over from an earlier report what was certain then and is unknown now: since when nobody answers, a
    /// record that was right is still the best guess for those who sign mail and choose a return path. The verdict
    /// and the findings stay this report's own.
    pub fn keep_certain(&mut self, earlier: &Self) {
        let same_plan = self
            .records
            .iter()
            .map(|record| &record.planned)
            .eq(earlier.records.iter().map(|record| &record.planned));
        if same_plan && self.is_authoritative() != Some(false) {
            self.authoritative_since = earlier.authoritative_since.or(self.authoritative_since);
        }
        for record in self.records.iter_mut().chain(&mut self.hosted) {
            let before = earlier.all().find(|before| before.planned == record.planned);
            record.last_certain = match record.status {
                RecordStatus::Unknown | RecordStatus::Pending => {
                    before.and_then(RecordReport::certain_status)
                }
                certain => Some(certain),
            };
        }
    }

    /// Whether the zones' own name servers have all required records right, as far as they answered; `None` where
    /// that cannot be told.
    pub fn is_authoritative(&self) -> Option<bool> {
        let said = |record: &RecordReport| {
            let mut said = record
                .seen
                .iter()
                .filter(|seen| matches!(seen.server, Server::Authority { .. }))
                .filter_map(|seen| seen.right);
            said.next().map(|first| first && said.all(|right| right))
        };
        let required: Vec<Option<bool>> =
            self.records.iter().filter(|record| record.planned.required).map(said).collect();
        if required.contains(&Some(false)) {
            return Some(false);
        }
        (!required.is_empty() && !required.contains(&None)).then_some(true)
    }

    /// How many servers say that a required record is certainly not right. The addresses of one name server count
    /// as one.
    pub fn dissenters(&self) -> usize {
        let is_broken = |record: &&RecordReport| {
            record.planned.required && matches!(record.status, RecordStatus::Missing | RecordStatus::Failed)
        };
        let mut names = BTreeSet::new();
        for seen in self.records.iter().filter(is_broken).flat_map(|record| &record.seen) {
            if seen.right == Some(false) {
                names.insert(match &seen.server {
                    Server::Resolver { address } => (Some(*address), None),
                    Server::Authority { name, .. } => (None, Some(name)),
                });
            }
        }
        names.len()
    }

    /// The report of a plan that was not looked at yet: every record unknown, nothing found.
    pub fn unchecked(plan: &crate::Plan, now: Timestamp) -> Self {
        let (hosted, records) = plan
            .records
            .iter()
            .map(|planned| RecordReport {
                planned: Arc::clone(planned),
                zone: None,
                status: RecordStatus::Unknown,
                last_certain: None,
                current: Vec::new(),
                replace: None,
                findings: Vec::new(),
                seen: Vec::new(),
                propagation: Propagation::default(),
            })
            .partition(|record: &RecordReport| record.planned.hosted);
        Self {
            domain: plan.domain.clone(),
            profile: plan.profile.clone(),
            checked_at: now,
            started_at: None,
            once: false,
            verdict: Verdict::Unknown,
            spf_status: CheckStatus::Pending,
            dkim_status: CheckStatus::Pending,
            dmarc_status: CheckStatus::Pending,
            return_path_status: CheckStatus::Pending,
            zone: None,
            name_servers: Vec::new(),
            records,
            hosted,
            findings: Vec::new(),
            authoritative_since: None,
            visible_everywhere_by: None,
            tried_selectors: None,
            mail: MailPolicy::default(),
            domain_connect: None,
            questions_asked: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;
    use model::RecordData;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap_or_default()
    }

    /// A report of one required and one recommended record, as three name servers and a resolver saw them.
    fn report(at: i64, required: [Option<bool>; 3], recommended: Option<bool>) -> Report {
        let name = DomainName::parse("acme.test").unwrap();
        let planned = |key: &str, required| PlannedRecord {
            hosted: false,
            key: key.to_owned(),
            purpose: Purpose::Tracking,
            owner: name.clone(),
            ttl: 60,
            required,
            expected: Expected::Address { data: RecordData::A("192.0.2.1".parse().unwrap()) },
            explanation: String::new(),
        };
        let records = [planned("one", true), planned("two", false)].map(Arc::new).to_vec();
        let plan = Plan { records, ..crate::plan::audit(&name, &[]) };
        let mut report = Report::unchecked(&plan, time(at));
        let address = "192.0.2.53:53".parse().unwrap();
        let authority = |right| Seen {
            server: Server::Authority { name: name.clone(), zone: name.clone(), address },
            right,
            ttl: 60,
        };
        report.records[0].seen = required.into_iter().map(authority).collect();
        report.records[0].seen.push(Seen {
            server: Server::Resolver { address },
            right: Some(false),
            ttl: 60,
        });
        report.records[1].seen = vec![authority(recommended)];
        report.authoritative_since = (report.is_authoritative() == Some(true)).then_some(time(at));
        report
    }

    #[test]
    fn name_servers_are_authoritative_when_all_that_answer_have_the_required_records() {
        let of = |required| report(0, required, Some(false)).is_authoritative();
        assert_eq!(of([Some(true), Some(true), Some(true)]), Some(true), "whatever resolvers still say");
        assert_eq!(of([Some(true), None, Some(true)]), Some(true), "one does not answer");
        assert_eq!(of([Some(true), Some(false), None]), Some(false));
        assert_eq!(of([None; 3]), None);
    }

    #[test]
    fn dissenters_are_counted_by_server() {
        let of = |required| {
            let mut report = report(0, required, Some(false));
            report.records[0].status = RecordStatus::Missing;
            report.dissenters()
        };
        assert_eq!(of([Some(false); 3]), 2, "one name server and a resolver");
        assert_eq!(of([None; 3]), 1);
        assert_eq!(report(0, [Some(false); 3], Some(false)).dissenters(), 0, "nothing is certain");
    }

    #[test]
    fn since_when_is_kept_until_it_is_certainly_over() {
        let all = [Some(true); 3];
        let first = report(10, all, None);
        let next = |at, required, earlier: &Report| {
            let mut next = report(at, required, None);
            next.keep_certain(earlier);
            next
        };
        let second = next(20, all, &first);
        assert_eq!(second.authoritative_since, Some(time(10)));
        let silent = next(30, [None; 3], &second);
        assert_eq!(silent.authoritative_since, Some(time(10)));
        let broken = next(40, [Some(true), Some(false), None], &silent);
        assert_eq!(broken.authoritative_since, None);
        assert_eq!(next(50, all, &broken).authoritative_since, Some(time(50)));
        let mut other_plan = first.clone();
        Arc::make_mut(&mut other_plan.records[0].planned).ttl = 61;
        assert_eq!(next(60, all, &other_plan).authoritative_since, Some(time(60)));
    }
}
