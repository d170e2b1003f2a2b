//! Nothing can be found out from here.

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    view::View,
};
use model::{Confidence, Severity};

/// No server gave an answer that says anything, to any question.
///
/// The machine is offline, or every resolver refuses it. That says nothing of the domain, and nothing is taken from
/// it. Check the machine's network, and which resolvers are set.
///
/// Source: RFC 8499 §6, RFC 9520 §2.
pub fn check(view: &View<'_>) -> Option<Finding> {
    if view.all().is_empty() || view.all().iter().any(crate::view::Heard::is_certain) {
        return None;
    }
    let mut reasons: Vec<String> = Vec::new();
    for heard in view.all() {
        if let Says::Nothing(reason) | Says::Lame(reason) = &heard.says {
            let reason = format!("{}: {reason}", heard.server());
            if reasons.len() < MAX_REASONS && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    Some(Finding {
        defect: Defect::ResolversUnusable { reasons },
        severity: Severity::Warning,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::CheckAgain,
    })
}

/// How many servers and reasons are kept.
pub const MAX_REASONS: usize = 12;
