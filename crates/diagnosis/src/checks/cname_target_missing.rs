//! The alias points at nothing
//!
//! The CNAME is as it should be, and there is nothing at its target: no such name, or none with what is looked for
//! there.
//!
//! # Why it matters
//!
//! Whoever follows the alias finds nothing there: no key, so no signature can be checked, or no address, so no link
//! opens.
//!
//! # What to do
//!
//! 1. Compare the target with the value that was given.
//! 2. If it is the same, the operator of the sending service has to publish what is behind it.
//!
//! # References
//!
//! - RFC 6604 §3
//! - RFC 2308 §2.1

use super::Context;
use crate::{
    finding::{Defect, Finding, Remedy},
    inquiry::target_type,
    observation::{ChainEnd, Says},
    plan::Expected,
    view::Fact,
};
use model::{DomainName, Purpose, RecordType, Severity};

pub fn check(context: &Context<'_>) -> Option<Finding> {
    let Expected::Cname { target, dkim_key } = &context.record.expected else { return None };
    if context.alias() != Some(target) {
        return None;
    }
    let record_type = target_type(context.record);
    let behind = |record_type| context.view.behind_alias(&context.record.owner, target, record_type);
    let looked_up;
    let fact = match context.behind_alias() {
        Some(texts) if record_type == RecordType::Txt => texts,
        _ => {
            looked_up = behind(record_type);
            &looked_up
        }
    };
    let missing = match fact {
        Fact::Agreed(
            Says::NxDomain(_) | Says::AliasLoop(_) | Says::Alias { end: ChainEnd::NxDomain(_), .. },
        ) => true,
        fact if !fact.lacks_type() => false,
        _ if record_type == RecordType::A => behind(RecordType::Aaaa).lacks_type(),
        _ => dkim_key.is_some(),
    };
    let severity = match context.record.purpose {
        // Some prove by an alias to a name that need not exist that a domain is theirs.
        Purpose::Other | Purpose::Tracking if is_no_host(&context.record.owner) => return None,
        Purpose::Other => context.severity().min(Severity::Warning),
        _ => context.severity(),
    };
    if !missing {
        return None;
    }
    let defect = Defect::CnameTargetMissing { name: context.record.owner.clone(), target: target.clone() };
    Some(context.finding(defect, severity, Remedy::AskOperator))
}

fn is_no_host(name: &DomainName) -> bool {
    name.labels().any(|label| label.starts_with('_'))
}
