//! Nothing could be found out
//!
//! Not one server gave an answer that says anything, to any question: the machine is offline, or its resolvers refuse
//! it.
//!
//! # Why it matters
//!
//! That says nothing of the domain. Nothing is taken from it.
//!
//! # What to do
//!
//! 1. Check that the machine is online and may send DNS queries (port 53, UDP and TCP).
//! 2. Check which resolvers are set, and that they answer this machine.
//!
//! # References
//!
//! - RFC 9520 §2

use crate::{
    finding::{Defect, Finding, Remedy},
    observation::Says,
    view::View,
};
use model::{Confidence, Severity};

pub fn check(view: &View) -> Option<Finding> {
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
