//! A weaker policy for subdomains.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::dmarc::{Policy, PolicyTag};
use model::Severity;

/// `sp=` or `np=` asks for less than `p=`, or `np=` for less than `sp=`.
///
/// Whoever forges mail takes the weakest door: a subdomain, and the easiest is one that does not exist. Where no
/// mail is sent from subdomains, they can have the same policy.
///
/// Source: RFC 9989 §4.7.
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
