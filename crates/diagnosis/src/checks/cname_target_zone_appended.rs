//! The zone's name was added behind the target
//!
//! The CNAME's target is the right name with the zone's name behind it: a final dot is missing.
//!
//! # Why it matters
//!
//! A target without final dot can be taken as relative to the zone, and then leads to a name that does not exist.
//!
//! # What to do
//!
//! 1. Enter the target in full.
//! 2. If the panel adds the zone again, end the target with a dot.
//!
//! # References
//!
//! - RFC 1035 §5.1

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, .. } = &context.record.expected else { return None };
    let found = context.alias()?;
    let zones = [context.zone.clone(), Some(context.plan.domain.clone()), context.record.owner.parent()];
    let zone =
        zones.into_iter().flatten().find(|zone| zone.prepend(target.as_str()).as_ref() == Ok(found))?;
    let defect = Defect::CnameTargetZoneAppended {
        name: context.record.owner.clone(),
        expected: target.clone(),
        found: found.clone(),
        zone,
    };
    Some(context.finding(defect, context.severity(), context.replace(vec![found.to_string()])))
}
