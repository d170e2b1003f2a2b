//! Findings as they are shown: what is wrong, why it matters, and the steps with what to paste.

use crate::pill::{Pill, Tone};
use app::diagnosis::{Finding, Report};
use explain::{Step, view::Group};
use jiff::Timestamp;
use model::Confidence;

/// One field of a DNS host's form.
pub(crate) struct Field {
    pub label: String,
    pub value: String,
    /// Worth a copy button.
    pub copy: bool,
    /// What is there now and goes away.
    pub current: bool,
}

/// One step: a sentence, or the fields of a record.
pub(crate) struct StepView {
    pub text: Option<String>,
    pub fields: Vec<Field>,
}

/// A finding as it is shown.
pub(crate) struct Problem {
    /// The same for as long as the finding is there, so that what was opened stays open.
    pub id: String,
    pub code: &'static str,
    pub group: Pill,
    pub title: String,
    pub suspected: bool,
    pub why: &'static str,
    pub steps: Vec<StepView>,
    pub docs: String,
    /// The row of the records table that it is about.
    pub record: Option<String>,
}

/// The findings, worst first: those that say more than "nothing is there yet", and those that say just that.
pub(crate) struct Problems {
    pub special: Vec<Problem>,
    pub missing: Vec<Problem>,
    /// Good to know, nothing to do.
    pub notes: Vec<Problem>,
}

/// Findings that the records table tells as well.
const NOT_THERE_YET: [&str; 3] = ["record_missing", "spf_missing", "dmarc_missing"];

impl Problems {
    pub fn of(report: &Report, now: Timestamp) -> Self {
        let mut problems = Self { special: Vec::new(), missing: Vec::new(), notes: Vec::new() };
        for (index, finding) in report.findings.iter().enumerate() {
            let is_same = |other: &&Finding| other.code() == finding.code() && other.record == finding.record;
            let number = report.findings[..index].iter().filter(is_same).count();
            let record = finding.record.as_deref().unwrap_or("domain");
            let id = format!("{}-{record}-{number}", finding.code());
            let problem = problem(id, finding, report, now);
            let place = match Group::of(finding) {
                Group::Note => &mut problems.notes,
                _ if NOT_THERE_YET.contains(&finding.code()) => &mut problems.missing,
                _ => &mut problems.special,
            };
            place.push(problem);
        }
        problems
    }
}

fn problem(id: String, finding: &Finding, report: &Report, now: Timestamp) -> Problem {
    let guide = explain::guide(finding, report, None, now);
    Problem {
        id,
        code: finding.code(),
        group: match Group::of(finding) {
            Group::Fix => Pill::new(Tone::Bad, "Fix"),
            Group::Improve => Pill::new(Tone::Warn, "Improve"),
            Group::Unknown => Pill::new(Tone::Muted, "Could not check"),
            Group::Pending => Pill::new(Tone::Muted, "On its way"),
            Group::Note => Pill::new(Tone::Muted, "Note"),
        },
        title: explain::title(finding),
        suspected: finding.confidence == Confidence::Suspected,
        why: explain::why(finding.code()),
        steps: guide.into_iter().map(step).collect(),
        docs: explain::catalogue::docs(finding.code()),
        record: finding.record.clone(),
    }
}

fn step(step: Step) -> StepView {
    match step {
        Step::Say(text) => StepView { text: Some(text), fields: Vec::new() },
        Step::Point(_) => StepView { text: Some(step.to_string()), fields: Vec::new() },
        Step::Record(paste) => {
            let plain = [paste.record_type.to_string(), paste.ttl.to_string()];
            let priority = paste.priority.map(|priority| priority.to_string());
            let fields = paste
                .fields()
                .into_iter()
                .map(|(label, value)| {
                    let current = label == "Current";
                    let short =
                        plain.contains(&value) || priority.as_ref() == Some(&value) || value.starts_with('(');
                    Field { label: label.to_owned(), copy: !current && !short, current, value }
                })
                .collect();
            StepView { text: None, fields }
        }
    }
}
