//! A mail exchanger that is an alias.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    plan::Expected,
    view::Fact,
};
use model::{RecordType, Severity};

/// The MX record names an alias.
///
/// An exchanger must be a host with addresses of its own. Most servers follow the alias all the same, some do not.
/// Whoever runs the exchanger has to give it addresses.
///
/// Source: RFC 2181 §10.3, RFC 5321 §5.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { exchange, .. } = &context.record.expected else { return None };
    let Fact::Agreed(Says::Alias { target, .. }) = context.view.fact(exchange, RecordType::A) else {
        return None;
    };
    let dangles = |says: &Says| matches!(says, Says::Alias { end: ChainEnd::NxDomain(_), .. });
    if context.view.heard(exchange, RecordType::A).iter().any(|heard| dangles(&heard.says)) {
        return None;
    }
    let defect = Defect::MxExchangeAlias {
        name: context.record.owner.clone(),
        exchange: exchange.clone(),
        target: target.clone(),
    };
    Some(context.finding(defect, Severity::Warning, Remedy::AskOperator))
}
