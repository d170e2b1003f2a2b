//! The domain calls itself a public suffix
//!
//! The DMARC record of an ordinary domain has psd=y.
//!
//! # Why it matters
//!
//! Every subdomain is then an organization of its own, and its mail no longer aligns with the domain.
//!
//! # What to do
//!
//! 1. Take psd=y out, or write psd=n.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 9989 §4.10.2

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if !repair::is_no_registry(context, parsed) {
        return None;
    }
    let remedy = context.replace_text(record, repair::dmarc(context, record, parsed));
    let defect = Defect::DmarcPublicSuffix { name: context.record.owner.clone(), record: record.to_owned() };
    Some(context.finding(defect, Severity::Warning, remedy))
}
