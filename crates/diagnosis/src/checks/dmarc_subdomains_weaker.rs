//! Subdomains have a weaker DMARC policy
//!
//! sp= or np= asks for less than the policy above it.
//!
//! # Why it matters
//!
//! Whoever forges mail takes the weakest door, and a subdomain that does not exist is the easiest one.
//!
//! # What to do
//!
//! 1. Take sp= or np= out where no mail has to pass there without alignment.
//!
//! # References
//!
//! - RFC 9989 §4.7

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dmarc::{Policy, PolicyTag};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    let own = parsed.policy;
    let existing = parsed.subdomain_policy.unwrap_or(own);
    let (tag, policy, weaker): (PolicyTag, Policy, Policy) = match parsed.nonexistent_policy {
        _ if existing < own => (PolicyTag::Sp, own, existing),
        Some(nonexistent) if nonexistent < existing => (PolicyTag::Np, existing, nonexistent),
        _ => return None,
    };
    let defect = Defect::DmarcSubdomainsWeaker {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        tag,
        policy,
        weaker,
    };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
