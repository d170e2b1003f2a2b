//! The zone and the zone above it name different servers.

use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Plan,
    view::View,
};
use model::{Confidence, DomainName, Severity};

use super::zones_of;

/// The NS records in the zone above are not those in the zone itself.
///
/// Resolvers begin with the servers that the zone above names, and some go on with those that the zone itself
/// names. Where the two differ, some of them may be servers that nobody keeps any more. Only told, as long as they
/// have servers in common; with none in common the zone was moved half way.
///
/// Source: RFC 1034 §4.2.2, RFC 1912 §2.8.
pub fn check(plan: &Plan, view: &View<'_>) -> Vec<Finding> {
    zones_of(plan, view).iter().filter_map(|zone| check_zone(zone, view)).collect()
}

fn check_zone(zone: &DomainName, view: &View<'_>) -> Option<Finding> {
    let parent = view.delegated_to(zone)?;
    let sets = view.name_servers_by_zone(zone);
    let (_, child) = sets.into_iter().find(|(_, names)| *names != parent)?;
    let in_common = child.iter().any(|name| parent.contains(name));
    let severity = if in_common { Severity::Info } else { Severity::Warning };
    Some(Finding {
        defect: Defect::DelegationMismatch { zone: zone.clone(), parent, child },
        severity,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::FixNameServers { zone: zone.clone(), servers: Vec::new() },
    })
}
