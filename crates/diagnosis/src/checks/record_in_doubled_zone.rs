//! The zone's name was added twice
//!
//! The record is at its full name with the zone's name once more behind it.
//!
//! # Why it matters
//!
//! Most panels add the zone's name to what is typed. Receivers look at the right name and find nothing there.
//!
//! # What to do
//!
//! 1. Shorten the name field to the part in front of the zone.
//! 2. Save, and look that the zone stands at the end once only.
//!
//! # References
//!
//! - RFC 1035 §5.1

use super::{Context, is_right};
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    view::{Fact, View},
    wildcard,
};
use model::DomainName;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let zone = context.zone.clone()?;
    let found_at = zone.prepend(context.record.owner.as_str()).ok()?;
    let defect = Defect::RecordInDoubledZone {
        name: context.record.owner.clone(),
        found_at: found_at.clone(),
        zone: zone.clone(),
    };
    stands_at(context, context.view, &found_at)
        .then(|| context.finding(defect, context.severity(), move_from(context, found_at)))
}

/// Whether the planned record stands at another name, its target possibly with the zone appended. What else is there
/// makes no difference: a key beside the domain's own SPF record has gone there all the same.
pub fn stands_at(context: &Context<'_>, view: &View, name: &DomainName) -> bool {
    let is_it = |says: &Says| is_right(context.record, says) == Some(true);
    let stands = |says: &Says| match says {
        Says::Records(records) if records.len() > 1 => {
            is_it(says) || records.iter().any(|record| is_it(&Says::Records(vec![record.clone()])))
        }
        says => is_it(says),
    };
    let record_type = context.record.expected.record_type();
    let is_there = match view.fact(name, record_type) {
        Fact::Agreed(says) => stands(says),
        Fact::Disagreed(all) => all.iter().any(|(_, says)| stands(says)),
        // It may have been moved since.
        Fact::Stale(_) | Fact::Unknown(_) => false,
    };
    // What a wildcard gives has gone nowhere.
    is_there && !wildcard::is_covered(view, &context.plan.domain, name, record_type)
}

/// The remedy of moving the record to its place.
pub fn move_from(context: &Context<'_>, from: DomainName) -> Remedy {
    let expected = &context.record.expected;
    Remedy::Move {
        from,
        to: context.record.owner.clone(),
        record_type: expected.record_type(),
        value: expected.value(),
        preference: expected.preference(),
    }
}
