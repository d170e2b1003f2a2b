//! No DMARC policy
//!
//! Neither the domain nor a domain above it has a DMARC record.
//!
//! # Why it matters
//!
//! Large mailbox providers want at least p=none from bulk senders. Without a policy there are no reports about who
//! sends in this name.
//!
//! # What to do
//!
//! 1. Add the TXT record shown.
//! 2. Read the reports for some weeks before a stricter policy.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9989 §4.10

use super::{Context, heard_answer};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use mail::lookup::{Answer, Question};
use model::RecordType;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Dmarc { .. } = context.record.expected else { return None };
    // A name further up that gave no answer may hold the policy: then nothing is known to be missing.
    let above = context.plan.domain.ancestors().filter_map(|name| name.prepend("_dmarc").ok());
    let mut answers =
        above.filter_map(|name| heard_answer(context.view, &Question::new(name, RecordType::Txt)));
    if answers.any(|answer| matches!(answer, Answer::TempError(_))) {
        return None;
    }
    let defect = Defect::DmarcMissing { name: context.record.owner.clone() };
    Some(context.finding(defect, context.severity(), context.add()))
}
