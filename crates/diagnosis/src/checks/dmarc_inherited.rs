//! The DMARC policy comes from further up
//!
//! The domain has no DMARC record of its own; one further up applies to it.
//!
//! # Why it matters
//!
//! Nothing is wrong. A change of that policy changes this domain too.
//!
//! # What to do
//!
//! 1. Nothing. Publish a record at this domain only if it should have another policy.
//!
//! # References
//!
//! - RFC 9989 §4.10

use super::{Context, dmarc_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};
use model::{DomainName, Severity};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (from, policy) = inherited(context)?;
    let defect = Defect::DmarcInherited { name: context.record.owner.clone(), from, policy };
    // A record of its own would take the place of the policy that applies, which may be the stricter one.
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}

/// Where the applying policy was found and what it is, when that is not the domain itself.
pub fn inherited(context: &Context<'_>) -> Option<(DomainName, String)> {
    if !matches!(context.record.expected, Expected::Dmarc { .. })
        || !dmarc_records(context.texts()).is_empty()
    {
        return None;
    }
    let discovered = context.view.dmarc(&context.plan.domain);
    let Some(discovery) = &*discovered else { return None };
    let (found, policy) = (discovery.found.as_ref()?, discovery.applied?);
    found.inherited.then(|| (found.at.clone(), policy.to_string()))
}
