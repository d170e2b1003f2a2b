//! Some DKIM records are not there yet
//!
//! Some of the DKIM records are right and some are not.
//!
//! # Why it matters
//!
//! Signing moves between the keys. Until all records are right, some messages fail DKIM after a move.
//!
//! # What to do
//!
//! 1. Set the records right that are named.
//!
//! # References
//!
//! - RFC 6376 §3.1
//! - RFC 6376 §3.6.2.1

use crate::{
    finding::{Defect, Finding, Remedy},
    report::RecordReport,
};
use model::{Confidence, RecordStatus, Severity};

pub fn check(records: &[RecordReport]) -> Option<Finding> {
    let keys = || records.iter().filter(|record| record.is_dkim());
    // A key beside those that are needed comes and goes.
    let needed = keys().any(|record| record.planned.required);
    let dkim: Vec<&RecordReport> = keys().filter(|record| record.planned.required || !needed).collect();
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
