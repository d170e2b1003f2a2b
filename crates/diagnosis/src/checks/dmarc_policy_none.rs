//! A DMARC policy that nobody acts on.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    repair,
};
use mail::dmarc::{Policy, with_tag};
use model::Severity;

/// The DMARC policy is `p=none`.
///
/// Receivers report and do nothing else: anyone can still send in this name. That is the right start. Read the
/// reports of two to four weeks; when every legitimate source passes, go on to `quarantine`, then to `reject`.
///
/// Source: RFC 9989 §4.7, §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, parsed) = context.dmarc()?;
    if parsed.policy != Policy::None || parsed.policy_defaulted {
        return None;
    }
    let next = with_tag(&repair::dmarc(context, record, parsed), "p", "quarantine");
    let defect =
        Defect::DmarcPolicyNone { name: context.record.owner.clone(), record: record.to_owned(), next };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
