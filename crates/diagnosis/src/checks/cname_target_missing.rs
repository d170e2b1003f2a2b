//! The alias is right, and its target does not exist.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    plan::Expected,
    view::Fact,
};
use model::RecordType;

/// The alias points where it should, and nothing is there.
///
/// The record is right; the platform does not serve what it points at. Nothing for the customer to do.
///
/// Source: RFC 6604.
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
