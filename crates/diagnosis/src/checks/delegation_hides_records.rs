//! The delegation will hide records that are there now
//!
//! At the subdomain that is to be delegated to us, or below it, the zone above has records of other types.
//!
//! # Why it matters
//!
//! Once the subdomain is delegated, our name servers answer for it and for all below it. The records stay at the DNS host, and
//! nobody sees them any more: a website or mailboxes that are reached by them stop working. Only usual names were looked at:
//! there may be more.
//!
//! # What to do
//!
//! 1. Find out whether anybody uses them.
//! 2. If so, leave them alone and add another subdomain here, one without records.
//! 3. If nobody does, add the NS records, and delete the others.
//!
//! # References
//!
//! - RFC 2181 §6
//! - RFC 9499 §7

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Question,
};
use model::{Confidence, DomainName, Severity};

pub fn finding(zone: DomainName, records: Vec<Question>) -> Finding {
    Finding {
        defect: Defect::DelegationHidesRecords { zone, records },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    }
}
