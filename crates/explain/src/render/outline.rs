//! What a report says and in which order, before any medium: the verdict, what to do (worst first), what is on its
//! way and until when, what is fine in one line, notes, and where the zone is.
//!
//! The same mistake made with several records is one thing to do (`several`), and the same words are said once.

use super::{RenderOptions, several::together};
use crate::{
    candidates::guide,
    catalogue, clock,
    hosts::{Certainty, Host},
    paste::{Paste, Step},
    shown,
    verdict::{self, Group},
    view,
};
use diagnosis::{Defect, Finding, RecordReport, Report, observation::Server, well_known::TriedSelectors};
use model::{Confidence, RecordStatus, Timestamp};

const MOST_NOTES: usize = 8;
/// How many things to do are shown: nobody reads more at once, and mended ones make room.
const MOST_ITEMS: usize = 20;

/// A report, ready to be written in any medium.
pub(super) struct Outline {
    /// "mail.acme.test: 2 things to fix".
    pub headline: String,
    /// What that means for mail.
    pub meaning: String,
    /// What to do, worst first.
    pub items: Vec<Item>,
    /// How many more things to do there are.
    pub left_out: usize,
    /// What is right somewhere and not yet everywhere.
    pub pending: Vec<String>,
    /// What to know about it, and what to do should it stay.
    pub pending_steps: Vec<String>,
    /// The records that are right.
    pub fine: Vec<String>,
    /// Findings that ask for nothing.
    pub notes: Vec<Note>,
    /// Headings, each with lines in columns.
    pub sections: Vec<(String, Vec<String>)>,
    /// The closing lines: label and content.
    pub facts: Vec<(&'static str, String)>,
}

/// One thing to do.
pub struct Item {
    /// What kind of thing.
    pub group: Group,
    /// The code of its findings.
    pub code: &'static str,
    /// What was seen, in one line.
    pub title: String,
    /// Whether it is a guess.
    pub suspected: bool,
    /// Why it matters; `None` where an item before it has said so.
    pub why: Option<&'static str>,
    /// The sections it rests on.
    pub references: &'static [&'static str],
    /// What to do, in order.
    pub parts: Vec<Part>,
}

/// A sentence or what is to be entered.
#[derive(PartialEq, Eq)]
pub enum Part {
    /// A sentence.
    Say(String),
    /// A record to enter.
    Record(Box<Paste>),
    /// Several records.
    Table(Table),
}

/// Several records to enter, in columns; the value comes last, for it is the long one.
#[derive(PartialEq, Eq)]
pub struct Table {
    /// What is in each column.
    pub head: Vec<String>,
    /// A row for each record, each with as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl From<Step> for Part {
    fn from(step: Step) -> Self {
        match step {
            Step::Record(paste) => Self::Record(paste),
            said => Self::Say(said.to_string()),
        }
    }
}

/// Something to know.
pub(super) struct Note {
    pub code: &'static str,
    pub title: String,
    pub why: &'static str,
    pub references: &'static [&'static str],
}

impl Item {
    /// "fix", "fix, suspected".
    pub fn label(&self) -> String {
        let suspected = if self.suspected { ", suspected" } else { "" };
        format!("{}{suspected}", self.group.word())
    }
}

/// The findings of a report that somebody has to do something about, as the report tells them: those that are the same
/// mistake made with several records together, with the item that tells it, and each other one alone.
pub fn things_to_do<'a>(report: &'a Report, options: &RenderOptions<'_>) -> Vec<(Vec<&'a Finding>, Item)> {
    let clusters = verdict::clusters(&todo(report), report);
    clusters
        .into_iter()
        .map(|cluster| {
            let item = item(&cluster, report, options);
            (cluster, item)
        })
        .collect()
}

/// In the order of the report, the worst first.
fn todo(report: &Report) -> Vec<&Finding> {
    let is_to_do = |finding: &&Finding| {
        matches!(Group::of(finding), Group::Fix | Group::Improve | Group::Unknown)
            && !verdict::is_echo(finding, report)
    };
    let mut todo: Vec<&Finding> = report.findings.iter().filter(is_to_do).collect();
    // Stable: within a group the report's order stays.
    todo.sort_by_key(|finding| Group::of(finding));
    todo
}

pub(super) fn outline(report: &Report, options: &RenderOptions<'_>) -> Outline {
    let findings = |wanted: &dyn Fn(Group) -> bool| -> Vec<&Finding> {
        let wanted = |finding: &&Finding| wanted(Group::of(finding)) && !verdict::is_echo(finding, report);
        report.findings.iter().filter(wanted).collect()
    };
    let mut items: Vec<Item> = things_to_do(report, options).into_iter().map(|(_, item)| item).collect();
    let left_out = items.len().saturating_sub(MOST_ITEMS);
    items.truncate(MOST_ITEMS);
    say_once(&mut items);
    let pending = findings(&|group| group == Group::Pending);
    Outline {
        headline: headline(report),
        meaning: verdict::meaning(report),
        items,
        left_out,
        pending: waiting(report, options.now),
        pending_steps: pending_steps(&pending, report, options),
        fine: fine(report),
        notes: notes(&findings(&|group| group == Group::Note), report, options),
        sections: super::policy::sections(report, options.verbose),
        facts: facts(report, options),
    }
}

/// The keys of the records that are right and have nothing to do about them.
fn fine(report: &Report) -> Vec<String> {
    let todo = todo(report);
    let is_to_do =
        |record: &&RecordReport| todo.iter().any(|one| one.record.as_ref() == Some(&record.planned.key));
    keys(with_status(report, RecordStatus::Verified).filter(|record| !is_to_do(record)))
}

/// "mail.acme.test: 2 things to fix".
pub(super) fn headline(report: &Report) -> String {
    format!("{}: {}", shown::value(&report.domain.to_unicode()), verdict::summary(report))
}

fn item(cluster: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Item {
    match cluster {
        [one] => single(one, report, options),
        several => together(several, report, options),
    }
}

pub(super) fn single(finding: &Finding, report: &Report, options: &RenderOptions<'_>) -> Item {
    let code = finding.code();
    let title = catalogue::title(finding);
    let title = match finding.record.as_deref() {
        Some(key) => format!("{}: {title}", shown::value(key)),
        None => title,
    };
    Item {
        group: Group::of(finding),
        code,
        title,
        suspected: finding.confidence == Confidence::Suspected,
        why: Some(catalogue::why(code)),
        references: catalogue::reference(code),
        parts: guide(finding, report, options.host, options.now)
            .into_iter()
            // The tree shows it, in columns.
            .filter(|step| !matches!(step, Step::Say(text) if text.starts_with(catalogue::COSTS)))
            .map(Part::from)
            .collect(),
    }
}

/// Why something matters is told with the first of several of a kind, and a new record with the first that it mends.
fn say_once(items: &mut [Item]) {
    for index in 1..items.len() {
        let (before, rest) = items.split_at_mut(index);
        let record = |item: &Item| item.parts.iter().position(|part| matches!(part, Part::Record(_)));
        let is_new = |item: &Item| record(item).is_none_or(|at| !rest[0].parts.contains(&item.parts[at]));
        if let Some(first) = before.iter().find(|item| !is_new(item)) {
            rest[0].parts.retain(|part| !first.parts.contains(part));
            rest[0].parts.push(Part::Say("The new record shown above mends this too.".to_owned()));
        }
        if before.iter().any(|other| other.why.is_some() && other.why == rest[0].why) {
            rest[0].why = None;
        }
    }
}

/// Each record that not everybody sees, and until when: "dkim-1: seen at 2 of 3 name servers and 1 of 4 resolvers".
fn waiting(report: &Report, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for record in &report.records {
        let key = &record.planned.key;
        let until = report
            .findings
            .iter()
            .filter(|finding| finding.record.as_deref() == Some(key.as_str()))
            .filter_map(|finding| match finding.defect {
                Defect::ResolverCacheStale { until, .. } => Some(until),
                _ => None,
            })
            .chain(record.propagation.visible_everywhere_by)
            .max();
        if !verdict::is_on_its_way(record) {
            continue;
        }
        let seen = view::spread(record).unwrap_or_else(|| "not seen everywhere".to_owned());
        let until = until.map_or_else(String::new, |until| {
            format!("; the last lets go of the older answer by {}", clock::until(until, now))
        });
        lines.push(format!("{}: {seen}{until}", shown::value(key)));
    }
    lines
}

fn pending_steps(findings: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for finding in findings {
        // That nothing has to be done is said by the time.
        if matches!(finding.defect, Defect::ResolverCacheStale { .. }) {
            continue;
        }
        for step in guide(finding, report, options.host, options.now) {
            let text = step.to_string();
            if !said.contains(&text) {
                said.push(text);
            }
        }
    }
    said.truncate(MOST_NOTES);
    said
}

fn notes(findings: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Vec<Note> {
    // The line with the next step says it.
    let has_step = super::policy::next_step(report).is_some();
    let is_said = |finding: &Finding| {
        !options.verbose && has_step && matches!(finding.defect, Defect::DmarcPolicyNone { .. })
    };
    let mut notes: Vec<Note> = findings
        .iter()
        .filter(|finding| !is_said(finding))
        .map(|finding| Note {
            code: finding.code(),
            title: catalogue::title(finding),
            why: catalogue::why(finding.code()),
            references: catalogue::reference(finding.code()),
        })
        .collect();
    notes.truncate(MOST_NOTES);
    notes
}

fn with_status(report: &Report, status: RecordStatus) -> impl Iterator<Item = &RecordReport> {
    report.records.iter().filter(move |record| record.status == status)
}

fn keys<'a>(records: impl Iterator<Item = &'a RecordReport>) -> Vec<String> {
    records.map(|record| shown::value(&record.planned.key)).collect()
}

/// How selectors are named where there is no field for them.
pub(super) const SELECTOR_FLAG: &str = " (on the command line with --selector NAME)";

/// The closing lines.
fn facts(report: &Report, options: &RenderOptions<'_>) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let servers = if report.name_servers.is_empty() {
        String::new()
    } else {
        format!(", name servers {}", shown::list(&report.name_servers))
    };
    lines.push(("DNS host", format!("{}{servers}", host_line(report, options.host))));
    if let Some(delay) = delay(report, options) {
        lines.push(("changes show", delay));
    }
    if options.host.is_none()
        && let Some(note) = view::detection(report).note()
    {
        lines.push(("several hosts", note.to_owned()));
    }
    if let Some(silence) = view::silence(report) {
        lines.push(("no answer", silence));
    }
    if !view::not_checked(report).is_empty() {
        let dkim = no_key(report.tried_selectors.as_ref());
        lines.push(("not checked", format!("dkim: {dkim}, so name yours{SELECTOR_FLAG}")));
    } else if let Some(tried) = &report.tried_selectors {
        let line = format!("found by trying {} well-known selectors; there may be others", tried.tried);
        lines.push(("DKIM keys", line));
    }
    lines.extend(super::policy::facts(report, options.verbose));
    if options.verbose {
        let profile = shown::value(&report.profile);
        let (at, questions) = (clock::at(report.checked_at, options.now), report.questions_asked);
        lines.push(("checked", format!("{at}, {questions} questions, profile {profile}")));
    }
    lines
}

/// Why no DKIM key is known.
fn no_key(tried: Option<&TriedSelectors>) -> String {
    match tried {
        None => "selectors cannot be listed".to_owned(),
        Some(TriedSelectors { wildcard: true, .. }) => "a wildcard answers for every selector".to_owned(),
        Some(tried) if tried.unanswered == tried.tried => {
            "selectors cannot be listed, and those that many have gave no answer".to_owned()
        }
        Some(tried) => {
            let working = if tried.found.is_empty() { "" } else { "working " };
            let silent = match tried.unanswered {
                0 => String::new(),
                silent => format!(" ({silent} gave no answer)"),
            };
            format!("no {working}key under the {} well-known selectors{silent}", tried.tried)
        }
    }
}

/// How long until a change is seen, where something has to be changed: what the host takes, and then what resolvers
/// may keep.
fn delay(report: &Report, options: &RenderOptions<'_>) -> Option<String> {
    let detection = view::detection(report);
    let host = options.host.unwrap_or_else(|| detection.guide());
    let is_asked = report
        .findings
        .iter()
        .any(|finding| matches!(Group::of(finding), Group::Fix | Group::Improve | Group::Pending));
    let kept = kept_by_resolvers(report);
    match (host.is_generic(), kept) {
        _ if !is_asked => None,
        (true, 0) => None,
        (true, kept) => Some(format!("within {} of being served by your DNS host", clock::span(kept))),
        (false, 0) => Some(host.delay()),
        (false, kept) => {
            let seconds = i64::from(host.delay_usual) + i64::try_from(kept).unwrap_or(i64::MAX / 4);
            let by = Timestamp::from_second(options.now.as_second().saturating_add(seconds));
            let by = by.map_or_else(
                |_| String::new(),
                |by| {
                    format!("; changed now, they should be seen everywhere by {}", clock::at(by, options.now))
                },
            );
            Some(format!(
                "{}, and resolvers may keep older answers for {} more{by}",
                host.delay(),
                clock::span(kept)
            ))
        }
    }
}

/// For how many seconds resolvers may keep what is there now of the records that are not right: its TTL, and for what
/// is not there the zone's negative TTL (RFC 2308 §5).
fn kept_by_resolvers(report: &Report) -> u64 {
    let is_wrong =
        |record: &&RecordReport| matches!(record.status, RecordStatus::Missing | RecordStatus::Failed);
    let answers = report.records.iter().filter(is_wrong).flat_map(|record| &record.seen);
    let of_authorities = answers.filter(|seen| matches!(seen.server, Server::Authority { .. }));
    of_authorities.filter(|seen| seen.right == Some(false)).map(|seen| u64::from(seen.ttl)).max().unwrap_or(0)
}

fn host_line(report: &Report, chosen: Option<&Host>) -> String {
    let zone = report
        .zone
        .as_ref()
        .map_or_else(String::new, |zone| format!(", zone {}", shown::value(zone.as_str())));
    if let Some(host) = chosen {
        return format!("{} (chosen){zone}", host.name);
    }
    let detection = view::detection(report);
    match detection.certainty {
        Certainty::Unknown if report.name_servers.is_empty() => {
            format!("not known{zone}: DNS did not tell the name servers")
        }
        Certainty::Unknown => format!("not recognised{zone}"),
        Certainty::Likely => format!("{} (likely){zone}", detection.names()),
        Certainty::Confirmed | Certainty::Shared | Certainty::Mixed => {
            format!("{}{zone}", detection.names())
        }
    }
}
