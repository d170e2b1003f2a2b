//! The subdomain is delegated to name servers that are not ours
//!
//! The NS records of the subdomain name servers that this domain was not given. They may be those of another service, or of a
//! time when the subdomain was added here before.
//!
//! # Why it matters
//!
//! Resolvers ask any of the name servers in the delegation. Those that are not ours have no keys of yours, or somebody
//! else's. The names are made for each domain anew, so that a delegation that was left over proves nothing.
//!
//! # What to do
//!
//! 1. At the DNS host of the domain, remove the NS records of the subdomain that are not shown here.
//! 2. Add those that are shown and not there yet.
//!
//! # References
//!
//! - RFC 1034 §4.2.2
//! - RFC 1912 §2.8

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::{DomainName, RecordType, Severity};

pub fn finding(context: &Context<'_>, others: Vec<DomainName>, ours: Vec<DomainName>) -> Finding {
    let zone = context.record.owner.clone();
    let values: Vec<String> = others.iter().map(ToString::to_string).collect();
    let remedy = if ours.is_empty() {
        context.replace(values)
    } else {
        Remedy::Remove { name: zone.clone(), record_types: vec![RecordType::Ns], values }
    };
    context.finding(Defect::DelegationElsewhere { zone, others, ours }, Severity::Error, remedy)
}
