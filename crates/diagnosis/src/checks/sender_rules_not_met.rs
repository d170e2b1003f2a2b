//! Mailbox providers want more
//!
//! Rules of Gmail, Yahoo, Microsoft or Apple for senders are not kept.
//!
//! # Why it matters
//!
//! Mail is deferred, rejected or marked as spam there. Some rules hold only for bulk mail, about 5,000 messages a
//! day.
//!
//! # What to do
//!
//! 1. Mend the findings that stand in the way; each says how.
//!
//! # References
//!
//! - RFC 9989 §4.7
//! - RFC 8058 §3

use crate::{
    finding::{Defect, Finding, Remedy, UnmetRule},
    mail_policy::{RuleStatus, SenderRule},
};
use model::{Confidence, DomainName, Severity};

/// What is missing has a finding of its own; this one says who asks for it. The rules are those of February 2024, May
/// 2025 and November 2025.
pub fn check(domain: &DomainName, rules: &[SenderRule]) -> Option<Finding> {
    let unmet: Vec<UnmetRule> = rules
        .iter()
        .filter(|rule| rule.status == RuleStatus::NotMet)
        .map(|rule| UnmetRule { provider: rule.provider, rule: rule.rule, bulk: rule.bulk })
        .collect();
    if unmet.is_empty() {
        return None;
    }
    Some(Finding {
        defect: Defect::SenderRulesNotMet { domain: domain.clone(), unmet },
        // The causes are told with their own severity: this one adds who cares.
        severity: Severity::Info,
        confidence: Confidence::Confirmed,
        record: None,
        remedy: Remedy::Nothing,
    })
}
