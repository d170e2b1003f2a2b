//! The domain is not in DNS at all.

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    plan::Plan,
    view::{Fact, View},
};
use model::{Confidence, RecordType, Severity, registrable_domain};

/// No zone was found for the domain, and DNS says that its name does not exist.
///
/// The domain is not registered, its registration has ended, or it has no name servers. No record can be found
/// until that is mended.
///
/// Source: RFC 8020.
pub fn check(plan: &Plan, view: &View<'_>) -> Option<Finding> {
    if view.zone_of(&plan.domain).is_some() {
        return None;
    }
    let name = registrable_domain(&plan.domain).unwrap_or_else(|| plan.domain.clone());
    let gone = plan
        .domain
        .ancestors()
        .filter(|ancestor| ancestor.is_at_or_below(&name))
        .any(|ancestor| matches!(view.fact(&ancestor, RecordType::Soa), Fact::Agreed(Says::NxDomain(_))));
    gone.then(|| Finding {
        defect: Defect::DomainNotFound { name: name.clone() },
        severity: Severity::Error,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::FixDelegation { name },
    })
}
