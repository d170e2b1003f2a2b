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
    plan::Expected,
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

/// A name further up that may hold the DMARC policy gave no answer.
pub fn policy_above(context: &Context<'_>) -> Option<Finding> {
    let Expected::Dmarc { .. } = context.record.expected else { return None };
    let names = context.plan.domain.ancestors().skip(1).filter_map(|name| name.prepend("_dmarc").ok());
    names.take(MOST_ABOVE).find_map(|name| {
        let heard = context.view.heard(&name, RecordType::Txt);
        let is_open = !heard.is_empty() && !heard.iter().any(Heard::is_certain);
        is_open.then(|| target(context, &name, reasons(heard)))
    })
}

/// As many names as the longest walk has, and more.
const MOST_ABOVE: usize = 127;

/// What a record leads to gave no answer.
pub fn target(context: &Context<'_>, target: &DomainName, reasons: Vec<String>) -> Finding {
    let defect = Defect::DnsUnanswered { name: target.clone(), record_type: RecordType::Txt, reasons };
    context.finding(defect, Severity::Warning, Remedy::CheckAgain)
}
