//! The alias points at nothing
//!
//! The CNAME is as it should be, and its target does not exist in DNS.
//!
//! # Why it matters
//!
//! Whoever follows the alias finds nothing there, so no key and no signature that can be checked.
//!
//! # What to do
//!
//! 1. Compare the target with the value that was given.
//! 2. If it is the same, the operator of the sending service has to publish what is behind it.
//!
//! # References
//!
//! - RFC 6604 §3
//! - RFC 2308 §2.1

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    plan::Expected,
    view::Fact,
};
use model::RecordType;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, dkim_key } = &context.record.expected else { return None };
    if context.alias() != Some(target) {
        return None;
    }
    let missing = match context.view.behind_alias(&context.record.owner, target, RecordType::Txt) {
        Fact::Agreed(Says::NxDomain(_) | Says::Alias { end: ChainEnd::NxDomain(_), .. }) => true,
        Fact::Agreed(Says::NoData(_) | Says::Alias { end: ChainEnd::NoData, .. }) => dkim_key.is_some(),
        _ => false,
    };
    if !missing {
        return None;
    }
    let defect = Defect::CnameTargetMissing { name: context.record.owner.clone(), target: target.clone() };
    Some(context.finding(defect, context.severity(), Remedy::AskOperator))
}
