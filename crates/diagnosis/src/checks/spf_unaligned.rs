//! An envelope sender that does not align.

use crate::{
    finding::{Defect, Finding, Remedy},
    mail_policy::Alignment,
};
use model::{Confidence, Severity};

/// The domain of the return path does not align with the author domain.
///
/// SPF passes and does nothing for DMARC, so DKIM has to carry it alone. With strict alignment (`aspf=s`) a bounce
/// host below the domain never aligns.
///
/// Source: RFC 9989 §4.4.2.
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
