//! A record is missing
//!
//! Nothing of the right type is at the name, and the record was not found at any place where it often goes by
//! mistake.
//!
//! # Why it matters
//!
//! Until it is there, what it is for does not work.
//!
//! # What to do
//!
//! 1. Add the record with the values shown, at the DNS host that serves the zone.
//! 2. If it is there in the panel: look whether the zone's name servers are those of this panel.
//!
//! # References
//!
//! - RFC 1034 §3.6
//! - RFC 2308 §2

use super::Context;
use crate::{
    finding::{Defect, Finding},
    observation::Says,
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !matches!(context.here, Says::NoData(_) | Says::NxDomain(_)) {
        return None;
    }
    // A policy may come from further up: `dmarc_missing` says when none does, and where that is not known, nothing
    // is known to be missing.
    if matches!(context.record.expected, Expected::Dmarc { .. }) {
        return None;
    }
    let defect = Defect::RecordMissing {
        name: context.record.owner.clone(),
        record_type: context.record.expected.record_type(),
    };
    Some(context.finding(defect, context.severity(), context.add()))
}
