//! The way from `p=none` to `p=reject`: where the domain stands, the next record, and what to look at before it.

use super::{Alignment, DmarcReport};
use crate::{report::RecordReport, view::View};
use mail::dmarc::{Policy, ReportAuthorisation, with_tag};
use model::{DomainName, RecordStatus};
use serde::{Deserialize, Serialize};

/// Where a domain stands on the way to a policy that is acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmarcLadder {
    /// The policy that receivers act on now.
    pub current: Policy,
    /// The next step; `None` at the top, and where the policy is that of a domain further up.
    pub next: Option<LadderStep>,
    /// What to look at before it, in order.
    pub conditions: Vec<LadderCondition>,
}

/// One step up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderStep {
    /// The policy that receivers act on then.
    pub policy: Policy,
    /// Where the record is.
    pub name: DomainName,
    /// The record as it is.
    pub current: String,
    /// The record to publish: only the tag of this step is another.
    pub replace_with: String,
}

/// One thing to look at before a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderCondition {
    /// What.
    pub condition: Condition,
    /// How it stands.
    pub status: ConditionStatus,
}

/// What to look at before a stricter policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Aggregate reports are asked for.
    ReportsAsked,
    /// Those who are to get them have agreed to.
    ReportsArrive,
    /// DKIM passes for an aligned domain, so that mail which is forwarded keeps passing.
    DkimAligned,
    /// SPF passes for an aligned domain.
    SpfAligned,
    /// Reports of two to four weeks were read.
    ReportsReadForWeeks,
    /// Every legitimate source in the reports passes.
    AllSourcesPass,
    /// Subdomains are no weaker door than the domain itself.
    SubdomainsCovered,
}

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionStatus {
    /// It is so.
    Met,
    /// It is not so.
    NotMet,
    /// DNS did not tell.
    Unknown,
    /// Only the reports tell, and whoever reads them.
    Look,
}

/// The ladder of a domain; `None` where no policy holds.
pub fn ladder(
    view: &View,
    dmarc: &DmarcReport,
    alignment: Option<&Alignment>,
    records: &[RecordReport],
) -> Option<DmarcLadder> {
    let current = dmarc.applied?;
    let next = if dmarc.inherited { None } else { next_step(view, dmarc) };
    let conditions = if next.is_some() { conditions(dmarc, alignment, records) } else { Vec::new() };
    Some(DmarcLadder { current, next, conditions })
}

fn next_step(view: &View, dmarc: &DmarcReport) -> Option<LadderStep> {
    let record = dmarc.record.clone()?;
    let reading = view.readings().dmarc(&record);
    let parsed = reading.as_ref().as_ref().ok()?;
    let name = dmarc.at.as_ref()?.prepend("_dmarc").ok()?;
    let (policy, replace_with) = match parsed.policy {
        // What is tested now is acted on next.
        Policy::Quarantine | Policy::Reject if parsed.testing => (parsed.policy, with_tag(&record, "t", "n")),
        Policy::None => (Policy::Quarantine, with_tag(&record, "p", "quarantine")),
        Policy::Quarantine => (Policy::Reject, with_tag(&record, "p", "reject")),
        Policy::Reject => return None,
    };
    Some(LadderStep { policy, name, current: record, replace_with })
}

fn conditions(
    dmarc: &DmarcReport,
    alignment: Option<&Alignment>,
    records: &[RecordReport],
) -> Vec<LadderCondition> {
    let yes = |is_so: bool| if is_so { ConditionStatus::Met } else { ConditionStatus::NotMet };
    let asked = dmarc.reports.iter().any(|destination| destination.aggregate);
    let bad =
        |destination: &super::ReportDestination| destination.authorisation == ReportAuthorisation::Missing;
    let open = |destination: &super::ReportDestination| {
        matches!(destination.authorisation, ReportAuthorisation::Unknown(_))
    };
    let arrive = if !asked || dmarc.reports.iter().any(bad) {
        ConditionStatus::NotMet
    } else if dmarc.reports.iter().any(open) {
        ConditionStatus::Unknown
    } else {
        ConditionStatus::Met
    };
    let weaker = dmarc.subdomains < dmarc.requested || dmarc.nonexistent < dmarc.requested;
    let pairs = [
        (Condition::ReportsAsked, yes(asked)),
        (Condition::ReportsArrive, arrive),
        (Condition::DkimAligned, passes(alignment.map(|all| all.dkim.as_slice()), records)),
        (Condition::SpfAligned, passes(alignment.map(|all| all.spf.as_slice()), records)),
        (Condition::ReportsReadForWeeks, ConditionStatus::Look),
        (Condition::AllSourcesPass, ConditionStatus::Look),
        (Condition::SubdomainsCovered, yes(!weaker)),
    ];
    pairs.into_iter().map(|(condition, status)| LadderCondition { condition, status }).collect()
}

/// Whether one of the identifiers is aligned and its records are right.
fn passes(identifiers: Option<&[super::Identifier]>, records: &[RecordReport]) -> ConditionStatus {
    let Some(identifiers) = identifiers.filter(|identifiers| !identifiers.is_empty()) else {
        return ConditionStatus::Unknown;
    };
    let mut unknown = false;
    for identifier in identifiers {
        let statuses: Vec<RecordStatus> = records
            .iter()
            .filter(|record| identifier.records.contains(&record.planned.key))
            .map(|record| record.status)
            .collect();
        let right = statuses.iter().all(|status| *status == RecordStatus::Verified);
        match identifier.aligned {
            Some(true) if right => return ConditionStatus::Met,
            Some(false) => {}
            _ => {
                unknown |= !statuses
                    .iter()
                    .any(|status| matches!(status, RecordStatus::Missing | RecordStatus::Failed));
            }
        }
    }
    if unknown { ConditionStatus::Unknown } else { ConditionStatus::NotMet }
}
