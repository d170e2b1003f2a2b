//! An SPF record without our mechanism.

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    spf_tree,
};

/// There is one SPF record, and our mechanism is not in it, or stands behind `all` where it is never reached.
///
/// Mail that we send with this domain as envelope sender fails SPF. Replace the record by the merged one; do not
/// add a second record. Where the merged one would need more look-ups than receivers make, what can go is named.
///
/// Source: RFC 7208 §4.5, §4.6.4, §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules: Some(rules) } = &context.record.expected else { return None };
    let records = spf_records(context.texts());
    let [current] = records.as_slice() else { return None };
    let name = context.record.owner.clone();
    let replace_with = spf_tree::merge_one(current, rules);
    let (lookups_after, to_drop) = spf_tree::after_merge(context.view, &name, &replace_with, Some(rules));
    let slim = spf_tree::publishable(context.view, &name, replace_with, lookups_after, &to_drop);
    let remedy = slim.map_or(Remedy::Nothing, |record| context.replace_spf(current, record));
    let defect = Defect::SpfMechanismAbsent {
        name,
        current: current.clone(),
        rules: rules.clone(),
        lookups_after,
        to_drop,
    };
    Some(context.finding(defect, context.severity(), remedy))
}
