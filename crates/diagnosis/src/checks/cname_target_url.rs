//! A web address as the target of an alias.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The target of the alias begins with `http://` or `https://`.
///
/// A target is the name of a host and nothing else: with a scheme in front it is a name that nobody has. Leave the
/// scheme out.
///
/// Source: RFC 1035 §3.3.1, RFC 3986 §3.
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
