//! The zone that was edited is not the zone that resolvers see.

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

/// The records are at name servers that the zone is not delegated to, and the servers it is delegated to have not
/// got them.
///
/// That is what is left after a move to another DNS host: the zone is still there at both, and the records were
/// entered at the one that does not count. Enter them at the DNS host that the registrar names, or have the
/// registrar name the other one.
///
/// Source: RFC 1034 §4.2.1, RFC 1912 §2.8.
pub fn check(plan: &Plan, view: &View<'_>) -> Vec<Finding> {
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

fn check_zone(plan: &Plan, zone: &DomainName, view: &View<'_>) -> Option<Finding> {
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
