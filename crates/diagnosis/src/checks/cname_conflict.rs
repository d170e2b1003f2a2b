//! An alias and other records at one name
//!
//! The name has a CNAME and records of other types beside it.
//!
//! # Why it matters
//!
//! An alias must stand alone at its name. Which of the records resolvers then see is left to chance.
//!
//! # What to do
//!
//! 1. Decide which belongs there.
//! 2. Delete the other records at this name.
//!
//! # References
//!
//! - RFC 1034 §3.6.2
//! - RFC 2181 §10.1

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Says, Server},
    plan::Expected,
};
use model::RecordType;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    if !context.view.has_authorities() {
        return None;
    }
    let owner = &context.record.owner;
    // What the zone's own servers say: a resolver may still remember a record that is gone.
    let all_say = |record_type, what: &dyn Fn(&Says) -> bool| {
        let heard = context.view.heard(owner, record_type).iter();
        let mut servers = heard
            .filter(|heard| heard.is_certain() && matches!(heard.server(), Server::Authority { .. }))
            .peekable();
        servers.peek().is_some() && servers.all(|heard| what(&heard.says))
    };
    let is_there = |record_type| all_say(record_type, &|says| matches!(says, Says::Records(_)));
    let alias = all_say(RecordType::Cname, &|says| matches!(says, Says::Alias { .. }));
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
