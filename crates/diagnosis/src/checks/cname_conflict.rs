//! An alias beside other data.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    plan::Expected,
    view::Fact,
};
use model::RecordType;

/// The name has an alias and other records.
///
/// Nothing may stand beside a CNAME. Servers that let it through give one or the other by chance, and receivers
/// find the key only sometimes. Remove the other records.
///
/// Source: RFC 1034 §3.6.2, RFC 2181 §10.1.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let owner = &context.record.owner;
    // What the zone's own servers say: a resolver may still remember a record that is gone.
    let is_there =
        |record_type| matches!(context.view.fact(owner, record_type), Fact::Agreed(Says::Records(_)));
    let alias = matches!(context.view.fact(owner, RecordType::Cname), Fact::Agreed(Says::Alias { .. }));
    let others = [RecordType::Txt, RecordType::A, RecordType::Aaaa, RecordType::Mx];
    let beside: Vec<RecordType> = others.into_iter().filter(|&record_type| is_there(record_type)).collect();
    if !alias || beside.is_empty() {
        return None;
    }
    let remedy = match context.record.expected {
        Expected::Cname { .. } => {
            Remedy::Remove { name: owner.clone(), record_types: beside.clone(), values: Vec::new() }
        }
        _ => {
            Remedy::Remove { name: owner.clone(), record_types: vec![RecordType::Cname], values: Vec::new() }
        }
    };
    Some(context.finding(Defect::CnameConflict { name: owner.clone(), beside }, context.severity(), remedy))
}
