//! A proxy hides the alias
//!
//! The name answers with addresses and without a CNAME, as names behind a proxy or with CNAME flattening do.
//!
//! # Why it matters
//!
//! Receivers and verification need the alias itself; behind a proxy the key cannot be found.
//!
//! # What to do
//!
//! 1. Switch the proxy off for this record (Cloudflare: DNS only, grey cloud).
//!
//! # References
//!
//! - RFC 1034 §3.6.2
//! - RFC 6376 §3.6.2

use super::Context;
use crate::{
    address::address_of,
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};
use model::{Confidence, RecordType};

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
