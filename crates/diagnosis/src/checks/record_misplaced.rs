//! The record stands at another name.

use super::{
    Context,
    record_in_doubled_zone::{move_from, stands_at},
};
use crate::{
    finding::{Defect, Finding},
    slip::{is_telling, slips},
};

/// The record was found at a name that a slip of the hand leads to: without the subdomain or with it twice, under
/// another one, with a label left out, with dots or spaces that became part of a label.
///
/// Receivers look only at the exact name. Move the record there.
///
/// A DMARC policy further up is inherited and an SPF record at the apex is the apex's own: neither is misplaced.
///
/// Source: RFC 1034 §3.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let zone = context.zone.clone()?;
    let (slip, found_at) = slips(&context.plan.domain, &context.record.owner, &zone)
        .into_iter()
        .filter(|(slip, _)| is_telling(context.record, &context.plan.domain, *slip))
        .find(|(_, name)| stands_at(context, context.view, name))?;
    let defect =
        Defect::RecordMisplaced { name: context.record.owner.clone(), found_at: found_at.clone(), slip };
    Some(context.finding(defect, context.severity(), move_from(context, found_at)))
}
