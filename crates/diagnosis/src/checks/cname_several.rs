//! Several aliases at one name
//!
//! The name has more than one CNAME record, and they point at different names.
//!
//! # Why it matters
//!
//! A name can be an alias for one other only. Which of them is followed is left to chance, and some servers refuse
//! the whole zone.
//!
//! # What to do
//!
//! 1. Keep the one that belongs there, and delete the others.
//!
//! # References
//!
//! - RFC 2181 §10.1
//! - RFC 1034 §3.6.2

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    observation::{Says, Server},
    plan::Expected,
};
use model::{DomainName, RecordType};

/// The planned one stays; where a record of another type belongs, all go.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let targets = match &context.here {
        Says::SeveralAliases(targets) => targets,
        // To other questions many servers answer with one of them.
        _ => at_name_servers(context)?,
    };
    let name = context.record.owner.clone();
    let texts = |targets: &mut dyn Iterator<Item = &DomainName>| targets.map(ToString::to_string).collect();
    let remedy = match &context.record.expected {
        Expected::Cname { target, .. } if targets.contains(target) => Remedy::Remove {
            name: name.clone(),
            record_types: vec![RecordType::Cname],
            values: texts(&mut targets.iter().filter(|other| *other != target)),
        },
        _ => context.replace(texts(&mut targets.iter())),
    };
    let defect = Defect::CnameSeveral { name, targets: targets.to_owned() };
    Some(context.finding(defect, context.severity(), remedy))
}

/// The aliases, where all name servers that say anything have several: a resolver may still remember one that is gone.
fn at_name_servers<'a>(context: &'a Context<'_>) -> Option<&'a [DomainName]> {
    let heard = context.view.heard(&context.record.owner, RecordType::Cname).iter();
    let mut servers =
        heard.filter(|heard| heard.is_certain() && matches!(heard.server(), Server::Authority { .. }));
    let of = |says: &'a Says| match says {
        Says::SeveralAliases(targets) => Some(targets.as_slice()),
        _ => None,
    };
    let first = of(&servers.next()?.says)?;
    servers.all(|heard| of(&heard.says).is_some()).then_some(first)
}
