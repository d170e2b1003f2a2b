//! The mail exchanger has no address
//!
//! The MX record is as it should be, and the host that it names has neither an A nor an AAAA record.
//!
//! # Why it matters
//!
//! Nobody can hand over bounces, so addresses that bounce keep getting mail.
//!
//! # What to do
//!
//! 1. Compare the exchanger with the value that was given.
//! 2. If it is the same, the operator of the sending service has to give the host an address.
//!
//! # References
//!
//! - RFC 5321 §5.1
//! - RFC 6604 §3

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{ChainEnd, Says},
    plan::Expected,
    view::Fact,
};
use model::RecordType;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Mx { exchange, .. } = &context.record.expected else { return None };
    let has_none = |record_type| match context.view.fact(exchange, record_type) {
        Fact::Agreed(says) => says.is_negative(),
        _ => false,
    };
    // A null MX names no host, and is meant to (RFC 7505).
    if exchange.is_root() {
        return None;
    }
    // One resolver may remember for a while that nothing was there.
    let dangles = matches!(
        context.view.fact(exchange, RecordType::A),
        Fact::Agreed(Says::Alias { end: ChainEnd::NxDomain(_), .. } | Says::AliasLoop(_))
    );
    let has_neither = has_none(RecordType::A) && has_none(RecordType::Aaaa);
    if !(dangles || has_neither) {
        return None;
    }
    let defect = Defect::MxExchangeMissing { name: context.record.owner.clone(), exchange: exchange.clone() };
    Some(context.finding(defect, context.severity(), Remedy::AskOperator))
}
