//! A name server does not answer
//!
//! A name server of the zone gave no answer in time, or cannot be reached.
//!
//! # Why it matters
//!
//! As long as another server answers, lookups are slower. When none does, mail is deferred.
//!
//! # What to do
//!
//! 1. Tell the DNS host, or take the server out of the delegation if it is no longer in use.
//!
//! # References
//!
//! - RFC 1034 §4.1
//! - RFC 2182 §3

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Server,
};
use model::{Confidence, DomainName, Severity};

/// Only suspected: the way to the server may be broken on our side only.
pub fn finding(zone: &DomainName, server: &Server, reason: String) -> Finding {
    Finding {
        defect: Defect::NameServerUnreachable { zone: zone.clone(), server: server.clone(), reason },
        severity: Severity::Warning,
        confidence: Confidence::Suspected,
        record: None,
        remedy: Remedy::FixNameServers { zone: zone.clone(), servers: vec![server.clone()] },
    }
}
