//! SPF proves another domain
//!
//! The envelope sender's domain does not align with the one in From.
//!
//! # Why it matters
//!
//! SPF passes and does nothing for DMARC, so DKIM has to carry it alone: where a signature breaks on the way, DMARC
//! fails.
//!
//! # What to do
//!
//! 1. See that all DKIM records are there.
//! 2. For SPF to align, let the return path be below the domain in From, and leave aspf=s out of the DMARC record.
//!
//! # References
//!
//! - RFC 9989 §4.4.2

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::Alignment,
};
use model::{Confidence, Severity};

pub fn check(alignment: &Alignment) -> Option<Finding> {
    let unaligned = alignment.spf.iter().find(|identifier| identifier.aligned == Some(false))?;
    let is_carried = alignment.dkim.iter().any(|identifier| identifier.aligned != Some(false));
    Some(Finding {
        defect: Defect::SpfUnaligned {
            author_domain: alignment.author_domain.clone(),
            mail_from: unaligned.domain.clone(),
            mode: unaligned.mode,
        },
        severity: if is_carried { Severity::Info } else { Severity::Warning },
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    })
}
