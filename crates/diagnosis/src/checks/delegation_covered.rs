//! The zone above is delegated to us too
//!
//! The subdomain is below a name that is delegated to this platform as a whole, so its own NS records are in a zone that nobody
//! asks any more.
//!
//! # Why it matters
//!
//! A subdomain whose delegation was seen before goes on: our name servers answer for it. One whose was not cannot be verified,
//! and neither can be moved elsewhere while the name above is delegated.
//!
//! # What to do
//!
//! 1. Find out who delegated the name above to this platform, and whether it is needed.
//! 2. If it is not, delete its NS records in the zone that delegates it. The NS records of the subdomain count again then.
//! 3. If it is, send from that name, and delete the subdomain here.
//!
//! # References
//!
//! - RFC 1034 §4.2.1
//! - RFC 2181 §6

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::{DomainName, Severity};

pub fn finding(context: &Context<'_>, above: DomainName, severity: Severity) -> Finding {
    let remedy = Remedy::FixNameServers { zone: above.clone(), servers: Vec::new() };
    context.finding(Defect::DelegationCovered { zone: context.record.owner.clone(), above }, severity, remedy)
}
