//! SPF: parsing, merging and evaluating with arbitrary answers.
//!
//! Input: a line with the record, a line with the rules to merge, a line with the local part and the HELO name, one
//! octet for the client, then a line for each answer.

use super::input::{Input, evaluate, name};
use mail::{
    lookup::{Answer, Answers, Question},
    spf::{self, Merge, SpfRecord, SpfResult},
};
use model::{RecordData, RecordType, TxtData};
use std::net::IpAddr;

/// The target.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (record, rules, sender) = (input.text(), input.text(), input.text());
    let parsed = SpfRecord::parse(&record);
    if let Ok(parsed) = &parsed {
        // What was read, written out again, is read the same.
        let texts: Vec<&str> = parsed.terms.iter().map(|term| term.text.as_str()).collect();
        let again = SpfRecord::parse(&format!("v=spf1 {}", texts.join(" ")));
        assert_eq!(again.as_ref(), Ok(parsed), "{record:?}");
    }
    let merged = merged(&record, &rules);
    let client: IpAddr = match input.byte() % 4 {
        0 => [192, 0, 2, 1].into(),
        1 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
        2 => [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201].into(),
        _ => [198, 51, 100, 255].into(),
    };
    let domain = name("a.example");
    let own = |text: &str| {
        let txt = RecordData::Txt(TxtData::from_text(text));
        (Question::new(domain.clone(), RecordType::Txt), Answer::Records(vec![txt]))
    };
    for text in [&record, &merged] {
        let mut input = Input(input.0);
        let (outcome, _) = evaluate(&mut input, |answers| {
            let mut answers: Answers = answers.clone();
            answers.extend([own(text)]);
            spf::evaluate(client, &domain, &sender, &sender, &answers)
        });
        assert!(outcome.lookups <= spf::MAX_LOOKUPS + 1 && outcome.void_lookups <= spf::MAX_VOID_LOOKUPS + 1);
        let error = matches!(outcome.result, SpfResult::PermError | SpfResult::TempError);
        assert!(!error || outcome.problem.is_some(), "{text:?}");
        if let Some(problem) = &outcome.problem {
            assert!(!problem.to_string().is_empty());
        }
    }
}

/// The merged record, or the same when nothing is to be changed.
fn merged(record: &str, rules: &str) -> String {
    let Merge::Merged { record: merged } = spf::merge(record, rules) else {
        assert!(spf::contains_effective(record, rules), "{record:?} {rules:?}");
        return record.to_owned();
    };
    assert_eq!(spf::merge(&merged, rules), Merge::AlreadyThere, "{record:?} {rules:?} {merged:?}");
    assert!(spf::contains_effective(&merged, rules), "{record:?} {rules:?} {merged:?}");
    merged
}
