//! What the large mailbox providers ask of senders, rule by rule.
//!
//! Sources: Google's "Email sender guidelines" and Yahoo's "Sender best practices" (both since February 2024, Google
//! with rejections since November 2025), Microsoft's "Strengthening email ecosystem" (since 5 May 2025), Apple's
//! "Postmaster information for iCloud Mail". Much of it shows in no customer's DNS: that is said as it is.

use super::{Alignment, Identifier, ReverseDns, SenderHost};
use crate::{Expected, Finding, checks::sender_rules_not_met, plan::Plan, report::RecordReport};
use model::{Purpose, RecordStatus};
use serde::{Deserialize, Serialize};

/// A mailbox provider with rules for senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Gmail and Google Workspace's personal counterpart.
    Gmail,
    /// Yahoo and AOL.
    Yahoo,
    /// Outlook.com, Hotmail, Live.
    Microsoft,
    /// iCloud Mail.
    Apple,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// SPF or DKIM is set up.
    SpfOrDkim,
    /// SPF is set up.
    Spf,
    /// DKIM is set up, with a key of 1024 bits at the least.
    Dkim,
    /// A DMARC policy holds, `p=none` at the least.
    Dmarc,
    /// What SPF or DKIM proves is the domain in From.
    Alignment,
    /// From is no domain of the provider's own mailboxes.
    FromDomain,
    /// The sending servers have reverse DNS that leads back to them.
    ReverseDns,
    /// Mail goes out over TLS.
    Tls,
    /// Messages are well formed (RFC 5322).
    WellFormed,
    /// Bulk mail can be unsubscribed from with one click (RFC 8058).
    OneClickUnsubscribe,
    /// Few people report the mail as spam: below 0.3 %, better 0.1 %.
    ComplaintRate,
}

impl Rule {
    const COUNT: usize = Self::ComplaintRate as usize + 1;
}

/// How a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleStatus {
    /// It is kept.
    Met,
    /// It is not kept.
    NotMet,
    /// DNS did not tell.
    Unknown,
    /// The sending service sees to it with each message.
    AtSend,
    /// It is for the operator and the sender to see to; DNS does not show it.
    Operator,
}

/// One rule of one provider for the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderRule {
    /// Whose.
    pub provider: Provider,
    /// Which.
    pub rule: Rule,
    /// Whether it is asked only of those who send much (about 5,000 messages a day).
    pub bulk: bool,
    /// How it stands.
    pub status: RuleStatus,
    /// The codes of the findings that stand in the way.
    pub why: Vec<String>,
}

/// The rules, the same for every domain. Apple has no threshold.
const RULES: &[(Provider, &[Rule], &[Rule])] = &[
    (
        Provider::Gmail,
        &[
            Rule::SpfOrDkim,
            Rule::FromDomain,
            Rule::ReverseDns,
            Rule::Tls,
            Rule::WellFormed,
            Rule::ComplaintRate,
        ],
        &[Rule::Spf, Rule::Dkim, Rule::Dmarc, Rule::Alignment, Rule::OneClickUnsubscribe],
    ),
    (
        Provider::Yahoo,
        &[Rule::SpfOrDkim, Rule::ReverseDns, Rule::WellFormed, Rule::ComplaintRate],
        &[Rule::Spf, Rule::Dkim, Rule::Dmarc, Rule::Alignment, Rule::OneClickUnsubscribe],
    ),
    (Provider::Microsoft, &[], &[Rule::Spf, Rule::Dkim, Rule::Dmarc, Rule::Alignment]),
    (
        Provider::Apple,
        &[
            Rule::Spf,
            Rule::Dkim,
            Rule::Dmarc,
            Rule::ReverseDns,
            Rule::WellFormed,
            Rule::OneClickUnsubscribe,
            Rule::ComplaintRate,
        ],
        &[],
    ),
];

/// The checklist, and a finding where something is not met. Both are empty for a plan that is not for sending.
pub fn sender_rules(
    plan: &Plan,
    records: &[RecordReport],
    alignment: Option<&Alignment>,
    senders: &[SenderHost],
) -> (Vec<SenderRule>, Option<Finding>) {
    let mut rules = Vec::with_capacity(26);
    if !plan.is_for_sending() {
        return (rules, None);
    }
    // Providers ask for the same things.
    let mut judged = [const { None }; Rule::COUNT];
    for (provider, all, bulk) in RULES {
        for (wanted, bulk) in [(all, false), (bulk, true)] {
            for &rule in *wanted {
                let (status, why): &(RuleStatus, Vec<String>) = judged[rule as usize]
                    .get_or_insert_with(|| judge(rule, plan, records, alignment, senders));
                // Mostly there is nothing to copy.
                let why = if why.is_empty() { Vec::new() } else { why.clone() };
                rules.push(SenderRule { provider: *provider, rule, bulk, status: *status, why });
            }
        }
    }
    let finding = sender_rules_not_met::check(&plan.domain, &rules);
    (rules, finding)
}

fn judge(
    rule: Rule,
    plan: &Plan,
    records: &[RecordReport],
    alignment: Option<&Alignment>,
    senders: &[SenderHost],
) -> (RuleStatus, Vec<String>) {
    let spf = || of(records, is_spf, true);
    let dkim = || match of(records, RecordReport::is_dkim, false) {
        // Keys that were found by trying need not be those that mail is signed with.
        (RuleStatus::NotMet, _) if !plan.tried_selectors.is_empty() => (RuleStatus::Unknown, Vec::new()),
        other => other,
    };
    match rule {
        Rule::Spf => spf(),
        Rule::Dkim => dkim(),
        Rule::SpfOrDkim => either(spf(), dkim()),
        Rule::Dmarc => of(records, |record| record.planned.purpose == Purpose::Dmarc, false),
        Rule::Alignment => aligned(alignment, records),
        // Domains of mailbox providers are refused before they get here; this is for audits.
        Rule::FromDomain => {
            let is_own = matches!(plan.domain.as_str(), "gmail.com" | "googlemail.com");
            (if is_own { RuleStatus::NotMet } else { RuleStatus::Met }, Vec::new())
        }
        Rule::Tls | Rule::WellFormed | Rule::OneClickUnsubscribe => (RuleStatus::AtSend, Vec::new()),
        Rule::ReverseDns => reverse_dns(senders),
        Rule::ComplaintRate => (RuleStatus::Operator, Vec::new()),
    }
}

/// Every sending server needs a name; which servers send is known only where the plan names them.
fn reverse_dns(senders: &[SenderHost]) -> (RuleStatus, Vec<String>) {
    let is_wrong =
        |sender: &SenderHost| matches!(sender.reverse, ReverseDns::Missing | ReverseDns::Unconfirmed { .. });
    let is_right = |sender: &SenderHost| matches!(sender.reverse, ReverseDns::Confirmed { .. });
    if senders.is_empty() {
        (RuleStatus::Operator, Vec::new())
    } else if senders.iter().any(is_wrong) {
        (RuleStatus::NotMet, vec!["sender_ptr_missing".to_owned()])
    } else if senders.iter().all(is_right) {
        (RuleStatus::Met, Vec::new())
    } else {
        (RuleStatus::Unknown, Vec::new())
    }
}

fn is_spf(record: &RecordReport) -> bool {
    matches!(record.planned.expected, Expected::Spf { .. }) || record.planned.purpose == Purpose::ReturnPath
}

/// How the records of one kind stand: one right key is enough for DKIM, and of SPF either the domain's own or all
/// of the return path.
fn of(
    records: &[RecordReport],
    is_of_kind: impl Fn(&RecordReport) -> bool,
    all: bool,
) -> (RuleStatus, Vec<String>) {
    let of_kind = || records.iter().filter(|record| is_of_kind(record));
    let right = |record: &RecordReport| record.status == RecordStatus::Verified;
    let wrong = |record: &RecordReport| matches!(record.status, RecordStatus::Missing | RecordStatus::Failed);
    let own = || of_kind().filter(|record| record.planned.purpose != Purpose::ReturnPath);
    let path = || of_kind().filter(|record| record.planned.purpose == Purpose::ReturnPath);
    let is_met = own().any(right) || (all && path().next().is_some() && path().all(right));
    if is_met {
        return (RuleStatus::Met, Vec::new());
    }
    if of_kind().next().is_none() || !of_kind().all(wrong) {
        return (RuleStatus::Unknown, Vec::new());
    }
    let mut why: Vec<String> = of_kind().flat_map(|record| record.findings.iter().cloned()).collect();
    why.sort();
    why.dedup();
    (RuleStatus::NotMet, why)
}

fn either(one: (RuleStatus, Vec<String>), other: (RuleStatus, Vec<String>)) -> (RuleStatus, Vec<String>) {
    match (one.0, other.0) {
        (RuleStatus::Met, _) | (_, RuleStatus::Met) => (RuleStatus::Met, Vec::new()),
        (RuleStatus::NotMet, RuleStatus::NotMet) => {
            (RuleStatus::NotMet, one.1.into_iter().chain(other.1).collect())
        }
        _ => (RuleStatus::Unknown, Vec::new()),
    }
}

fn aligned(alignment: Option<&Alignment>, records: &[RecordReport]) -> (RuleStatus, Vec<String>) {
    let Some(alignment) = alignment else { return (RuleStatus::Unknown, Vec::new()) };
    let state = |identifier: &Identifier| {
        let (status, why) = of(records, |record| identifier.records.contains(&record.planned.key), true);
        match (identifier.aligned, status) {
            (Some(false), _) => {
                let code =
                    if alignment.dkim.contains(identifier) { "dkim_unaligned" } else { "spf_unaligned" };
                (RuleStatus::NotMet, vec![code.to_owned()])
            }
            (Some(true), status) => (status, why),
            (None, _) => (RuleStatus::Unknown, Vec::new()),
        }
    };
    // Without any identifier nothing of ours can align.
    let none = (RuleStatus::NotMet, Vec::new());
    alignment.dkim.iter().chain(&alignment.spf).map(state).fold(none, either)
}
