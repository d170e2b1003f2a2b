//! The mail exchanger is the right one with the zone's name behind it.

use super::{Context, mx_wrong};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The exchanger is right but for the zone's name at its end.
///
/// The DNS host took it for a relative name and appended the zone, so bounces go to a host that does not exist. Write
/// it with a final dot, or as the host wants it.
///
/// Source: RFC 1035 §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange, .. } = &context.record.expected else { return None };
    let zones = [context.zone.clone(), Some(context.plan.domain.clone()), context.record.owner.parent()];
    let zones: Vec<_> = zones.into_iter().flatten().chain([context.record.owner.clone()]).collect();
    let (found, zone) = mx_wrong::exchangers(context).find_map(|found| {
        let zone = zones.iter().find(|zone| zone.prepend(exchange.as_str()).as_ref() == Ok(found))?;
        Some((found.clone(), zone.clone()))
    })?;
    let (name, expected) = (context.record.owner.clone(), format!("{preference} {exchange}"));
    let defect = Defect::MxExchangeZoneAppended { name, expected, found, zone };
    Some(context.finding(defect, context.severity(), context.replace(mx_wrong::others(context))))
}
