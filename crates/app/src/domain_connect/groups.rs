//! Which groups of a template a domain still needs.
//!
//! A template that is applied whole would put our start of a DMARC policy in the place of a stricter one that is there. So a
//! link asks for those groups only of which something is missing, and never for a policy where there is one.

use diagnosis::{Expected, Profile, RecordReport, Report, Variables, plan::plan, profile::ProfileError};
use model::{DomainName, RecordStatus};

/// What a link asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The groups to name in the link; none where all are applied.
    pub groups: Vec<String>,
    /// The groups that are applied.
    pub names: Vec<String>,
    /// The names of records that are not right and that the link leaves alone.
    pub by_hand: Vec<String>,
}

/// What to ask for; nothing where that is nothing.
pub fn missing(
    profile: &Profile,
    domain: &DomainName,
    variables: &Variables,
    report: &Report,
) -> Result<Option<Asked>, ProfileError> {
    let mut needed = Vec::new();
    let mut covered: Vec<&RecordReport> = Vec::new();
    let groups = profile.groups();
    // Records of no group are applied always.
    let ungrouped = of_group(profile, domain, variables, report, None)?;
    for group in &groups {
        let records = of_group(profile, domain, variables, report, Some(group))?;
        if records.iter().any(|record| is_missing(record))
            && !records.iter().any(|record| is_own_policy(record))
        {
            needed.push(group.clone());
            covered.extend(records);
        }
    }
    if needed.is_empty() && !ungrouped.iter().any(|record| is_missing(record)) {
        return Ok(None);
    }
    covered.extend(ungrouped);
    let is_covered = |record: &RecordReport| covered.iter().any(|one| std::ptr::eq(*one, record));
    let left =
        report.records.iter().filter(|record| record.status != RecordStatus::Verified && !is_covered(record));
    Ok(Some(Asked {
        by_hand: left.map(|record| record.planned.owner.to_string()).collect(),
        groups: if needed.len() == groups.len() { Vec::new() } else { needed.clone() },
        names: needed,
    }))
}

/// What the report says of the records of one group, or of those of none.
fn of_group<'r>(
    profile: &Profile,
    domain: &DomainName,
    variables: &Variables,
    report: &'r Report,
    group: Option<&String>,
) -> Result<Vec<&'r RecordReport>, ProfileError> {
    let mut profile = profile.clone();
    profile.records.retain(|record| record.group.as_ref() == group);
    let plan = plan(&profile, domain, variables)?;
    let is_of_it = |record: &&RecordReport| {
        plan.records.iter().any(|planned| {
            planned.owner == record.planned.owner
                && planned.purpose == record.planned.purpose
                && planned.expected.record_type() == record.planned.expected.record_type()
        })
    };
    Ok(report.records.iter().filter(is_of_it).collect())
}

/// Not where it is not known: what is there may be right.
fn is_missing(record: &RecordReport) -> bool {
    !matches!(record.status, RecordStatus::Verified | RecordStatus::Unknown)
}

/// A policy that somebody published, right or wrong, is theirs to change.
fn is_own_policy(record: &RecordReport) -> bool {
    matches!(record.planned.expected, Expected::Dmarc { .. }) && !record.current.is_empty()
}
