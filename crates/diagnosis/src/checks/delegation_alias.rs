//! An alias is in the way of the delegation
//!
//! At the subdomain that is to be delegated there is a CNAME record.
//!
//! # Why it matters
//!
//! An alias stands for everything at its name: nothing can be beside it, and resolvers follow it instead of asking our name
//! servers.
//!
//! # What to do
//!
//! 1. Delete the CNAME record, if nobody needs it. Otherwise add another subdomain here.
//! 2. Add the NS records as shown.
//!
//! # References
//!
//! - RFC 1034 §3.6.2
//! - RFC 2181 §10.1

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::{DomainName, RecordType, Severity};

pub fn finding(context: &Context<'_>, target: DomainName) -> Finding {
    let zone = context.record.owner.clone();
    let remedy = Remedy::Remove {
        name: zone.clone(),
        record_types: vec![RecordType::Cname],
        values: vec![target.to_string()],
    };
    context.finding(Defect::DelegationAlias { zone, target }, Severity::Error, remedy)
}
