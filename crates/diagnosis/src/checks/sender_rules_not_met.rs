//! Rules of mailbox providers that are not kept.

use crate::{
    finding::{Defect, Finding, Remedy, UnmetRule},
    mail_policy::{RuleStatus, SenderRule},
};
use model::{Confidence, DomainName, Severity};

/// Gmail, Yahoo, Microsoft or Apple ask for something that the domain does not have.
///
/// Mail is deferred, rejected or marked as spam there. What is missing has a finding of its own; this one says who
/// asks for it.
///
/// Source: RFC 9989; the providers' rules for senders of February 2024, May 2025 and November 2025.
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
