//! DMARC reports are not taken
//!
//! Reports (rua= or ruf=) are to go to a domain of another organization, which has no record that agrees. Each such
//! domain is named by itself.
//!
//! # Why it matters
//!
//! Receivers then send no reports there.
//!
//! # What to do
//!
//! 1. Have the owner of that domain publish the record that is named, with the value v=DMARC1.
//! 2. Or use an address at your own domain.
//!
//! # References
//!
//! - RFC 9990 §4
//! - RFC 9989 §4.10.2

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::DmarcReport,
    plan::{Expected, Plan},
};
use mail::dmarc::ReportAuthorisation;
use model::{Confidence, Severity};

/// Where both are below one registrable domain, most receivers take them for one organization, as RFC 7489 §3.2 did,
/// and send; those that walk the tree may see two. Then it is only suspected.
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
