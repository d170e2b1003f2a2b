//! The record is at another name
//!
//! The right value was found at another name: at the domain itself, under a name beside it, or with a label left out
//! or doubled.
//!
//! # Why it matters
//!
//! Receivers ask for one exact name. A record at any other name is never seen.
//!
//! # What to do
//!
//! 1. Change the record's name to the one shown, or delete it and add it anew.
//!
//! # References
//!
//! - RFC 1034 §3.6
//! - RFC 1035 §5.1

use super::{
    Context,
    record_in_doubled_zone::{move_from, stands_at},
};
use crate::{
    finding::{Defect, Finding},
    slip::is_telling,
};

/// A DMARC policy further up is inherited and an SPF record at the apex is the apex's own: neither is misplaced.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let zone = context.zone.clone()?;
    let record_type = context.record.expected.record_type();
    // Most often nothing of the kind was seen anywhere: no names need be made up then.
    if !context.view.has_elsewhere(&context.record.owner, record_type) {
        return None;
    }
    let slips = context.view.slips(&context.plan.domain, &context.record.owner, &zone);
    let (slip, found_at) = slips
        .iter()
        .filter(|(slip, _)| is_telling(context.record, &context.plan.domain, *slip))
        .find(|(_, name)| stands_at(context, context.view, name))
        .cloned()?;
    let defect =
        Defect::RecordMisplaced { name: context.record.owner.clone(), found_at: found_at.clone(), slip };
    Some(context.finding(defect, context.severity(), move_from(context, found_at)))
}
