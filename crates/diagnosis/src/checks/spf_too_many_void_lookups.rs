//! More empty look-ups than receivers accept.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use mail::spf::MAX_VOID_LOOKUPS;

/// More than two of the look-ups come back empty: the names do not exist, or have no address or exchanger.
///
/// That is a permanent error at the receivers that count, and most do. Take the names out that are gone. A host with
/// addresses of one family only is not counted: it is empty for connections of the other one alone.
///
/// Source: RFC 7208 §4.6.4, §5.3.
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
    Some(context.finding(defect, context.severity(), Remedy::Nothing))
}
