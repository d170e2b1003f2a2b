//! The mail exchanger is an alias
//!
//! The MX record names a host that is a CNAME.
//!
//! # Why it matters
//!
//! An exchanger has to have addresses of its own. Most servers follow the alias, some refuse.
//!
//! # What to do
//!
//! 1. The operator of the exchanger has to put A and AAAA records in the place of the alias.
//!
//! # References
//!
//! - RFC 2181 §10.3
//! - RFC 5321 §5.1

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    plan::Expected,
    view::Fact,
};
use model::{RecordType, Severity};

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
