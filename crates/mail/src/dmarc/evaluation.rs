//! Alignment and the result (RFC 9989 §4.4, §5.3).

use super::{
    discovery::{Discovery, discover, organizational_domain},
    record::{AlignmentMode, Policy},
};
use crate::{
    dkim::{DkimResult, SignatureOutcome},
    lookup::{Answers, Needed},
    spf::{SpfOutcome, SpfResult},
};
use model::DomainName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The results of RFC 8601 with RFC 9989 §12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcResult {
    /// The author domain has no policy.
    None,
    /// SPF or DKIM passed for an aligned domain.
    Pass,
    /// Neither did.
    Fail,
    /// The DNS did not answer; try again.
    TempError,
    /// The message has no single author domain.
    PermError,
}

impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// The outcome for one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DmarcOutcome {
    /// The result.
    pub result: DmarcResult,
    /// What was found for the author domain; `None` when there is no single author domain.
    pub discovery: Option<Discovery>,
    /// SPF passed for an aligned domain.
    pub spf_aligned: bool,
    /// For each signature in order: it passed for an aligned domain.
    pub dkim_aligned: Vec<bool>,
    /// What the owner wants done with the message; set when the result is fail.
    pub disposition: Option<Policy>,
    /// Why there is no result, for people.
    pub reason: Option<String>,
}

/// Whether two domains are aligned (RFC 9989 §4.4), given their organizational domains.
pub fn aligned(
    a: &DomainName,
    b: &DomainName,
    mode: AlignmentMode,
    organizational_a: &DomainName,
    organizational_b: &DomainName,
) -> bool {
    match mode {
        AlignmentMode::Strict => a == b,
        AlignmentMode::Relaxed => a == b || organizational_a == organizational_b,
    }
}

/// Evaluates DMARC for an author domain from what SPF and DKIM found. Alignment is judged even when there is no
/// policy, as relaxed then.
pub fn evaluate(
    author_domain: &DomainName,
    spf: &SpfOutcome,
    dkim: &[SignatureOutcome],
    answers: &Answers,
) -> Result<DmarcOutcome, Needed> {
    let discovery = discover(author_domain, answers)?;
    let record = discovery.found.as_ref().map(|found| &found.record);
    let spf_mode = record.map_or(AlignmentMode::Relaxed, |record| record.spf_alignment);
    let dkim_mode = record.map_or(AlignmentMode::Relaxed, |record| record.dkim_alignment);

    let mut needed = Needed(Vec::new());
    let mut judge = |domain: &DomainName, mode| match align(&discovery, domain, mode, answers) {
        Ok(alignment) => alignment,
        Err(more) => {
            needed.merge(more);
            Alignment::Unknown
        }
    };
    let mut uncertain = false;
    let mut count = |passed: bool, open: bool, alignment: Alignment| {
        uncertain |= match alignment {
            Alignment::Aligned => open,
            Alignment::Unknown => passed || open,
            Alignment::Not => false,
        };
        passed && alignment == Alignment::Aligned
    };
    let spf_aligned = match spf.result {
        SpfResult::Pass => count(true, false, judge(&spf.domain, spf_mode)),
        SpfResult::TempError => count(false, true, judge(&spf.domain, spf_mode)),
        _ => false,
    };
    let dkim_aligned: Vec<bool> = dkim
        .iter()
        .map(|outcome| match (&outcome.signing_domain, outcome.result) {
            (Some(domain), DkimResult::Pass) => count(true, false, judge(domain, dkim_mode)),
            (Some(domain), DkimResult::TempError) => count(false, true, judge(domain, dkim_mode)),
            _ => false,
        })
        .collect();
    if !needed.0.is_empty() {
        return Err(needed);
    }
    let passed = spf_aligned || dkim_aligned.contains(&true);
    let dns_reason = discovery
        .temp_error
        .as_ref()
        .map(|(question, reason)| format!("the DNS did not answer for {question}: {reason}"));
    let (result, reason) = match (discovery.found.is_some(), passed) {
        (true, true) => (DmarcResult::Pass, None),
        (false, _) if dns_reason.is_some() => (DmarcResult::TempError, dns_reason),
        (false, _) => (DmarcResult::None, None),
        (true, false) if uncertain => {
            let reason = "the DNS did not answer for an identifier that may be aligned".to_owned();
            (DmarcResult::TempError, dns_reason.or(Some(reason)))
        }
        (true, false) => (DmarcResult::Fail, None),
    };
    let disposition = if result == DmarcResult::Fail { discovery.applied } else { None };
    Ok(DmarcOutcome { result, discovery: Some(discovery), spf_aligned, dkim_aligned, disposition, reason })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alignment {
    Aligned,
    Not,
    Unknown,
}

fn align(
    discovery: &Discovery,
    domain: &DomainName,
    mode: AlignmentMode,
    answers: &Answers,
) -> Result<Alignment, Needed> {
    let author = &discovery.author_domain;
    if domain == author {
        return Ok(Alignment::Aligned);
    }
    // Without a common last label there is no common organizational domain, and no need to walk.
    if mode == AlignmentMode::Strict || domain.labels().next_back() != author.labels().next_back() {
        return Ok(Alignment::Not);
    }
    if discovery.temp_error.is_some() {
        return Ok(Alignment::Unknown);
    }
    Ok(match organizational_domain(domain, answers)? {
        Err(_) => Alignment::Unknown,
        Ok(organizational) => {
            if aligned(author, domain, mode, &discovery.organizational_domain, &organizational) {
                Alignment::Aligned
            } else {
                Alignment::Not
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Answer;
    use model::{RecordData, TxtData};

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn spf(result: SpfResult, domain: &str) -> SpfOutcome {
        SpfOutcome { result, domain: name(domain), lookups: 0, void_lookups: 0, matched: None, problem: None }
    }

    fn signature(result: DkimResult, domain: &str) -> SignatureOutcome {
        SignatureOutcome {
            result,
            signing_domain: Some(name(domain)),
            selector: Some("s".into()),
            reason: None,
            key_bits: None,
            testing: false,
        }
    }

    /// `!` as a text stands for no answer.
    fn run(author: &str, spf: &SpfOutcome, dkim: &[SignatureOutcome], zone: &[(&str, &str)]) -> DmarcOutcome {
        let mut answers = Answers::new();
        for _ in 0..10 {
            match evaluate(&name(author), spf, dkim, &answers) {
                Ok(outcome) => return outcome,
                Err(needed) => answers.extend(needed.0.into_iter().map(|question| {
                    let found = zone.iter().find(|(owner, _)| question.name == name(owner));
                    let answer = match found {
                        None => Answer::NxDomain,
                        Some((_, "!")) => Answer::TempError("timeout".into()),
                        Some((_, text)) => Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))]),
                    };
                    (question, answer)
                })),
            }
        }
        panic!("the evaluation does not end");
    }

    #[test]
    fn relaxed_and_strict_alignment_of_signatures() {
        let none = spf(SpfResult::None, "example.net");
        let signed = [
            signature(DkimResult::Pass, "example.org"),
            signature(DkimResult::Pass, "example.com"),
            signature(DkimResult::Fail, "mail.example.com"),
        ];
        let relaxed =
            run("mail.example.com", &none, &signed, &[("_dmarc.example.com", "v=DMARC1; p=reject")]);
        assert_eq!((relaxed.result, relaxed.dkim_aligned), (DmarcResult::Pass, vec![false, true, false]));
        let zone = [("_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine; adkim=s")];
        let strict = run("mail.example.com", &none, &signed, &zone);
        assert_eq!((strict.result, strict.disposition), (DmarcResult::Fail, Some(Policy::Quarantine)));
        let unpublished = run("mail.example.com", &none, &signed, &[]);
        assert_eq!(unpublished.result, DmarcResult::None);
        // Without records every name is its own organizational domain.
        assert_eq!(unpublished.dkim_aligned, [false; 3]);
    }

    #[test]
    fn what_the_dns_did_not_answer_is_not_a_failure() {
        let zone = [("_dmarc.mail.example.com", "v=DMARC1; p=reject"), ("_dmarc.example.com", "!")];
        let passed = spf(SpfResult::Pass, "bounce.example.com");
        assert_eq!(run("mail.example.com", &passed, &[], &zone).result, DmarcResult::TempError);
        let aligned = spf(SpfResult::Pass, "mail.example.com");
        assert_eq!(run("mail.example.com", &aligned, &[], &zone).result, DmarcResult::Pass);
        let open = [signature(DkimResult::TempError, "mail.example.com")];
        let failed = spf(SpfResult::Fail, "mail.example.com");
        assert_eq!(run("mail.example.com", &failed, &open, &zone).result, DmarcResult::TempError);
        assert_eq!(run("mail.example.com", &failed, &[], &zone).result, DmarcResult::Fail);
        assert_eq!(run("example.com", &failed, &[], &zone).result, DmarcResult::TempError);
    }
}
