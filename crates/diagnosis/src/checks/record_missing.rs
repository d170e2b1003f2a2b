//! Nothing is there.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    observation::Says,
    plan::Expected,
};

/// The name has no such record, and none was found where it could have gone.
///
/// Add it.
///
/// Source: RFC 2308 §2.
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
