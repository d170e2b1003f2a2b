//! Who may be sent reports about a domain (RFC 9990 §4).
//!
//! A destination in another organization has to agree, with a record at `<policy domain>._report._dmarc.<destination>`.
//! Report generators drop the ones that do not.

use super::{discovery::organizational_domain, record::is_dmarc_record};
use crate::lookup::{Answer, Answers, Needed, Question};
use model::{DomainName, RecordData, RecordType};
use serde::{Deserialize, Serialize};

/// Whether reports about a domain are sent to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "reason", rename_all = "snake_case")]
pub enum ReportAuthorisation {
    /// It is in the same organization and need not agree.
    NotNeeded,
    /// It agrees.
    Given,
    /// It does not: the reports are not sent.
    Missing,
    /// The DNS did not answer; what was seen.
    Unknown(String),
}

/// The name at which a destination agrees; `None` when it would be too long for one.
pub fn authorisation_name(policy_domain: &DomainName, destination: &DomainName) -> Option<DomainName> {
    destination.prepend(&format!("{policy_domain}._report._dmarc")).ok()
}

/// Whether reports about `policy_domain` (where the policy record is) may go to an address at `destination`.
pub fn report_authorisation(
    policy_domain: &DomainName,
    destination: &DomainName,
    answers: &Answers,
) -> Result<ReportAuthorisation, Needed> {
    if policy_domain == destination {
        return Ok(ReportAuthorisation::NotNeeded);
    }
    let Some(name) = authorisation_name(policy_domain, destination) else {
        return Ok(ReportAuthorisation::Missing);
    };
    let question = Question::new(name, RecordType::Txt);
    // Asked for together: one round trip in place of two.
    let own = organizational_domain(policy_domain, answers);
    let other = organizational_domain(destination, answers);
    let record = answers.get(&question);
    let mut needed = Needed(Vec::new());
    let own = own.map_err(|more| needed.merge(more));
    let other = other.map_err(|more| needed.merge(more));
    let record = record.map_err(|more| needed.merge(more));
    let (Ok(own), Ok(other), Ok(record)) = (own, other, record) else { return Err(needed) };
    let silent = |(question, reason): (Question, String)| format!("{question}: {reason}");
    let agrees = |data: &RecordData| matches!(data, RecordData::Txt(text) if is_dmarc_record(&text.joined()));
    Ok(match (own, other, record) {
        (_, _, Answer::Records(records)) if records.iter().any(agrees) => ReportAuthorisation::Given,
        (Ok(own), Ok(other), _) if own == other => ReportAuthorisation::NotNeeded,
        (Err(error), ..) | (_, Err(error), _) => ReportAuthorisation::Unknown(silent(error)),
        (_, _, Answer::TempError(reason)) => ReportAuthorisation::Unknown(silent((question, reason.clone()))),
        _ => ReportAuthorisation::Missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TxtData;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn run(destination: &str, zone: &[(&str, &str)]) -> ReportAuthorisation {
        let mut answers = Answers::new();
        for _ in 0..5 {
            match report_authorisation(&name("acme.test"), &name(destination), &answers) {
                Ok(outcome) => return outcome,
                Err(needed) => answers.extend(needed.0.into_iter().map(|question| {
                    let text =
                        zone.iter().find(|(owner, _)| name(owner) == question.name).map(|(_, text)| *text);
                    let answer = match text {
                        None => Answer::NxDomain,
                        Some("!") => Answer::TempError("SERVFAIL".into()),
                        Some(text) => Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))]),
                    };
                    (question, answer)
                })),
            }
        }
        panic!("it does not end");
    }

    #[test]
    fn another_organization_has_to_agree() {
        let agreed = "acme.test._report._dmarc.reports.example";
        let zone = [("_dmarc.acme.test", "v=DMARC1; p=none")];
        assert_eq!(run("acme.test", &zone), ReportAuthorisation::NotNeeded);
        assert_eq!(run("mail.acme.test", &zone), ReportAuthorisation::NotNeeded);
        assert_eq!(run("reports.example", &zone), ReportAuthorisation::Missing);
        assert_eq!(run("reports.example", &[(agreed, "v=DMARC1")]), ReportAuthorisation::Given);
        assert_eq!(
            run("reports.example", &[(agreed, "v=DMARC1; rua=mailto:x@reports.example")]),
            ReportAuthorisation::Given
        );
        assert_eq!(run("reports.example", &[(agreed, "agreed")]), ReportAuthorisation::Missing);
        assert!(matches!(run("reports.example", &[(agreed, "!")]), ReportAuthorisation::Unknown(_)));
    }
}
