//! Mail from the registrable domain itself.

use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Plan,
};
use model::{Confidence, Severity, registrable_domain};

/// The sender domain is the one the customer registered, not a subdomain of it.
///
/// Its reputation is then shared with people's own mail, and its SPF and DMARC records with every other service.
/// A subdomain such as `mail.` keeps them apart.
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
