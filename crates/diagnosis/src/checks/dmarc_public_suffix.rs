//! An ordinary domain that calls itself a public suffix.

use super::Context;
use crate::finding::{Defect, Finding};
use mail::dmarc::{PublicSuffix, without_tags};
use model::Severity;

/// The DMARC record has `psd=y`.
///
/// That is for registries. At an ordinary domain it makes every subdomain an organization of its own: mail of
/// subdomains no longer aligns with the domain. Take it out, or write `psd=n`.
///
/// Source: RFC 9989 §4.7, §4.10.2.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if parsed.public_suffix != PublicSuffix::Yes || model::registrable_domain(&context.plan.domain).is_none()
    {
        return None;
    }
    let remedy = context.replace_text(&record, without_tags(&record, &["psd".to_owned()]));
    let defect = Defect::DmarcPublicSuffix { name: context.record.owner.clone(), record };
    Some(context.finding(defect, Severity::Warning, remedy))
}
