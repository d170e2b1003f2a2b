//! The subdomain is not delegated
//!
//! The zone above has no NS records for the subdomain that our name servers are to answer for.
//!
//! # Why it matters
//!
//! Without the delegation nobody asks our name servers: there is no key, and mail is not sent.
//!
//! # What to do
//!
//! 1. Choose a subdomain without records of its own: once it is delegated, those at and below it stop working, be they of a
//!    website or of mailboxes.
//! 2. At the DNS host of the domain, add the NS records as shown, one for each name server, at the subdomain.
//! 3. Where the panel offers to create a zone for the subdomain, do not: the records belong into the zone of the domain.
//!
//! # References
//!
//! - RFC 1034 §4.2.2
//! - RFC 9499 §7

use super::Context;
use crate::finding::{Defect, Finding};
use model::Severity;

pub fn finding(context: &Context<'_>) -> Finding {
    let defect =
        Defect::DelegationMissing { zone: context.record.owner.clone(), name_server: name_server(context) };
    context.finding(defect, Severity::Error, context.add())
}

/// What the record is to name.
pub(super) fn name_server(context: &Context<'_>) -> model::DomainName {
    match &context.record.expected {
        crate::plan::Expected::Delegation { name_server, .. } => name_server.clone(),
        _ => model::DomainName::root(),
    }
}
