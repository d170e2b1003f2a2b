//! The SPF record lets everyone send
//!
//! The record lets every server on the internet pass: it ends in +all, names the whole internet as a range of
//! addresses, or includes a record that does.
//!
//! # Why it matters
//!
//! Anyone can send mail that passes SPF for this domain, and with it DMARC.
//!
//! # What to do
//!
//! 1. Take out what lets everyone pass.
//! 2. End the record with ~all, and with -all once all senders are listed.
//!
//! # References
//!
//! - RFC 7208 §5.1
//! - RFC 7208 §8.3

use super::Context;
use crate::{
    finding::{Defect, Finding},
    repair,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let (record, tree) = context.spf()?;
    if !tree.passes_all && !tree.terms.iter().any(|term| term.reached && repair::is_all_of_ipv6(term)) {
        return None;
    }
    let is_all = |term: &str| term.eq_ignore_ascii_case("all") || term.eq_ignore_ascii_case("+all");
    let is_cause = |term: &mail::spf::SpfNodeTerm| is_all(&term.text) || repair::lets_everyone_pass(term);
    let reached = tree.terms.iter().filter(|term| term.reached);
    let cause = if let Some(term) = reached.clone().find(|term| is_cause(term)) {
        term.text.clone()
    } else {
        let wide = reached.filter(|term| repair::is_wide(term)).map(|term| term.text.as_str());
        wide.collect::<Vec<_>>().join(" ")
    };
    let defect =
        Defect::SpfPassesAll { name: context.record.owner.clone(), record: record.to_owned(), term: cause };
    Some(context.finding(defect, context.severity(), context.repair_spf()))
}
