//! The name servers give different answers
//!
//! Some name servers of the zone have the record and others do not.
//!
//! # Why it matters
//!
//! Receivers see one or the other by chance, so some messages pass and some fail.
//!
//! # What to do
//!
//! 1. After a change, wait until all servers have taken it over.
//! 2. If it stays, the zone is kept at two DNS hosts: enter the record at both, or take one out of the delegation.
//!
//! # References
//!
//! - RFC 1034 §4.3.5
//! - RFC 1912 §2.8

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    propagation,
    view::Heard,
};
use model::Severity;

/// Some of the servers of one zone have the right record, and some have another or none.
pub fn record(context: &Context<'_>, right: &[&Heard], wrong: &[&Heard]) -> Finding {
    let servers = |heard: &[&Heard]| heard.iter().map(|heard| heard.server().clone()).collect::<Vec<_>>();
    let zone = context.zone.as_ref();
    let defect = Defect::NameServersDisagree {
        name: context.record.owner.clone(),
        record_type: context.record.expected.record_type(),
        right: servers(right),
        wrong: servers(wrong),
        serials: zone.map(|zone| propagation::serials(zone, context.view)).unwrap_or_default(),
    };
    let remedy = match zone {
        Some(zone) => Remedy::FixNameServers { zone: zone.clone(), servers: servers(wrong) },
        None => Remedy::CheckAgain,
    };
    context.finding(defect, Severity::Warning, remedy)
}
