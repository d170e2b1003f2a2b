//! Our name servers do not serve all of the zone
//!
//! The subdomain is delegated to us as it should be, and what is in it is not, or not yet, what should be there.
//!
//! # Why it matters
//!
//! Receivers do not find a key or a policy. There is nothing that the owner of the domain has to do.
//!
//! # What to do
//!
//! 1. Nothing at the DNS host. It is checked again.
//! 2. The operator of the platform looks whether every name server is up and serves the newest keys.
//!
//! # References
//!
//! - RFC 1034 §4.3.1
//! - RFC 6376 §3.6.2

use crate::finding::{Defect, Finding, Remedy};
use model::{Confidence, DomainName, Severity};

pub fn finding(zone: DomainName, names: Vec<DomainName>) -> Finding {
    Finding {
        defect: Defect::SubZoneNotServed { zone, names },
        severity: Severity::Error,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::AskOperator,
    }
}
