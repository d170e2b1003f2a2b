//! A `redirect` that is never followed.

use super::Context;
use crate::finding::{Defect, Finding};
use model::Severity;

/// The record has a `redirect=` and an `all`.
///
/// With `all` in the record, `redirect` is ignored: the senders of the other record are not covered. Take one of
/// the two out: `all` if the other record should decide, `redirect` if not.
///
/// Source: RFC 7208 §6.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    let ignored = tree.terms.iter().find(|term| {
        !term.reached && term.text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("redirect="))
    })?;
    let remedy = context.repair_spf();
    let defect = Defect::SpfRedirectIgnored {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        term: ignored.text.clone(),
    };
    Some(context.finding(defect, Severity::Warning, remedy))
}
