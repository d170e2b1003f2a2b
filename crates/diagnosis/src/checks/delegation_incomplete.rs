//! The delegation lacks one of our name servers
//!
//! The zone above delegates the subdomain to us, but does not name all of the name servers.
//!
//! # Why it matters
//!
//! It works for as long as the others answer. When they do not, nobody finds the keys.
//!
//! # What to do
//!
//! 1. At the DNS host of the domain, add the NS record that is missing beside the others.
//!
//! # References
//!
//! - RFC 1034 §4.1
//! - RFC 2182 §5

use super::{Context, delegation_missing};
use crate::finding::{Defect, Finding};
use model::{DomainName, Severity};

pub fn finding(context: &Context<'_>, found: &[&DomainName]) -> Finding {
    let defect = Defect::DelegationIncomplete {
        zone: context.record.owner.clone(),
        missing: delegation_missing::name_server(context),
        found: found.iter().map(|name| (*name).clone()).collect(),
    };
    context.finding(defect, Severity::Warning, context.add())
}
