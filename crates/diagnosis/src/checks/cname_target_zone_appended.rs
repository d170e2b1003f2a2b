//! The alias points at its target with the zone's name behind it.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The target is right but for the zone's name at its end.
///
/// The DNS host took the target for a relative name and appended the zone. Write it with a final dot, or as the
/// host wants it.
///
/// Source: RFC 1035 §5.1.
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
