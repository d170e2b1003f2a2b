//! The zone's name was added behind the mail exchanger
//!
//! The exchanger of the MX record is the right name with the zone's name behind it: a final dot is missing.
//!
//! # Why it matters
//!
//! Mail goes to a host that does not exist, so bounces and replies are lost, and addresses that bounce keep getting
//! mail.
//!
//! # What to do
//!
//! 1. Enter the exchanger in full.
//! 2. If the panel adds the zone again, end the exchanger with a dot.
//!
//! # References
//!
//! - RFC 1035 §5.1

use super::{Context, mx_wrong};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

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
