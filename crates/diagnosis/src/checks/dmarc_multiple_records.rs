//! Several DMARC records
//!
//! More than one record that begins with v=DMARC1 is at the name.
//!
//! # Why it matters
//!
//! Of several records receivers discard all, and no policy from further up takes their place.
//!
//! # What to do
//!
//! 1. Keep one record, and delete the others.
//!
//! # References
//!
//! - RFC 9989 §4.10

use super::{Context, dmarc_records};
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Dmarc { .. } = context.record.expected else { return None };
    let records = dmarc_records(context.texts());
    if records.len() < 2 {
        return None;
    }
    let name = context.record.owner.clone();
    // Which of them is meant the customer knows; keeping the first that parses is the safe proposal.
    let keep = records.iter().position(|text| mail::dmarc::PolicyRecord::parse(text).is_ok()).unwrap_or(0);
    let values = records
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != keep)
        .map(|(_, text)| text.clone())
        .collect();
    let remedy = Remedy::Remove { name: name.clone(), record_types: vec![model::RecordType::Txt], values };
    Some(context.finding(Defect::DmarcMultipleRecords { name, records }, context.severity(), remedy))
}
