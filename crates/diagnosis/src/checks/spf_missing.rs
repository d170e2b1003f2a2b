//! No SPF record.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The name has no SPF record.
///
/// Receivers cannot tell who may send with this domain as envelope sender. Add one.
///
/// Source: RFC 7208 §4.5.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { .. } = context.record.expected else { return None };
    if !spf_records(context.texts()).is_empty() {
        return None;
    }
    let defect = Defect::SpfMissing { name: context.record.owner.clone() };
    Some(context.finding(defect, context.severity(), context.add()))
}
