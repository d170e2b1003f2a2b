//! An alias is wanted where none can be
//!
//! A CNAME is asked for at the name of a zone itself, where the records stand that keep the zone working.
//!
//! # Why it matters
//!
//! An alias has to stand alone at its name. DNS hosts refuse this one, or it takes mail and website of the whole zone
//! away.
//!
//! # What to do
//!
//! 1. Do not add the alias, and delete nothing for it.
//! 2. Ask the service for an alias at a subdomain, or for a record of another type.
//!
//! # References
//!
//! - RFC 1034 §3.6.2
//! - RFC 1912 §2.4

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { .. } = context.record.expected else { return None };
    let name = &context.record.owner;
    // Whoever registers a name gets a zone of that name. Further down only DNS tells.
    let is_apex = model::registrable_domain(name).as_ref() == Some(name)
        || context.view.zone_of(name).as_ref() == Some(name);
    // One that is there all the same is judged by what it says.
    if !is_apex || context.alias().is_some() {
        return None;
    }
    let defect = Defect::CnameAtApex { name: name.clone(), expected: context.record.expected.value() };
    Some(context.finding(defect, context.severity(), Remedy::AskOperator))
}
