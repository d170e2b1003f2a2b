//! Reports to an organization that has not agreed.

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::DmarcReport,
    plan::{Expected, Plan},
};
use mail::dmarc::ReportAuthorisation;
use model::{Confidence, Severity};

/// Reports are asked for at a domain of another organization, which has no record that agrees.
///
/// Report generators then send nothing there. Whoever runs that domain has to publish the record, or the address has
/// to be another one. Each such domain has a finding of its own, for each has another record to publish.
///
/// Where both are below one registrable domain, most receivers take them for one organization, as RFC 7489 §3.2 did, and
/// send; those that walk the tree may see two. Then it is only suspected.
///
/// Source: RFC 9990 §4, RFC 9989 §4.10.2.
pub fn check(plan: &Plan, dmarc: &DmarcReport) -> Vec<Finding> {
    let Some(policy_domain) = &dmarc.at else { return Vec::new() };
    let record = plan.records.iter().find(|record| matches!(record.expected, Expected::Dmarc { .. }));
    let missing = dmarc.reports.iter().filter(|report| report.authorisation == ReportAuthorisation::Missing);
    missing
        .filter_map(|report| {
            let registrable = model::registrable_domain(policy_domain);
            let is_sure = registrable.is_none() || registrable != model::registrable_domain(&report.domain);
            Some(Finding {
                defect: Defect::DmarcReportsNotAuthorised {
                    policy_domain: policy_domain.clone(),
                    destination: report.domain.clone(),
                    agreement_at: report.agreement_at.clone()?,
                },
                severity: if dmarc.inherited || !is_sure { Severity::Info } else { Severity::Warning },
                confidence: if is_sure { Confidence::Confirmed } else { Confidence::Suspected },
                record: record.map(|record| record.key.clone()),
                remedy: Remedy::Nothing,
            })
        })
        .collect()
}
