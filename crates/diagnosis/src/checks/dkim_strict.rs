//! A DKIM key for the exact domain only.

use super::Context;
use crate::finding::{Defect, Finding, Remedy};
use model::Severity;

/// The DKIM record has the flag `t=s`.
///
/// A signature whose `i=` names a subdomain of `d=` fails with it. Nothing is wrong as long as no sender signs for
/// subdomains with this key.
///
/// Source: RFC 6376 §3.6.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !context.key()?.ok()?.strict {
        return None;
    }
    let defect = Defect::DkimStrict { name: context.record.owner.clone() };
    Some(context.finding(defect, Severity::Info, Remedy::Nothing))
}
