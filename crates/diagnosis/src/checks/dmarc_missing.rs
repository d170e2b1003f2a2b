//! No DMARC policy.

use super::{Context, dmarc_answers};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// Neither the domain nor one above it has a DMARC record.
///
/// Gmail, Yahoo and Microsoft require one from bulk senders. Start with `p=none`.
///
/// Source: RFC 9989 §4.10.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Dmarc { .. } = context.record.expected else { return None };
    // A name further up that gave no answer may hold the policy: then nothing is known to be missing.
    let answers = dmarc_answers(context.view, &context.plan.domain);
    if answers.iter().any(|(_, answer)| matches!(answer, mail::lookup::Answer::TempError(_))) {
        return None;
    }
    let defect = Defect::DmarcMissing { name: context.record.owner.clone() };
    Some(context.finding(defect, context.severity(), context.add()))
}
