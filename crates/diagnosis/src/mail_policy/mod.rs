//! What the domain's records come to for mail, beyond each record by itself: the SPF tree, the DMARC policy that
//! holds and the way to a stricter one, alignment, and the rules of the mailbox providers.
//!
//! [`questions`] says what has to be asked for it, [`examine`] makes data and findings of the answers. Nothing here
//! changes a status or the verdict: those are made from the records.

mod alignment;
mod dmarc;
mod https;
mod ladder;
mod sender_rules;
mod senders;

pub use alignment::{Alignment, Identifier, signing_domain};
pub use dmarc::{DmarcReport, ReportDestination};
pub use https::HttpsHost;
pub use ladder::{Condition, ConditionStatus, DmarcLadder, LadderCondition, LadderStep};
pub use mail::dmarc::{AlignmentMode, Policy, PolicyTag, ReportAuthorisation};
pub use sender_rules::{Provider, Rule, RuleStatus, SenderRule};
pub use senders::{MAX_SENDERS, ReverseDns, SenderHost, reverse_dns};

use crate::{
    checks::{
        answer_of_fact, dkim_unaligned, dmarc_reports_not_authorised, domain_sends_no_mail, heard_answer,
        spf_unaligned,
    },
    finding::Finding,
    observation::Question,
    plan::Plan,
    report::RecordReport,
    spf_tree::SpfReport,
    view::View,
};
use ::mail::{
    dmarc::organizational_domain_by,
    lookup::{Answers, Needed},
};
use model::{DomainName, RecordType};
use serde::{Deserialize, Serialize};

/// What the records come to for mail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MailPolicy {
    /// The SPF records of the plan with all that they include.
    #[serde(default)]
    pub spf: Vec<SpfReport>,
    /// The DMARC policy that holds.
    #[serde(default)]
    pub dmarc: Option<DmarcReport>,
    /// Where the domain stands on the way to a policy that is acted on.
    #[serde(default)]
    pub dmarc_ladder: Option<DmarcLadder>,
    /// What mail proves, against the domain in From.
    #[serde(default)]
    pub alignment: Option<Alignment>,
    /// The rules of the mailbox providers.
    #[serde(default)]
    pub sender_rules: Vec<SenderRule>,
    /// The hosts of the plan that web pages or links are served from.
    #[serde(default)]
    pub https_hosts: Vec<HttpsHost>,
    /// The reverse DNS of the plan's sending servers.
    #[serde(default)]
    pub senders: Vec<SenderHost>,
}

/// What has to be asked beyond the records themselves.
pub fn questions(plan: &Plan, view: &View) -> Vec<Question> {
    let mut out = dmarc::questions(plan, view);
    out.extend(alignment::questions(plan, view));
    out.extend(https::questions(plan, view));
    out.extend(senders::questions(plan, view));
    if plan.is_for_sending() && !domain_sends_no_mail::has_planned_mx(plan) {
        out.push(Question { name: plan.domain.clone(), record_type: RecordType::Mx });
    }
    out
}

/// What the records come to, and what is found in that.
pub fn examine(
    plan: &Plan,
    view: &View,
    records: &[RecordReport],
    spf: Vec<SpfReport>,
) -> (MailPolicy, Vec<Finding>) {
    let dmarc = dmarc::report(plan, view);
    let alignment = alignment::alignment(plan, view, dmarc.as_ref(), records);
    let dmarc_ladder =
        dmarc.as_ref().and_then(|dmarc| ladder::ladder(view, dmarc, alignment.as_ref(), records));
    let https_hosts = https::hosts(plan, view);
    let senders = senders::senders(plan, view);
    let (sender_rules, rules_finding) =
        sender_rules::sender_rules(plan, records, alignment.as_ref(), &senders);
    let mut findings = Vec::new();
    if let Some(dmarc) = &dmarc {
        findings.extend(dmarc_reports_not_authorised::check(plan, dmarc));
    }
    if let Some(alignment) = &alignment {
        findings.extend(dkim_unaligned::check(alignment));
        findings.extend(spf_unaligned::check(alignment));
    }
    findings.extend(domain_sends_no_mail::check(plan, view, records));
    findings.extend(https::check(plan, &https_hosts));
    findings.extend(senders::check(&senders));
    findings.extend(rules_finding);
    (MailPolicy { spf, dmarc, dmarc_ladder, alignment, sender_rules, https_hosts, senders }, findings)
}

/// What has to be asked to find the organizational domain of a name: all of the walk, whatever the first answers say.
fn walk_to_ask(view: &View, domain: &DomainName) -> Vec<Question> {
    let names = view.policy_names(domain);
    let open = names.iter().flatten().filter(|name| !view.was_asked(name, RecordType::Txt)).cloned();
    open.map(|name| Question { name, record_type: RecordType::Txt }).collect()
}

/// The organizational domain of a name, where all of the walk was asked and nothing kept it from being found.
fn known_organizational_domain(view: &View, domain: &DomainName) -> Option<DomainName> {
    // Most often nothing of it was asked.
    let names = view.policy_names(domain);
    if !names.iter().flatten().all(|name| view.was_asked(name, RecordType::Txt)) {
        return None;
    }
    organizational_domain_by(domain, &|question| heard_answer(view, question)).ok()?.ok()
}

/// Runs an evaluation over what was observed; the error is what has to be asked first.
fn lookups<T>(view: &View, evaluate: impl Fn(&Answers) -> Result<T, Needed>) -> Result<T, Vec<Question>> {
    /// More rounds than a walk and one question behind it can need.
    const MAX_ROUNDS: usize = 20;
    let mut answers = Answers::new();
    for _ in 0..MAX_ROUNDS {
        let needed = match evaluate(&answers) {
            Ok(outcome) => return Ok(outcome),
            Err(needed) => needed.0,
        };
        let is_asked = |question: &Question| view.was_asked(&question.name, question.record_type);
        let (known, open): (Vec<_>, Vec<_>) = needed.into_iter().partition(is_asked);
        if !open.is_empty() {
            return Err(open);
        }
        answers.extend(known.into_iter().map(|question| {
            let answer = answer_of_fact(view.fact(&question.name, question.record_type));
            (question, answer)
        }));
    }
    Err(Vec::new())
}
