//! An alias beside other data.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    plan::Expected,
};
use model::RecordType;

/// The name has an alias and other records.
///
/// Nothing may stand beside a CNAME. Servers that let it through give one or the other by chance, and receivers
/// find the key only sometimes. Remove the other records.
///
/// Source: RFC 1034 §3.6.2, RFC 2181 §10.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !matches!(context.record.expected, Expected::Cname { .. }) {
        return None;
    }
    context.alias()?;
    let owner = &context.record.owner;
    let mut beside: Vec<RecordType> = [RecordType::Txt, RecordType::A, RecordType::Aaaa, RecordType::Mx]
        .into_iter()
        .filter(|&record_type| {
            context.view.exchanges(owner, record_type).iter().any(|e| matches!(e.says(), Says::Records(_)))
        })
        .collect();
    beside.dedup();
    if beside.is_empty() {
        return None;
    }
    let remedy = Remedy::Remove { name: owner.clone(), record_types: beside.clone(), values: Vec::new() };
    Some(context.finding(Defect::CnameConflict { name: owner.clone(), beside }, context.severity(), remedy))
}
