//! What must come of a scenario, and how a report is held against it.

use crate::file::Scenario;
use diagnosis::{Defect, Finding, Report};
use model::Severity;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What must come of a scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// `pass`, `fail` or `unknown`.
    pub verdict: String,
    /// Codes that must be found. Where the verdict is `pass`, or none are listed, nothing else may be found;
    /// elsewhere nothing else of severity error.
    pub findings: Vec<String>,
    /// Codes that must not be found.
    pub forbidden: Vec<String>,
    /// Statuses of planned records by their keys, as many as matter.
    #[serde(default)]
    pub records: BTreeMap<String, String>,
    /// Seconds until every resolver has let go of an older answer.
    pub visible_in: Option<i64>,
}

/// Where real packets and programs behave in another way than the DNS in memory, and why.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnTheWire {
    /// Why any of the following is so. Has to be there for each of them.
    #[serde(default)]
    pub reason: String,
    /// Not unbound, but our own resolver answers on the resolver's address.
    #[serde(default)]
    pub own_resolver: bool,
    /// Not Knot, but our own server answers on the name servers' addresses.
    #[serde(default)]
    pub own_servers: bool,
    /// Codes that may be there or not; [`OnTheWire::same_codes`] leaves them out.
    #[serde(default)]
    may_differ: Vec<String>,
}

impl OnTheWire {
    /// Whether anything is said.
    pub fn is_used(&self) -> bool {
        self.own_resolver || self.own_servers || !self.may_differ.is_empty()
    }

    /// The codes of a report that have to be the same however it was made.
    pub fn same_codes<'a>(&self, report: &'a Report) -> BTreeSet<&'a str> {
        report.findings.iter().map(Finding::code).filter(|code| !self.may_differ(code)).collect()
    }

    fn may_differ(&self, code: &str) -> bool {
        self.may_differ.iter().any(|other| other == code)
    }
}

impl Scenario {
    /// What of a report from real packets is not as the scenario says, its documented differences aside.
    pub fn problems_over_the_wire(&self, report: &Report) -> Vec<String> {
        let may_differ = |code: &str| self.wire.may_differ(code);
        let mut scenario = self.clone();
        scenario.expect.findings.retain(|code| !may_differ(code));
        scenario.expect.forbidden.retain(|code| !may_differ(code));
        let mut report = report.clone();
        report.findings.retain(|finding| !may_differ(finding.code()));
        let mut problems = scenario.problems(&report);
        let codes = |report| self.wire.same_codes(report);
        let statuses = |report: &Report| -> Vec<String> {
            report.all().map(|r| format!("{} {}", r.planned.key, r.status.as_str())).collect()
        };
        let in_memory = self.report();
        if codes(&in_memory) != codes(&report) {
            problems.push(format!("found {:?}, in memory {:?}", codes(&report), codes(&in_memory)));
        }
        if statuses(&in_memory) != statuses(&report) {
            problems.push(format!("{:?}, in memory {:?}", statuses(&report), statuses(&in_memory)));
        }
        problems
    }

    /// What of a report is not as the scenario says; empty when all is.
    pub fn problems(&self, report: &Report) -> Vec<String> {
        let mut problems = Vec::new();
        let codes: Vec<&str> = report.findings.iter().map(Finding::code).collect();
        let mut problem = |text: String| {
            problems.push(format!("{} ({}): {text}\n    found {codes:?}", self.name, self.title));
        };
        let expect = &self.expect;
        for code in expect.findings.iter().chain(&expect.forbidden).chain(&self.wire.may_differ) {
            if !Defect::CODES.contains(&code.as_str()) {
                problem(format!("there is no finding {code}"));
            }
        }
        if self.wire.is_used() && self.wire.reason.is_empty() {
            problem("[wire] gives no reason".to_owned());
        }
        if report.verdict.as_str() != expect.verdict {
            problem(format!("the verdict is {}, not {}", report.verdict, expect.verdict));
        }
        for code in expect.findings.iter().filter(|code| !codes.contains(&code.as_str())) {
            problem(format!("{code} was not found"));
        }
        // A good domain must not be accused of anything; a bad one of nothing worse than what is the matter.
        let strict = expect.verdict == "pass" || expect.findings.is_empty();
        let grave = report.findings.iter().filter(|finding| strict || finding.severity == Severity::Error);
        let unexpected: BTreeSet<&str> = grave.map(Finding::code).collect();
        for code in unexpected.into_iter().filter(|code| !expect.findings.iter().any(|listed| listed == code))
        {
            problem(format!("{code} is not expected"));
        }
        for code in expect.forbidden.iter().filter(|code| codes.contains(&code.as_str())) {
            problem(format!("{code} must not be found"));
        }
        for (key, status) in &expect.records {
            match report.all().find(|record| record.planned.key == *key) {
                None => problem(format!("there is no record {key}")),
                Some(record) if record.status.as_str() != status => {
                    problem(format!("{key} is {}, not {status}", record.status));
                }
                Some(_) => {}
            }
        }
        if let Some(seconds) = expect.visible_in {
            let found = report.visible_everywhere_by.map(|by| by.duration_since(report.checked_at).as_secs());
            // A cache that was filled for real has counted down for a moment.
            if !found.is_some_and(|found| (seconds - 5..=seconds).contains(&found)) {
                problem(format!("seen everywhere in {found:?} s, not in {seconds} s"));
            }
        }
        problems
    }
}
