//! A redirect in SPF is never followed
//!
//! The SPF record has both all and redirect=.
//!
//! # Why it matters
//!
//! With all in the record, redirect is ignored: the senders of the other record are not covered.
//!
//! # What to do
//!
//! 1. Take out redirect=, or take out all if the other record should decide.
//!
//! # References
//!
//! - RFC 7208 §6.1

use super::Context;
use crate::finding::{Defect, Finding};
use model::Severity;

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    let ignored = tree.terms.iter().find(|term| {
        !term.reached && term.text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("redirect="))
    })?;
    let remedy = context.repair_spf();
    let defect = Defect::SpfRedirectIgnored {
        name: context.record.owner.clone(),
        record: record.to_owned(),
        term: ignored.text.clone(),
    };
    Some(context.finding(defect, Severity::Warning, remedy))
}
