//! An ordinary domain that calls itself a public suffix.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};
use model::Severity;

/// The DMARC record has `psd=y`.
///
/// That is for registries. At an ordinary domain it makes every subdomain an organization of its own: mail of
/// subdomains no longer aligns with the domain. Take it out, or write `psd=n`.
///
/// Source: RFC 9989 §4.7, §4.10.2.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if !repair::is_no_registry(context, parsed) {
        return None;
    }
    let remedy = context.replace_text(record, repair::dmarc(context, record, parsed));
    let defect = Defect::DmarcPublicSuffix { name: context.record.owner.clone(), record: record.to_owned() };
    Some(context.finding(defect, Severity::Warning, remedy))
}
