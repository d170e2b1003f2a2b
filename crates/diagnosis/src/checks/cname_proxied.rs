//! A proxy answers in place of the alias.

use super::Context;
use crate::{
    address::address_of,
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};
use model::{Confidence, RecordType};

/// The name has addresses where an alias should be.
///
/// A DNS host that proxies a CNAME publishes addresses of its own in its place, and what the alias points at cannot
/// be seen. Set the record to "DNS only".
///
/// Only suspected: an A record that somebody made by hand looks the same.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !matches!(context.record.expected, Expected::Cname { .. }) || context.alias().is_some() {
        return None;
    }
    let owner = &context.record.owner;
    let addresses: Vec<_> = [RecordType::A, RecordType::Aaaa]
        .into_iter()
        .flat_map(|record_type| context.view.records(owner, record_type))
        .filter_map(|data| address_of(&data))
        .collect();
    if addresses.is_empty() {
        return None;
    }
    let defect = Defect::CnameProxied { name: owner.clone(), addresses };
    let remedy = Remedy::TurnOffProxy { name: owner.clone() };
    Some(Finding { confidence: Confidence::Suspected, ..context.finding(defect, context.severity(), remedy) })
}
