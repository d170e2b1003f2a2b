//! Rendering never fails and leaves nothing empty, whatever strangers put into the evidence: every finding, with
//! texts and names of any kind, at any DNS host, in every format.

use crate::samples::{self, now, remedies, report};
use diagnosis::{Defect, Finding, Remedy, Report};
use explain::{
    finding_view_at,
    hosts::{self, Host},
    render::{self, RenderOptions},
};
use model::{Confidence, DomainName, RecordStatus, Severity, Verdict};
use proptest::{prelude::*, sample::select};
use serde_json::Value;

/// Puts other texts and names in place of those in a sample: strings by `text`, what is a name by `name`.
fn replace(value: &mut Value, text: &str, name: &str) {
    match value {
        // What a variant is called is not a stranger's.
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(key, _)| {
                !matches!(
                    key.as_str(),
                    "code"
                        | "kind"
                        | "record_type"
                        | "record_types"
                        | "address"
                        | "addresses"
                        | "until"
                        | "at"
                        | "beside"
                )
            })
            .for_each(|(_, value)| replace(value, text, name)),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, text, name)),
        Value::String(old) => {
            let new = if DomainName::parse(old).is_ok() { name } else { text };
            new.clone_into(old);
        }
        _ => {}
    }
}

/// The sample with a stranger's evidence, or as it is where that is no evidence of its kind.
fn strange<T: serde::Serialize + serde::de::DeserializeOwned + Clone>(
    sample: &T,
    text: &str,
    name: &str,
) -> T {
    let mut value = serde_json::to_value(sample).unwrap();
    replace(&mut value, text, name);
    serde_json::from_value(value).unwrap_or_else(|_| sample.clone())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,80}",
        3 => "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{200b}<>&\"'`|*_\\[\\]()\\\\ a-z]{0,60}",
        1 => "(v=spf1 |v=DMARC1; p=|\u{1b}\\[31m|</p>|```\n){1,4}[ -~]{0,40}",
        1 => "[a-z ]{2000,4000}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    let label = proptest::collection::vec(any::<u8>(), 1..20);
    prop_oneof![
        proptest::collection::vec(label, 1..8).prop_map(|labels| {
            let name = DomainName::from_labels(labels.iter().map(Vec::as_slice));
            name.unwrap_or_default().to_string()
        }),
        Just(".".to_owned()),
        Just(format!("{}.example", vec!["x".repeat(60); 4].join("."))),
        Just("xn--bcher-kva.example".to_owned()),
    ]
}

fn holding(finding: Finding) -> Report {
    let mut report = report(Verdict::Fail, RecordStatus::Verified, &["ns1.example.net"]);
    if let Some(record) =
        report.records.iter_mut().find(|record| finding.record == Some(record.planned.key.clone()))
    {
        record.status = RecordStatus::Failed;
        record.findings.push(finding.code().to_owned());
    }
    report.findings.push(finding);
    report
}

/// What must not be in anything that is shown: control characters, and what reverses the direction of writing.
fn is_clean(shown: &str) -> bool {
    let reverses = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    shown.chars().all(|c| c == '\n' || !(c.is_control() || reverses(c)))
}

fn hosts_to_try() -> Vec<&'static Host> {
    hosts::all().iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_is_empty_and_nothing_fails(
        text in text(), name in name(), record in select(vec![None, Some("dkim-2"), Some("spf"), Some("gone")]),
        confirmed in any::<bool>(), severity in select(vec![Severity::Error, Severity::Warning, Severity::Info]),
        width in select(vec![0_usize, 1, 20, 100]),
    ) {
        let defects: Vec<Defect> = samples::defects().iter().map(|defect| strange(defect, &text, &name)).collect();
        let remedies: Vec<Remedy> = remedies().iter().map(|remedy| strange(remedy, &text, &name)).collect();
        let changed = defects.iter().zip(samples::defects()).filter(|(strange, sample)| *strange != sample).count();
        prop_assert!(changed * 2 > defects.len(), "only {} of {} samples were changed", changed, defects.len());
        let hosts = hosts_to_try();
        for (index, defect) in defects.into_iter().enumerate() {
            let remedy = remedies[index % remedies.len()].clone();
            let host = hosts[index % hosts.len()];
            let confidence = if confirmed { Confidence::Confirmed } else { Confidence::Suspected };
            let finding = Finding { defect, severity, confidence, record: record.map(str::to_owned), remedy };
            let report = holding(finding);
            let view = finding_view_at(&report.findings[0], &report, host, now());
            prop_assert!(!view.title.trim().is_empty() && !view.why.is_empty() && is_clean(&view.title), "{:?}", view);
            for step in &view.steps {
                prop_assert!(!step.trim().is_empty() && ([&text, &name].iter().any(|given| given.contains("{}")) || !step.contains("{}")), "{:?}", view);
            }
            let options = RenderOptions { width, verbose: true, host: Some(host), ..RenderOptions::new(now()) };
            for shown in [
                render::text(&report, &options),
                render::markdown(&report, &options),
                render::html_fragment(&report, &options),
            ] {
                prop_assert!(is_clean(&shown), "{:?}", shown);
                prop_assert!(shown.contains("mail.acme.test"));
            }
            let json = render::json(&report, now()).to_string();
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
        }
    }
}
