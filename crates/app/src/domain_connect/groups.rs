//! Which groups of a template a link asks for.
//!
//! A template that is applied whole would put our start of a DMARC policy in the place of a stricter one that is there. So a
//! link never asks for a group with a policy that is not known to be missing or ours to the letter. All other groups go into
//! each link, also those that are right: hosts that remember what they applied take away what an earlier link of the same
//! template wrote and the next one leaves out.

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
    let mut harmless = Vec::new();
    let mut is_any_missing = false;
    let mut covered: Vec<&RecordReport> = Vec::new();
    let groups = profile.groups();
    // Records of no group are applied always.
    let ungrouped = of_group(profile, domain, variables, report, None)?;
    for group in &groups {
        let records = of_group(profile, domain, variables, report, Some(group))?;
        if records.iter().any(|record| is_own_policy(record)) {
            continue;
        }
        harmless.push(group.clone());
        is_any_missing |= records.iter().any(|record| is_missing(record));
        covered.extend(records);
    }
    // They cannot be left out of a link.
    if ungrouped.iter().any(|record| is_own_policy(record)) {
        return Ok(None);
    }
    is_any_missing |= ungrouped.iter().any(|record| is_missing(record));
    // Without a group that may be named the link would stand for all of them.
    if !is_any_missing || (!groups.is_empty() && harmless.is_empty()) {
        return Ok(None);
    }
    covered.extend(ungrouped);
    let is_covered = |record: &RecordReport| covered.iter().any(|one| std::ptr::eq(*one, record));
    let left =
        report.records.iter().filter(|record| record.status != RecordStatus::Verified && !is_covered(record));
    Ok(Some(Asked {
        by_hand: left.map(|record| record.planned.owner.to_string()).collect(),
        groups: if harmless.len() == groups.len() { Vec::new() } else { harmless.clone() },
        names: harmless,
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

/// A policy that somebody published, right or wrong, is theirs to change; so is one that is inherited from further up, and
/// one of which nothing is known.
fn is_own_policy(record: &RecordReport) -> bool {
    let Expected::Dmarc { suggested } = &record.planned.expected else { return false };
    let is_absent = record.status == RecordStatus::Missing && record.current.is_empty();
    !is_absent && record.current.as_slice() != std::slice::from_ref(suggested)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    const THERE: (RecordStatus, &str) = (RecordStatus::Verified, "v=DMARC1; p=reject");
    const NOT_THERE: (RecordStatus, &str) = (RecordStatus::Missing, "");

    /// What is asked for: groups to name, all that are applied, what is left to do by hand.
    fn asked(json: &str, seen: &[(RecordStatus, &str)]) -> Option<(String, String, usize)> {
        let profile = Profile::parse(json).unwrap();
        let domain = DomainName::parse("acme.test").unwrap();
        let variables = Variables::new();
        let plan = plan(&profile, &domain, &variables).unwrap();
        let mut report = Report::unchecked(&plan, Timestamp::UNIX_EPOCH);
        assert_eq!(report.records.len(), seen.len());
        for (record, (status, current)) in report.records.iter_mut().zip(seen) {
            record.status = *status;
            record.current =
                Some((*current).to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        }
        let asked = missing(&profile, &domain, &variables, &report).unwrap()?;
        Some((asked.groups.join(","), asked.names.join(","), asked.by_hand.len()))
    }

    fn template(cname: &str, policy: &str) -> String {
        format!(
            r#"{{"serviceId": "x", "records": [
                {{"type": "CNAME", "host": "a._domainkey", "pointsTo": "a.x.example", "ttl": 60{cname}}},
                {{"type": "TXT", "host": "_dmarc", "data": "v=DMARC1; p=none", "ttl": 60{policy}}}]}}"#
        )
    }

    #[expect(clippy::unnecessary_wraps, reason = "beside `None` in the tables below")]
    fn some(groups: &str, names: &str, by_hand: usize) -> Option<(String, String, usize)> {
        Some((groups.to_owned(), names.to_owned(), by_hand))
    }

    #[test]
    fn a_policy_that_is_there_is_never_asked_for() {
        let grouped = template(r#", "groupId": "dkim""#, r#", "groupId": "dmarc""#);
        let wrong = (RecordStatus::Failed, "v=DMARC1; p=rejct");
        let unknown = (RecordStatus::Unknown, "");
        let inherited = (RecordStatus::Verified, "");
        let ours = (RecordStatus::Verified, "v=DMARC1; p=none");
        for (seen, expected) in [
            ([NOT_THERE, NOT_THERE], some("", "dkim,dmarc", 0)),
            ([NOT_THERE, THERE], some("dkim", "dkim", 0)),
            ([NOT_THERE, wrong], some("dkim", "dkim", 1)),
            ([NOT_THERE, unknown], some("dkim", "dkim", 1)),
            ([NOT_THERE, inherited], some("dkim", "dkim", 0)),
            // What an earlier link wrote goes along, or it would be taken away.
            ([NOT_THERE, ours], some("", "dkim,dmarc", 0)),
            ([THERE, NOT_THERE], some("", "dkim,dmarc", 0)),
            ([THERE, THERE], None),
            ([THERE, wrong], None),
            ([unknown, unknown], None),
        ] {
            assert_eq!(asked(&grouped, &seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn what_is_in_no_group_goes_along_and_loses_nothing() {
        let none = template("", "");
        assert_eq!(asked(&none, &[NOT_THERE, NOT_THERE]), some("", "", 0));
        for policy in [THERE, (RecordStatus::Unknown, ""), (RecordStatus::Verified, "")] {
            assert_eq!(
                asked(&none, &[NOT_THERE, policy]),
                None,
                "{policy:?}: it would take the place of theirs"
            );
        }
        let half = template("", r#", "groupId": "dmarc""#);
        assert_eq!(asked(&half, &[NOT_THERE, NOT_THERE]), some("", "dmarc", 0));
        assert_eq!(asked(&half, &[NOT_THERE, THERE]), None, "without a group all are applied");
    }
}
