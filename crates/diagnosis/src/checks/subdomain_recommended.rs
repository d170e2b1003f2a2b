//! A subdomain would keep reputations apart
//!
//! Mail is to be sent from the registered domain itself.
//!
//! # Why it matters
//!
//! Complaints about these messages would count against the domain that people write from. A subdomain has a
//! reputation and a policy of its own.
//!
//! # What to do
//!
//! 1. Send from a subdomain such as mail.example.com. This is advice: the registered domain works too.
//!
//! # References
//!
//! - M3AAWG Sender Best Common Practices §3
//! - RFC 9989 §4.10

use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Plan,
};
use model::{Confidence, Severity, registrable_domain};

pub fn check(plan: &Plan) -> Option<Finding> {
    if plan.profile == "audit"
        || !plan.is_for_sending()
        || registrable_domain(&plan.domain).as_ref() != Some(&plan.domain)
    {
        return None;
    }
    let suggestion = plan.domain.prepend("mail").ok()?;
    Some(Finding {
        defect: Defect::SubdomainRecommended { suggestion: suggestion.clone() },
        severity: Severity::Info,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::UseSubdomain { suggestion },
    })
}
