//! What the records come to for mail, as lines of text.

use crate::shown;
use diagnosis::{
    Report,
    spf_tree::{SpfNode, SpfNodeProblem, SpfReport},
};
use std::fmt::Write as _;

/// How many lines of one tree are shown.
const MOST_LINES: usize = 60;

/// From how many look-ups on a report that is not verbose tells them: fewer are nobody's concern.
const WORTH_TELLING: usize = 5;

/// The closing lines: label and content.
pub(super) fn facts(report: &Report, verbose: bool) -> Vec<(&'static str, String)> {
    let is_told = |spf: &&SpfReport| {
        let most = spf.tree.lookups.max(spf.lookups_after_merge.unwrap_or(0));
        verbose || most >= WORTH_TELLING || spf.tree.void_lookups > 0
    };
    report.mail.spf.iter().filter(is_told).map(|spf| ("SPF look-ups", spf_summary(spf))).collect()
}

/// "7 of 10 at mail.acme.test".
fn spf_summary(spf: &SpfReport) -> String {
    let least = if spf.tree.complete { "" } else { "at least " };
    let mut text = format!(
        "{least}{} of {} at {}",
        spf.tree.lookups,
        spf.max_lookups,
        shown::value(&spf.tree.domain.to_string())
    );
    if spf.tree.void_lookups > 0 {
        let _ = write!(text, ", {} of {} empty ones", spf.tree.void_lookups, spf.max_void_lookups);
    }
    if let Some(after) = spf.lookups_after_merge.filter(|after| *after != spf.tree.lookups) {
        let _ = write!(text, "; {after} with ours in it");
    }
    text
}

/// All that is known, as lines with their indentation: headings and what belongs to them.
pub(super) fn sections(report: &Report) -> Vec<(String, Vec<String>)> {
    let mut sections = Vec::new();
    for spf in &report.mail.spf {
        let mut lines = Vec::new();
        spf_lines(&spf.tree, 0, &mut lines);
        if lines.len() > MOST_LINES {
            let more = lines.len() - MOST_LINES;
            lines.truncate(MOST_LINES);
            lines.push(format!("… and {more} more"));
        }
        if !lines.is_empty() {
            sections.push((format!("SPF look-ups: {}", spf_summary(spf)), lines));
        }
    }
    sections
}

fn spf_lines(node: &SpfNode, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    if let Some(problem) = &node.problem {
        lines.push(format!("{indent}{}", spf_problem(problem)));
    }
    for term in &node.terms {
        let mut line = format!("{indent}{}", shown::value(&term.text));
        if !term.reached {
            line.push_str("  (never reached)");
        } else if term.lookups > 0 {
            let _ = write!(line, "  {}", term.lookups);
        }
        if term.has_macros {
            line.push_str("  (depends on the message)");
        }
        if term.void_lookups > 0 && term.leads_to.is_none() {
            line.push_str("  (nothing there)");
        }
        lines.push(line);
        if let Some(below) = &term.leads_to {
            spf_lines(below, depth + 1, lines);
        }
    }
}

fn spf_problem(problem: &SpfNodeProblem) -> String {
    match problem {
        SpfNodeProblem::NoRecord => "no SPF record is there".to_owned(),
        SpfNodeProblem::MultipleRecords(count) => format!("{count} SPF records are there"),
        SpfNodeProblem::Syntax(error) => format!("not valid: {}", shown::value(error)),
        SpfNodeProblem::Loop => "leads back to itself".to_owned(),
        SpfNodeProblem::Unanswered(reason) => format!("no answer: {}", shown::value(reason)),
        SpfNodeProblem::NotFollowed => "not followed".to_owned(),
    }
}
