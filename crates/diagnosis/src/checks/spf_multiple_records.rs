//! Several SPF records
//!
//! More than one TXT record that begins with v=spf1 is at the name.
//!
//! # Why it matters
//!
//! With more than one, receivers take none: mail with this domain as envelope sender (MAIL FROM) does not pass SPF.
//!
//! # What to do
//!
//! 1. Replace them by the one record shown, which holds the parts of all.
//!
//! # References
//!
//! - RFC 7208 §3.2
//! - RFC 7208 §4.5

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
    spf_tree,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules } = &context.record.expected else { return None };
    let records = spf_records(context.texts());
    if records.len() < 2 {
        return None;
    }
    let name = context.record.owner.clone();
    let (remedy, lookups_after, to_drop) = match spf_tree::merged(&records, rules.as_deref()) {
        Some(replace_with) => {
            let (lookups, to_drop) =
                spf_tree::after_merge(context.view, &name, &replace_with, rules.as_deref());
            let slim = spf_tree::publishable(context.view, &name, replace_with, lookups, &to_drop);
            let current = records.clone();
            let remedy = slim.map_or(Remedy::Nothing, |replace_with| Remedy::MergeSpf {
                name: name.clone(),
                current,
                replace_with,
            });
            (remedy, lookups, to_drop)
        }
        // Too many for anybody but the owner to sort out.
        None => (Remedy::Nothing, 0, Vec::new()),
    };
    let defect = Defect::SpfMultipleRecords { name, records, lookups_after, to_drop };
    Some(context.finding(defect, context.severity(), remedy))
}
