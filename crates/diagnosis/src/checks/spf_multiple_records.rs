//! More than one SPF record.

use super::{Context, spf_mechanism_absent::merged, spf_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};

/// The name has several SPF records.
///
/// That is a permanent error: every check fails, for every sender. Put the mechanisms into one record.
///
/// Source: RFC 7208 §4.5.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Spf { rules } = &context.record.expected else { return None };
    let records = spf_records(&context.texts());
    let (first, others) = records.split_first()?;
    if others.is_empty() {
        return None;
    }
    let name = context.record.owner.clone();
    let mut replace_with =
        others.iter().fold(first.clone(), |record, other| merged(&record, &mechanisms(other)));
    if let Some(rules) = rules {
        replace_with = merged(&replace_with, rules);
    }
    let remedy = Remedy::MergeSpf { name: name.clone(), current: records.clone(), replace_with };
    Some(context.finding(Defect::SpfMultipleRecords { name, records }, context.severity(), remedy))
}

/// The terms of a record but for its version, `all`, and modifiers, of which there can be only one.
fn mechanisms(record: &str) -> String {
    record
        .split_ascii_whitespace()
        .skip(1)
        .filter(|term| {
            let bare = term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
            bare != "all" && !bare.starts_with("redirect=") && !bare.starts_with("exp=")
        })
        .collect::<Vec<_>>()
        .join(" ")
}
