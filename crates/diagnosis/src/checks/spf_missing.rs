//! No SPF record
//!
//! No TXT record that begins with v=spf1 is at the name.
//!
//! # Why it matters
//!
//! Receivers cannot tell which servers may send for this envelope domain. Large mailbox providers ask bulk senders
//! for SPF.
//!
//! # What to do
//!
//! 1. Add the TXT record shown.
//!
//! # References
//!
//! - RFC 7208 §3
//! - RFC 7208 §4.5

use super::{Context, spf_records};
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { .. } = context.record.expected else { return None };
    if !spf_records(context.texts()).is_empty() {
        return None;
    }
    let defect = Defect::SpfMissing { name: context.record.owner.clone() };
    Some(context.finding(defect, context.severity(), context.add()))
}
