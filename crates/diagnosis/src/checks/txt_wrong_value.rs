//! Another text.

use super::Context;
use crate::{
    finding::{Defect, Finding},
    plan::Expected,
};

/// The name has TXT records, and none has the planned value.
///
/// The proof is not seen. Add the record; others may stay beside it, unless the plan says that ours takes their
/// place.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Txt { value, conflict } = &context.record.expected else { return None };
    let found = context.texts().to_vec();
    if found.is_empty() {
        return None;
    }
    let displaced: Vec<String> =
        found.iter().filter(|text| conflict.displaces(text, value)).cloned().collect();
    let remedy = if displaced.is_empty() { context.add() } else { context.replace(displaced) };
    let defect = Defect::TxtWrongValue { name: context.record.owner.clone(), expected: value.clone(), found };
    Some(context.finding(defect, context.severity(), remedy))
}
