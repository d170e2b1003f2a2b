//! A wildcard will not cover the domain any more
//!
//! A wildcard (*) record answers for the sender domain now. With these records the name exists, and a wildcard
//! answers only for names that do not.
//!
//! # Why it matters
//!
//! A website or mailboxes that are reached by way of the wildcard stop working, though nothing was deleted.
//!
//! # What to do
//!
//! 1. Find out whether anybody uses the name for more than sending.
//! 2. If so, add the address or MX records that the wildcard gives now, at the name itself, before you publish.
//!
//! # References
//!
//! - RFC 4592 §2.2.2
//! - RFC 4592 §4

use crate::{
    finding::{Defect, Finding, Remedy},
    inquiry::SHADOWED,
    observation::Says,
    plan::Plan,
    report::RecordReport,
    view::{Fact, View},
    wildcard::{self, Origin},
};
use model::{Confidence, RecordStatus, RecordType, Severity};

pub fn check(plan: &Plan, view: &View, records: &[RecordReport]) -> Option<Finding> {
    let will_exist = |record: &&RecordReport| record.planned.owner.is_at_or_below(&plan.domain);
    if !records.iter().filter(will_exist).any(|record| record.status == RecordStatus::Missing) {
        return None;
    }
    let mut found = Vec::new();
    let mut record_types: Vec<RecordType> = Vec::new();
    let mut confidence = Confidence::Confirmed;
    for record_type in SHADOWED {
        match wildcard::origin(view, &plan.domain, &plan.domain, record_type) {
            Origin::Own => continue,
            Origin::Unsure => confidence = Confidence::Suspected,
            Origin::Wildcard => {}
        }
        let record_type = match view.fact(&plan.domain, record_type) {
            Fact::Agreed(Says::Alias { target, .. }) => {
                found.push(target.to_string());
                RecordType::Cname
            }
            Fact::Agreed(Says::Records(records)) => {
                found.extend(records.iter().take(MOST).map(ToString::to_string));
                record_type
            }
            _ => continue,
        };
        record_types.push(record_type);
    }
    found.dedup();
    record_types.dedup();
    if record_types.is_empty() {
        return None;
    }
    Some(Finding {
        defect: Defect::WildcardShadowed { name: plan.domain.clone(), record_types, found },
        severity: Severity::Info,
        confidence,
        record: None,
        remedy: Remedy::Nothing,
    })
}

/// How many values of a type are listed.
const MOST: usize = 5;
