//! Mail goes to another host
//!
//! The MX records of the name lead to other hosts, or to other hosts as well.
//!
//! # Why it matters
//!
//! Bounces and replies go where MX says. What arrives elsewhere is not counted, and addresses that bounce keep
//! getting mail.
//!
//! # What to do
//!
//! 1. Set the MX record shown, and remove the others at this name.
//! 2. Where people read mail under this name, use a subdomain in its place.
//!
//! # References
//!
//! - RFC 5321 §5.1
//! - RFC 7505 §3

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};
use model::{DomainName, RecordData};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { preference, exchange, .. } = &context.record.expected else { return None };
    let found = others(context);
    if found.is_empty() {
        return None;
    }
    let defect = Defect::MxWrong {
        name: context.record.owner.clone(),
        expected: format!("{preference} {exchange}"),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(found)))
}

/// The MX records at the name that are not those of the plan's other exchangers: those have findings of their own.
pub fn others(context: &Context<'_>) -> Vec<String> {
    let Expected::Mx { beside, .. } = &context.record.expected else { return Vec::new() };
    let is_planned =
        |data: &&RecordData| matches!(data, RecordData::Mx { exchange, .. } if beside.contains(exchange));
    records_of(context.here).iter().filter(|data| !is_planned(data)).map(ToString::to_string).collect()
}

/// The exchangers at the name.
pub fn exchangers<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'a DomainName> {
    records_of(context.here).iter().filter_map(|data| match data {
        RecordData::Mx { exchange, .. } => Some(exchange),
        _ => None,
    })
}
