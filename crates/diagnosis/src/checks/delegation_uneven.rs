//! Not all name servers have the delegation yet
//!
//! Some of the name servers of the zone above delegate the subdomain, others do not know of it.
//!
//! # Why it matters
//!
//! Which of them a resolver asks is left to chance: some receivers find the keys and others do not.
//!
//! # What to do
//!
//! 1. Nothing for some minutes: secondaries take over what the primary has. It is checked again.
//! 2. If it stays, ask the DNS host why its name servers differ.
//!
//! # References
//!
//! - RFC 1034 §4.3.5
//! - RFC 1996 §3

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Server,
};
use model::Severity;

pub fn finding(context: &Context<'_>, with: Vec<Server>, without: Vec<Server>) -> Finding {
    let defect = Defect::DelegationUneven { zone: context.record.owner.clone(), with, without };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}
