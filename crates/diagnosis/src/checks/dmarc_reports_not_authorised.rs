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
/// to be another one.
///
/// Source: RFC 9990 §4.
pub fn check(plan: &Plan, dmarc: &DmarcReport) -> Option<Finding> {
    let policy_domain = dmarc.at.clone()?;
    let missing = dmarc.reports.iter().find(|report| report.authorisation == ReportAuthorisation::Missing)?;
    let record = plan.records.iter().find(|record| matches!(record.expected, Expected::Dmarc { .. }));
    Some(Finding {
        defect: Defect::DmarcReportsNotAuthorised {
            policy_domain,
            destination: missing.domain.clone(),
            agreement_at: missing.agreement_at.clone()?,
        },
        severity: if dmarc.inherited { Severity::Info } else { Severity::Warning },
        confidence: Confidence::Confirmed,
        record: record.map(|record| record.key.clone()),
        remedy: Remedy::Nothing,
    })
}
