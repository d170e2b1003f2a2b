//! The DNS host answers for the subdomain itself
//!
//! The name servers of the zone above have a zone of the subdomain's name themselves.
//!
//! # Why it matters
//!
//! Whoever asks them gets the answer of that zone, and never comes to our name servers, whatever NS records are in it.
//!
//! # What to do
//!
//! 1. At the DNS host of the domain, delete the zone that was made for the subdomain.
//! 2. Add the NS records, as shown, in the zone of the domain.
//!
//! # References
//!
//! - RFC 1034 §4.3.2
//! - RFC 1034 §4.2.2

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Server,
};
use model::Severity;

pub fn finding(context: &Context<'_>, servers: Vec<Server>) -> Finding {
    let zone = context.record.owner.clone();
    let remedy = Remedy::FixNameServers { zone: zone.clone(), servers: Vec::new() };
    context.finding(Defect::DelegationHidden { zone, servers }, Severity::Error, remedy)
}
