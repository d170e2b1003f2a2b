//! A wildcard answers in place of the record
//!
//! The name gets the same answer as names that nobody has made: a wildcard (*) record gives it, and the record itself
//! is not there.
//!
//! # Why it matters
//!
//! What a wildcard says is the same for every name, so it proves nothing, and it goes as soon as another record is
//! made beside it.
//!
//! # What to do
//!
//! 1. Add the record itself. The wildcard may stay: it goes on answering for names without records of their own, and
//!    no longer for this one.
//!
//! # References
//!
//! - RFC 4592 §2.2.1
//! - RFC 4592 §3.3.1

use super::Context;
use crate::{
    finding::{Defect, Finding},
    observation::Says,
    plan::Expected,
    view::Fact,
    wildcard::{self, Origin},
};
use model::{Confidence, RecordType};

/// Only suspected where the question that tells the two apart had no answer.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let own = context.record.expected.record_type();
    // Addresses and texts in the place of an alias are mistaken for a proxy and for a wrong type.
    let others: &[RecordType] = match (&context.record.expected, &context.here) {
        (Expected::Cname { .. }, Says::NoData(_) | Says::NxDomain(_)) => {
            &[RecordType::A, RecordType::Aaaa, RecordType::Txt]
        }
        _ => &[],
    };
    std::iter::once(own).chain(others.iter().copied()).find_map(|record_type| {
        let origin = wildcard::origin(context.view, &context.plan.domain, &context.record.owner, record_type);
        (origin != Origin::Own).then(|| finding(context, record_type, origin))
    })
}

/// The finding, for what a wildcard answers of this type.
pub fn finding(context: &Context<'_>, record_type: RecordType, origin: Origin) -> Finding {
    const MOST: usize = 5;
    let found = match context.view.fact(&context.record.owner, record_type) {
        Fact::Agreed(Says::Records(records)) => records.iter().take(MOST).map(ToString::to_string).collect(),
        Fact::Agreed(Says::Alias { target, .. }) => vec![target.to_string()],
        _ => Vec::new(),
    };
    let record_type = match context.view.fact(&context.record.owner, record_type) {
        Fact::Agreed(Says::Alias { .. }) => RecordType::Cname,
        _ => record_type,
    };
    let defect = Defect::WildcardAnswers { name: context.record.owner.clone(), record_type, found };
    let confidence = match origin {
        Origin::Unsure => Confidence::Suspected,
        Origin::Own | Origin::Wildcard => Confidence::Confirmed,
    };
    Finding { confidence, ..context.finding(defect, context.severity(), context.add()) }
}
