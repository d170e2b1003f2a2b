//! The name has another address
//!
//! The A or AAAA records of the name hold other addresses.
//!
//! # Why it matters
//!
//! Requests to this name reach another machine.
//!
//! # What to do
//!
//! 1. Replace the address by the one shown.
//!
//! # References
//!
//! - RFC 1035 §3.4.1
//! - RFC 3596 §2.1

use super::{Context, records_of};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Address { data } = &context.record.expected else { return None };
    let found: Vec<String> = records_of(context.here).iter().map(ToString::to_string).collect();
    if found.is_empty() {
        return None;
    }
    let defect = Defect::AddressWrong {
        name: context.record.owner.clone(),
        expected: data.to_string(),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(found)))
}
