//! Findings as they are shown: what is wrong, why it matters, and the steps with what to paste.

use crate::pill::{Pill, Tone};
use app::diagnosis::{Finding, Report};
use explain::{
    Step,
    paste::Paste,
    render::{self, Item, Part, RenderOptions, Table},
    view::Group,
};
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

/// One step.
pub(crate) enum StepView {
    /// A sentence.
    Text(String),
    /// The fields of a record.
    Fields(Vec<Field>),
    /// Several records, the value last.
    Table(Table),
}

/// A finding, or the same mistake made with several records, as it is shown.
pub(crate) struct Problem {
    /// The same for as long as the finding is there, so that what was opened stays open.
    pub id: String,
    pub code: &'static str,
    pub group: Pill,
    pub title: String,
    pub suspected: bool,
    pub why: Option<&'static str>,
    pub steps: Vec<StepView>,
    pub docs: String,
    /// The rows of the records table that it is about.
    pub records: Vec<String>,
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
        let id = |finding: &Finding| {
            let is_same = |other: &&Finding| other.code() == finding.code() && other.record == finding.record;
            let before = report.findings.iter().take_while(|other| !std::ptr::eq(*other, finding));
            let record = finding.record.as_deref().unwrap_or("domain");
            format!("{}-{record}-{}", finding.code(), before.filter(is_same).count())
        };
        for (findings, item) in render::things_to_do(report, &RenderOptions::new(now)) {
            let is_missing = |finding: &&&Finding| NOT_THERE_YET.contains(&finding.code());
            let (missing, special): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(is_missing);
            let alone = |finding: &Finding| problem(id(finding), finding, report, now);
            problems.missing.extend(missing.into_iter().map(alone));
            match special.as_slice() {
                [] => {}
                [one] => problems.special.push(alone(one)),
                [first, ..] => problems.special.push(several(id(first), &special, item)),
            }
        }
        for finding in &report.findings {
            let place = match Group::of(finding) {
                Group::Pending => &mut problems.special,
                Group::Note => &mut problems.notes,
                _ => continue,
            };
            place.push(problem(id(finding), finding, report, now));
        }
        problems
    }

    /// What is only missing comes first when nothing else stands in the way.
    pub fn missing_first(&self) -> bool {
        let is_fix = |problem: &Problem| problem.group.tone == Tone::Bad;
        self.missing.iter().any(is_fix) && !self.special.iter().any(is_fix)
    }

    /// Whether there is nothing to do.
    pub fn nothing_wrong(&self) -> bool {
        self.special.is_empty() && self.missing.is_empty()
    }
}

fn problem(id: String, finding: &Finding, report: &Report, now: Timestamp) -> Problem {
    let guide = explain::guide(finding, report, None, now);
    Problem {
        id,
        code: finding.code(),
        group: pill(Group::of(finding)),
        title: explain::title(finding),
        suspected: finding.confidence == Confidence::Suspected,
        why: Some(explain::why(finding.code())),
        steps: guide.into_iter().map(step).collect(),
        docs: explain::catalogue::docs(finding.code()),
        records: finding.record.iter().cloned().collect(),
    }
}

fn several(id: String, findings: &[&Finding], item: Item) -> Problem {
    Problem {
        id,
        code: item.code,
        group: pill(item.group),
        title: item.title,
        suspected: item.suspected,
        why: item.why,
        steps: item.parts.into_iter().map(part).collect(),
        docs: explain::catalogue::docs(item.code),
        records: findings.iter().filter_map(|finding| finding.record.clone()).collect(),
    }
}

fn pill(group: Group) -> Pill {
    match group {
        Group::Fix => Pill::new(Tone::Bad, "Fix"),
        Group::Improve => Pill::new(Tone::Warn, "Improve"),
        Group::Unknown => Pill::new(Tone::Muted, "Could not check"),
        Group::Pending => Pill::new(Tone::Muted, "On its way"),
        Group::Note => Pill::new(Tone::Muted, "Note"),
    }
}

fn step(step: Step) -> StepView {
    match step {
        Step::Record(paste) => record(&paste),
        said => StepView::Text(said.to_string()),
    }
}

fn part(part: Part) -> StepView {
    match part {
        Part::Say(text) => StepView::Text(text),
        Part::Record(paste) => record(&paste),
        Part::Table(table) => StepView::Table(table),
    }
}

fn record(paste: &Paste) -> StepView {
    let plain = [paste.record_type.to_string(), paste.ttl.to_string()];
    let priority = paste.priority.map(|priority| priority.to_string());
    let fields = paste
        .fields()
        .into_iter()
        .map(|(label, value)| {
            let current = label == "Current";
            let short = plain.contains(&value) || priority.as_ref() == Some(&value) || value.starts_with('(');
            Field { label: label.to_owned(), copy: !current && !short, current, value }
        })
        .collect();
    StepView::Fields(fields)
}
