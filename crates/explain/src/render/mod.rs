//! A whole report as text, Markdown, HTML or JSON.
//!
//! All four say the same in the same order: the verdict in one sentence, what to fix (worst first), what could not
//! be found out, what is fine folded into a line, the DNS host, and when everything is visible.

mod brief;
mod html;
mod json;
mod markdown;
mod text;

pub use brief::{Brief, BriefFinding, brief};
pub use html::html_fragment;
pub use json::{json, report_file};
pub use markdown::markdown;
pub use text::{line, text};

use crate::{
    candidates::guide,
    catalogue, clock,
    hosts::{Certainty, Host},
    paste::Step,
    shown, view,
    view::Group,
};
use diagnosis::{Finding, RecordReport, Report};
use model::{Confidence, RecordStatus, Timestamp};

/// How a report is rendered.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions<'a> {
    /// Now.
    pub now: Timestamp,
    /// Characters in a line of text; 0 for no wrapping. Values to paste are never wrapped.
    pub width: usize,
    /// Whether ANSI colours may be used. All is said in words too.
    pub colour: bool,
    /// Whether to tell why findings matter, where the rules are written, and what each server said.
    pub verbose: bool,
    /// The DNS host that somebody chose; `None` for the one that is recognised.
    pub host: Option<&'a Host>,
}

impl RenderOptions<'_> {
    /// Plain text of 100 characters a line.
    pub fn new(now: Timestamp) -> Self {
        Self { now, width: 100, colour: false, verbose: false, host: None }
    }
}

/// A finding, ready to be shown.
struct Item {
    group: Group,
    code: &'static str,
    /// The planned record's key.
    key: Option<String>,
    title: String,
    suspected: bool,
    why: &'static str,
    references: &'static [&'static str],
    steps: Vec<Step>,
}

fn items(report: &Report, options: &RenderOptions<'_>) -> Vec<Item> {
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| Group::of(finding));
    findings
        .into_iter()
        .map(|finding| Item {
            group: Group::of(finding),
            code: finding.code(),
            key: finding.record.as_deref().map(shown::value),
            title: catalogue::title(finding),
            suspected: finding.confidence == Confidence::Suspected,
            why: catalogue::why(finding.code()),
            references: catalogue::reference(finding.code()),
            steps: guide(finding, report, options.host, options.now),
        })
        .collect()
}

impl Item {
    /// "fix", "fix, suspected".
    fn label(&self) -> String {
        let suspected = if self.suspected { ", suspected" } else { "" };
        format!("{}{suspected}", self.group.word())
    }

    fn title_with_key(&self) -> String {
        self.key.as_ref().map_or_else(|| self.title.clone(), |key| format!("{key}: {}", self.title))
    }
}

/// "mail.acme.test: 2 things to fix".
fn headline(report: &Report) -> String {
    format!("{}: {}", shown::value(&report.domain.to_unicode()), view::summary(report))
}

/// The closing lines: label and content.
fn footer(report: &Report, options: &RenderOptions<'_>) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for (label, status) in [
        ("fine", RecordStatus::Verified),
        ("on its way", RecordStatus::Pending),
        ("not known", RecordStatus::Unknown),
    ] {
        let keys: Vec<String> =
            with_status(report, status).map(|record| shown::value(&record.planned.key)).collect();
        if !keys.is_empty() {
            lines.push((label, keys.join(", ")));
        }
    }
    lines.push(("DNS host", host_line(report, options.host)));
    if !report.name_servers.is_empty() {
        lines.push(("name servers", shown::list(&report.name_servers)));
    }
    if let Some(at) = report.visible_everywhere_by {
        lines.push(("visible everywhere", format!("by {}", clock::until(at, options.now))));
    }
    if let Some(silence) = view::silence(report) {
        lines.push(("no answer", silence));
    }
    if options.verbose {
        lines.push((
            "checked",
            format!(
                "{}, {} questions, profile {}",
                clock::at(report.checked_at, options.now),
                report.questions_asked,
                shown::value(&report.profile)
            ),
        ));
    }
    if !view::not_checked(report).is_empty() {
        let dkim = "dkim (selectors cannot be listed; name yours with --selector NAME)";
        lines.push(("not checked", dkim.to_owned()));
    }
    lines
}

fn with_status(report: &Report, status: RecordStatus) -> impl Iterator<Item = &RecordReport> {
    report.records.iter().filter(move |record| record.status == status)
}

fn host_line(report: &Report, chosen: Option<&Host>) -> String {
    let zone = report
        .zone
        .as_ref()
        .map_or_else(String::new, |zone| format!(", zone {}", shown::value(&zone.to_string())));
    if let Some(host) = chosen {
        return format!("{} (chosen){zone}; changes show {}", host.name, host.delay());
    }
    let detection = view::detection(report);
    let host = detection.guide();
    match detection.certainty {
        Certainty::Unknown => format!("not recognised{zone}"),
        Certainty::Shared | Certainty::Mixed => {
            format!("{}{zone}. {}", detection.names(), detection.note().unwrap_or_default())
        }
        Certainty::Confirmed | Certainty::Likely => {
            format!("{} ({}){zone}; changes show {}", host.name, detection.certainty.as_str(), host.delay())
        }
    }
}
