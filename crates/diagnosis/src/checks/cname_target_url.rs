//! The alias points at a web address
//!
//! The target of the CNAME begins with http:// or https://.
//!
//! # Why it matters
//!
//! A target is the name of a host. With a scheme in front it is a name that does not exist.
//!
//! # What to do
//!
//! 1. Enter the target without http://, https:// and path.
//!
//! # References
//!
//! - RFC 1035 §3.3.1
//! - RFC 3986 §3

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, .. } = &context.record.expected else { return None };
    let found = context.alias()?;
    let is_url =
        ["http:", "https:", "http\\:", "https\\:"].iter().any(|scheme| found.as_str().starts_with(scheme))
            || found.as_str().contains("//");
    if !is_url {
        return None;
    }
    let defect = Defect::CnameTargetUrl {
        name: context.record.owner.clone(),
        expected: target.clone(),
        found: found.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(vec![found.to_string()])))
}
