//! DKIM proves another domain
//!
//! Mail is signed for a domain that does not align with the one in From.
//!
//! # Why it matters
//!
//! DKIM passes and does nothing for DMARC: it proves another domain than people see.
//!
//! # What to do
//!
//! 1. Sign with the domain in From, or with one of the same organization.
//!
//! # References
//!
//! - RFC 9989 §4.4.1

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::Alignment,
};
use model::{Confidence, Severity};

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
