//! The zone and the zone above it name different servers
//!
//! The NS records that the registrar has put into the zone above are not those in the zone itself.
//!
//! # Why it matters
//!
//! Resolvers begin with one list and some go on with the other. A server that is on one list only is easily
//! forgotten, and then some look-ups fail or get old answers.
//!
//! # What to do
//!
//! 1. At the registrar, enter the name servers that your DNS host gives.
//! 2. At the DNS host, make the NS records of the zone the same.
//!
//! # References
//!
//! - RFC 1034 §4.2.2
//! - RFC 1912 §2.8

use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Plan,
    view::View,
};
use model::{Confidence, DomainName, Severity};

use super::zones_of;

/// A note as long as the two lists have servers in common; with none in common the zone was moved half way.
pub fn check(plan: &Plan, view: &View) -> Vec<Finding> {
    zones_of(plan, view).iter().filter_map(|zone| check_zone(zone, view)).collect()
}

fn check_zone(zone: &DomainName, view: &View) -> Option<Finding> {
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
