//! The domain does not exist in DNS
//!
//! The servers of the zone above say that the domain does not exist (NXDOMAIN).
//!
//! # Why it matters
//!
//! Without a zone there is nowhere to publish records, and receivers reject mail from a domain that does not exist.
//!
//! # What to do
//!
//! 1. Compare the spelling with the name that was registered.
//! 2. Look at the registrar whether the registration has run out or is on hold.
//! 3. Set the name servers that your DNS host gives for the zone.
//!
//! # References
//!
//! - RFC 1034 §4.3.2
//! - RFC 2308 §2.1
//! - RFC 8020 §2

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    plan::Plan,
    view::{Fact, View},
};
use model::{Confidence, RecordType, Severity, registrable_domain};

pub fn check(plan: &Plan, view: &View) -> Option<Finding> {
    if !view.may_know_zones() || view.zone_of(&plan.domain).is_some() {
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
