//! The delegation has an old address of a name server
//!
//! The zone above gives an address for one of the zone's name servers that the server does not have.
//!
//! # Why it matters
//!
//! Resolvers begin with the address of the delegation. Where nothing listens there they lose time; where somebody
//! else does, they get other answers.
//!
//! # What to do
//!
//! 1. At the registrar, set the host record of the name server to its addresses.
//!
//! # References
//!
//! - RFC 1034 §4.2.1
//! - RFC 1912 §2.3

use crate::{
    checks::zones_of,
    finding::{Defect, Finding, Remedy},
    plan::Plan,
    view::View,
};
use model::{Confidence, DomainName, Severity};

pub fn check(plan: &Plan, view: &View) -> Vec<Finding> {
    zones_of(plan, view).iter().flat_map(|zone| check_zone(zone, view)).collect()
}

fn check_zone(zone: &DomainName, view: &View) -> Vec<Finding> {
    view.glue(zone)
        .into_iter()
        .filter_map(|(host, glue)| {
            let addresses = view.addresses(&host);
            // A family that the delegation leaves out is found by asking for it.
            let stray = glue.iter().any(|address| {
                let same_family = addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4());
                same_family && !addresses.contains(address)
            });
            stray.then(|| Finding {
                defect: Defect::GlueMismatch { zone: zone.clone(), host, glue, addresses },
                severity: Severity::Warning,
                confidence: Confidence::Confirmed,
                record: None,
                remedy: Remedy::FixNameServers { zone: zone.clone(), servers: Vec::new() },
            })
        })
        .collect()
}
