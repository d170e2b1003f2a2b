//! The DKIM key is for the exact domain only
//!
//! The DKIM record has the flag t=s.
//!
//! # Why it matters
//!
//! Signatures whose i= names a subdomain fail with this key. Without such signatures nothing is wrong.
//!
//! # What to do
//!
//! 1. Nothing, as long as no sender signs for subdomains with this key.
//! 2. If one does, take t=s out.
//!
//! # References
//!
//! - RFC 6376 §3.6.1

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !context.key()?.ok()?.strict {
        return None;
    }
    let defect = Defect::DkimStrict { name: context.record.owner.clone() };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
