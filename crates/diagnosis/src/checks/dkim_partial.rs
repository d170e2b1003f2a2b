//! Some of the DKIM records are right and some are not.

use crate::{
    finding::{Defect, Finding, Remedy},
    report::RecordReport,
};
use model::{Confidence, RecordStatus, Severity};

/// One or more of several DKIM records are right, and at least one is not.
///
/// Mail signed with a key that is there passes; as soon as signing moves to one that is not, mail fails. All of
/// them are needed.
///
/// Source: RFC 6376 §3.6.2.
pub fn check(records: &[RecordReport]) -> Option<Finding> {
    let dkim: Vec<&RecordReport> = records.iter().filter(|record| record.is_dkim()).collect();
    let certain =
        |record: &&RecordReport| matches!(record.status, RecordStatus::Missing | RecordStatus::Failed);
    let present = dkim.iter().filter(|record| record.status == RecordStatus::Verified).count();
    let missing: Vec<_> =
        dkim.iter().copied().filter(certain).map(|record| record.planned.owner.clone()).collect();
    if present == 0 || missing.is_empty() {
        return None;
    }
    Some(Finding {
        defect: Defect::DkimPartial { present, total: dkim.len(), missing },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    })
}
