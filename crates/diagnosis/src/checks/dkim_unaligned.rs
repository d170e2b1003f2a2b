//! Signatures for a domain that does not align.

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::Alignment,
};
use model::{Confidence, Severity};

/// The signing domain does not align with the author domain.
///
/// DKIM passes and does nothing for DMARC: it proves another domain than the one in From. Sign with the domain in
/// From, or, under relaxed alignment, with one of the same organization.
///
/// Source: RFC 9989 §4.4.1.
pub fn check(alignment: &Alignment) -> Option<Finding> {
    let unaligned = alignment.dkim.iter().find(|identifier| identifier.aligned == Some(false))?;
    Some(Finding {
        defect: Defect::DkimUnaligned {
            author_domain: alignment.author_domain.clone(),
            signing_domain: unaligned.domain.clone(),
            mode: unaligned.mode,
        },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    })
}
