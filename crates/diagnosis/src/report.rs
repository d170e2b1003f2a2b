//! The result of a diagnosis.

use crate::{
    Finding, MailPolicy, Propagation,
    observation::Server,
    plan::{Expected, PlannedRecord},
};
use model::{CheckStatus, DomainName, Purpose, RecordStatus, RecordType, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

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
    /// The planned records, in the plan's order.
    pub records: Vec<RecordReport>,
    /// The findings, worst first, then in the plan's order.
    pub findings: Vec<Finding>,
    /// When every resolver that was asked will have let go of an older answer; `None` when all see what is there.
    pub visible_everywhere_by: Option<Timestamp>,
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
    pub planned: PlannedRecord,
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
    /// Takes over from an earlier report what was certain then and is unknown now: since when nobody answers, a
    /// record that was right is still the best guess for those who sign mail and choose a return path. The verdict
    /// and the findings stay this report's own.
    pub fn keep_certain(&mut self, earlier: &Self) {
        for record in &mut self.records {
            let before = earlier.records.iter().find(|before| before.planned == record.planned);
            record.last_certain = match record.status {
                RecordStatus::Unknown | RecordStatus::Pending => {
                    before.and_then(RecordReport::certain_status)
                }
                certain => Some(certain),
            };
        }
    }

    /// The report of a plan that was not looked at yet: every record unknown, nothing found.
    pub fn unchecked(plan: &crate::Plan, now: Timestamp) -> Self {
        let records = plan
            .records
            .iter()
            .map(|planned| RecordReport {
                planned: planned.clone(),
                zone: None,
                status: RecordStatus::Unknown,
                last_certain: None,
                current: Vec::new(),
                replace: None,
                findings: Vec::new(),
                seen: Vec::new(),
                propagation: Propagation::default(),
            })
            .collect();
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
            findings: Vec::new(),
            visible_everywhere_by: None,
            mail: MailPolicy::default(),
            domain_connect: None,
            questions_asked: 0,
        }
    }
}
