//! DNS gave no clear answer
//!
//! Every server that was asked failed, refused or stayed silent.
//!
//! # Why it matters
//!
//! Nobody who was asked could say whether the record is there. That is not counted as a failure.
//!
//! # What to do
//!
//! 1. Nothing for now: it is checked again.
//! 2. If it stays, look whether the name servers of the zone are up and whether its DNSSEC signatures are valid.
//!
//! # References
//!
//! - RFC 7208 §4.4
//! - RFC 6376 §6.1.2
//! - RFC 8914 §4
//! - RFC 9520 §2

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    view::{Heard, RUN_OUT},
};
use model::{DomainName, RecordType, Severity};

/// A record's own name gave no answer.
pub fn record(context: &Context<'_>, heard: &[Heard]) -> Finding {
    let defect = Defect::DnsUnanswered {
        name: context.record.owner.clone(),
        record_type: context.record.expected.record_type(),
        reasons: reasons(heard),
    };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}

/// Each server that said nothing certain, and why.
pub fn reasons(heard: &[Heard]) -> Vec<String> {
    heard
        .iter()
        .filter_map(|heard| match &heard.says {
            Says::Nothing(reason) | Says::Lame(reason) => Some(format!("{}: {reason}", heard.server())),
            Says::Alias { target, end: ChainEnd::Unseen, .. } => {
                Some(format!("{}: an alias for {target}, and nothing of its end", heard.server()))
            }
            _ if heard.is_stale => Some(format!("{}: {RUN_OUT}", heard.server())),
            _ => None,
        })
        .collect()
}

/// What a record leads to gave no answer.
pub fn target(context: &Context<'_>, target: &DomainName, reasons: Vec<String>) -> Finding {
    let defect = Defect::DnsUnanswered { name: target.clone(), record_type: RecordType::Txt, reasons };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}
