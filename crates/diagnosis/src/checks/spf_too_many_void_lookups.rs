//! SPF looks up names that are gone
//!
//! More than two look-ups of the SPF record, with all that it includes, find no address and no mail exchanger. A host
//! that has addresses of IPv6 only is not counted.
//!
//! # Why it matters
//!
//! Receivers that count empty look-ups stop at the third one and count the whole record as an error.
//!
//! # What to do
//!
//! 1. Take the names out that do not exist any more.
//! 2. Mend those that should exist.
//!
//! # References
//!
//! - RFC 7208 §4.6.4
//! - RFC 7208 §5.3

use super::Context;
use crate::finding::{Defect, Finding};
use mail::spf::MAX_VOID_LOOKUPS;

/// A host of one address family only is empty for connections of the other one alone.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    if tree.void_lookups <= MAX_VOID_LOOKUPS {
        return None;
    }
    let empty =
        tree.reached().into_iter().filter(|(_, term)| term.void_lookups > 0 && term.leads_to.is_none());
    let defect = Defect::SpfTooManyVoidLookups {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        void_lookups: tree.void_lookups,
        terms: empty.map(|(domain, term)| format!("{} at {domain}", term.text)).collect(),
    };
    Some(context.finding(defect, context.severity(), context.repair_spf()))
}
