//! Remedies done to the letter mend what they are for, and make nothing else worse.

use diagnosis::{Finding, Remedy, Report};
use model::{RecordStatus, Severity};
use scenario::{FakeDns, World};

/// Whether a remedy has the text to publish, and not a part of it that somebody else knows.
fn is_whole(remedy: &Remedy) -> bool {
    match remedy {
        Remedy::Add { value, .. } | Remedy::Replace { value, .. } | Remedy::Move { value, .. } => {
            !value.contains('…') && !value.contains("...")
        }
        _ => true,
    }
}

fn same(one: &Finding, other: &Finding) -> bool {
    one.code() == other.code() && one.record == other.record
}

fn status(report: &Report, key: &str) -> Option<RecordStatus> {
    report.records.iter().find(|record| record.planned.key == key).map(|record| record.status)
}

#[test]
fn what_a_report_says_to_do_mends_what_it_says_is_wrong() {
    let mut problems = Vec::new();
    let mut followed = 0;
    // What caches hold stays until it runs out, whatever is changed.
    for scenario in scenario::all().into_iter().filter(|scenario| scenario.cached.is_empty()) {
        let before = scenario.report();
        let mut world = World::new(&scenario);
        let mended: Vec<&Finding> = before
            .findings
            .iter()
            .filter(|finding| is_whole(&finding.remedy) && world.follow(&finding.remedy))
            .collect();
        if mended.is_empty() {
            continue;
        }
        followed += mended.len();
        let after = scenario.report_of(&FakeDns::of_world(&scenario, world));
        for finding in mended.iter().filter(|finding| after.findings.iter().any(|left| same(left, finding))) {
            problems.push(format!("{}: {} stays: {:?}", scenario.name, finding.code(), finding.remedy));
        }
        for new in after.findings.iter().filter(|new| new.severity == Severity::Error) {
            if !before.findings.iter().any(|old| same(old, new)) {
                problems.push(format!("{}: {} is new: {:?}", scenario.name, new.code(), new.defect));
            }
        }
        for record in before.records.iter().filter(|record| record.status == RecordStatus::Verified) {
            let now = status(&after, &record.planned.key);
            if now != Some(RecordStatus::Verified) {
                problems.push(format!("{}: {} was verified, is {now:?}", scenario.name, record.planned.key));
            }
        }
    }
    assert!(followed > 100, "only {followed} remedies could be followed");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
