//! Tags that are no longer part of DMARC.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};
use model::Severity;

/// The DMARC record has `pct`, `rf` or `ri`.
///
/// RFC 9989 removed them, and receivers that go by it act as if they were not there: a policy for `pct=20` of the
/// mail is one for all of it. Take them out; for a careful start there is `t=y`.
///
/// Source: RFC 9989 §4.7, Appendix C.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if parsed.removed_tags.is_empty() {
        return None;
    }
    let remedy = context.replace_text(record, repair::dmarc(context, record, parsed));
    let defect = Defect::DmarcRemovedTags {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        tags: parsed.removed_tags.clone(),
    };
    Some(context.finding(defect, Severity::Warning, remedy))
}
