//! Texts beside ours that should have gone.

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    plan::Expected,
};
use model::{RecordType, Severity};

/// Our text is there, and beside it stand texts that it was to take the place of.
///
/// Whoever reads them may take the old one for the one that counts. Remove the others.
///
/// Source: draft-ietf-dconn-domainconnect §10.4.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Txt { value, conflict } = &context.record.expected else { return None };
    let found: Vec<String> =
        context.texts().iter().filter(|text| conflict.displaces(text, value)).cloned().collect();
    if found.is_empty() {
        return None;
    }
    let name = context.record.owner.clone();
    let remedy =
        Remedy::Remove { name: name.clone(), record_types: vec![RecordType::Txt], values: found.clone() };
    let defect = Defect::TxtConflicting { name, expected: value.clone(), found };
    Some(context.finding(defect, Severity::Warning, remedy))
}
