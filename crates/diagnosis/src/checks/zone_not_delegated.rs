//! The zone that was edited is not the one that counts
//!
//! The records are at name servers that the registrar does not name, and are missing at those that it names. It is often
//! so after a move to another DNS host, with the zone still at both.
//!
//! # Why it matters
//!
//! Resolvers go where the registrar sends them. What is entered at another DNS host is never seen.
//!
//! # What to do
//!
//! 1. Look at the registrar which name servers the domain has.
//! 2. Enter the records at the DNS host that those belong to.
//! 3. Or set the name servers at the registrar to those of the DNS host you have edited, once the whole zone is
//!    there.
//!
//! # References
//!
//! - RFC 1034 §4.2.1
//! - RFC 1912 §2.8

use crate::{
    checks::{is_right, zones_of},
    diagnose::heard_of,
    finding::{Defect, Finding, Remedy},
    inquiry::zone_question_name,
    observation::Server,
    plan::Plan,
    view::View,
};
use model::{Confidence, DomainName, Severity};

pub fn check(plan: &Plan, view: &View) -> Vec<Finding> {
    zones_of(plan, view).iter().filter_map(|zone| check_zone(plan, zone, view)).collect()
}

/// Whether one of these findings is the cause of another one: of a record that is missing, or of NS records that
/// differ.
pub fn explains(not_delegated: &[Finding], plan: &Plan, finding: &Finding) -> bool {
    not_delegated.iter().any(|cause| match (&cause.defect, &finding.defect) {
        (Defect::ZoneNotDelegated { zone, .. }, Defect::DelegationMismatch { zone: other, .. }) => {
            zone == other
        }
        (Defect::ZoneNotDelegated { names, .. }, _) => plan
            .records
            .iter()
            .any(|record| finding.record.as_ref() == Some(&record.key) && names.contains(&record.owner)),
        _ => false,
    })
}

fn check_zone(plan: &Plan, zone: &DomainName, view: &View) -> Option<Finding> {
    let delegated = view.delegated_to(zone)?;
    let (mut edited, mut names) = (Vec::new(), Vec::new());
    let in_zone =
        plan.records.iter().filter(|record| view.zone_of(&zone_question_name(record)).as_ref() == Some(zone));
    for record in in_zone {
        let answers: Vec<(&DomainName, bool)> = heard_of(record, view)
            .iter()
            .filter_map(|heard| match heard.server() {
                Server::Authority { name, .. } => Some((name, is_right(record, &heard.says)?)),
                Server::Resolver { .. } => None,
            })
            .collect();
        let (counts, others): (Vec<_>, Vec<_>) =
            answers.iter().partition(|(name, _)| delegated.contains(name));
        let elsewhere = others.iter().filter(|(_, right)| *right).map(|(name, _)| (*name).clone());
        if !counts.is_empty() && counts.iter().all(|(_, right)| !right) && elsewhere.clone().next().is_some()
        {
            names.push(record.owner.clone());
            edited.extend(elsewhere);
        }
    }
    if names.is_empty() {
        return None;
    }
    edited.sort();
    edited.dedup();
    names.dedup();
    Some(Finding {
        defect: Defect::ZoneNotDelegated { zone: zone.clone(), delegated, edited, names },
        severity: Severity::Error,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::FixNameServers { zone: zone.clone(), servers: Vec::new() },
    })
}
