//! Another type where ours should be.

use super::{Context, dmarc_records, spf_records};
use crate::{
    finding::{Defect, Finding},
    observation::Says,
    plan::Expected,
};
use model::{RecordData, RecordType};

/// The name has a record of another type, of the kind that is easily chosen by mistake.
///
/// The type is part of the question that receivers ask: another type is not seen. Remove it and add ours.
///
/// Source: RFC 1035 §3.2.2.
pub fn check(context: &Context<'_>) -> Option<Finding> {
    let owner = &context.record.owner;
    let expected = context.record.expected.record_type();
    let (found, value) = match &context.record.expected {
        Expected::Cname { .. } if context.alias().is_none() => {
            (RecordType::Txt, first_value(&context.view.records(owner, RecordType::Txt))?)
        }
        Expected::Mx { .. } if matches!(context.here, Says::NoData(_)) => {
            let text = first_value(&context.view.records(owner, RecordType::Txt))?;
            // Other TXT records have every right to be there; only a pasted exchanger is a mistake.
            let exchange = context.record.expected.value();
            (RecordType::Txt, Some(text).filter(|text| text.contains(&exchange))?)
        }
        _ => return alias_in_place(context),
    };
    let defect = Defect::RecordWrongType { name: owner.clone(), expected, found, value: value.clone() };
    Some(context.finding(defect, context.severity(), context.replace(vec![value])))
}

/// An alias where a TXT, MX or address record should be, which leads to nothing, goes in a circle, or ends at TXT
/// records that have nothing to do with ours. Ours cannot be added beside it: the alias has to go.
fn alias_in_place(context: &Context<'_>) -> Option<Finding> {
    if matches!(context.record.expected, Expected::Cname { .. }) {
        return None;
    }
    let target = match &context.here {
        Says::AliasLoop(target) => target,
        Says::Alias { target, at_end, .. } if at_end.is_empty() || is_of_another_kind(context) => target,
        _ => return None,
    };
    let value = target.to_string();
    let defect = Defect::RecordWrongType {
        name: context.record.owner.clone(),
        expected: context.record.expected.record_type(),
        found: RecordType::Cname,
        value: value.clone(),
    };
    Some(context.finding(defect, context.severity(), context.replace(vec![value])))
}

/// Whether an alias ends at TXT records of which none is meant to be ours.
fn is_of_another_kind(context: &Context<'_>) -> bool {
    let texts = context.texts();
    match context.record.expected {
        Expected::Spf { .. } => spf_records(&texts).is_empty(),
        Expected::Dmarc { .. } => dmarc_records(&texts).is_empty(),
        Expected::Txt { .. } => true,
        _ => false,
    }
}

fn first_value(records: &[RecordData]) -> Option<String> {
    records.first().map(ToString::to_string)
}
