//! The record has the wrong type
//!
//! The name has a record of another type, often TXT where CNAME belongs or the other way round.
//!
//! # Why it matters
//!
//! Receivers ask for a type as well as for a name; a record of another type does not answer them.
//!
//! # What to do
//!
//! 1. Delete the record that is there.
//! 2. Add it anew with the type shown.
//!
//! # References
//!
//! - RFC 1034 §3.6
//! - RFC 1035 §3.2.2

use super::{Context, bounded, dmarc_records, spf_records};
use crate::{
    finding::{Defect, Finding},
    observation::Says,
    plan::Expected,
    spf_tree,
};
use model::{RecordData, RecordType, TxtData};

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
        Expected::Spf { .. } if context.alias().is_none() => return spf_type(context),
        _ => return alias_in_place(context),
    };
    let defect = Defect::RecordWrongType { name: owner.clone(), expected, found, value: value.clone() };
    Some(context.finding(defect, context.severity(), context.replace(vec![value])))
}

/// An SPF record of the type that was made for it and that nobody asks for any more (RFC 7208 §3.1).
fn spf_type(context: &Context<'_>) -> Option<Finding> {
    if !matches!(context.here, Says::NoData(_) | Says::Records(_)) || !spf_records(context.texts()).is_empty()
    {
        return alias_in_place(context);
    }
    let name = context.record.owner.clone();
    let value = context.view.records(&name, RecordType::SPF).iter().find_map(|data| match data {
        RecordData::Other { octets, .. } => {
            let text = bounded(TxtData::from_wire(octets)?.joined().into()).into_owned();
            mail::spf::is_spf_record(&text).then_some(text)
        }
        _ => None,
    })?;
    let merged =
        context.spf_rules().map_or_else(|| value.clone(), |rules| spf_tree::merge_one(&value, rules));
    let remedy = context.replace_text(&value, merged);
    let defect = Defect::RecordWrongType { name, expected: RecordType::Txt, found: RecordType::SPF, value };
    Some(context.finding(defect, context.severity(), remedy))
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
        Expected::Spf { .. } => spf_records(texts).is_empty(),
        Expected::Dmarc { .. } => dmarc_records(texts).is_empty(),
        Expected::Txt { .. } => true,
        _ => false,
    }
}

fn first_value(records: &[RecordData]) -> Option<String> {
    records.first().map(ToString::to_string)
}
