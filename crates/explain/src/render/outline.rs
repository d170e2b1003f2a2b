//! What a report says and in which order, before any medium: the verdict, what to do (worst first), what is on its
//! way and until when, what is fine in one line, notes, and where the zone is.
//!
//! Here records that are only missing are put together into one table, and the same words are said once.

use super::RenderOptions;
use crate::{
    candidates::guide,
    catalogue, clock,
    hosts::{Certainty, Host},
    paste::{Paste, Step},
    shown,
    verdict::{self, Group},
    view,
};
use diagnosis::{Defect, Finding, RecordReport, Report, observation::Server};
use model::{Confidence, RecordStatus, Timestamp};

/// How many keys or findings of one kind are listed; what is left out is counted.
const MOST_KEYS: usize = 12;
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
pub(super) struct Item {
    pub group: Group,
    pub code: &'static str,
    pub title: String,
    pub suspected: bool,
    /// Why it matters; `None` where an item before it has said so.
    pub why: Option<&'static str>,
    pub references: &'static [&'static str],
    pub parts: Vec<Part>,
}

/// A sentence or what is to be entered.
pub(super) enum Part {
    Say(String),
    Record(Box<Paste>),
    Table(Table),
}

/// Several records to enter, in columns; the value comes last, for it is the long one.
pub(super) struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
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

pub(super) fn outline(report: &Report, options: &RenderOptions<'_>) -> Outline {
    let findings = |wanted: &dyn Fn(Group) -> bool| -> Vec<&Finding> {
        let wanted = |finding: &&Finding| wanted(Group::of(finding)) && !verdict::is_echo(finding, report);
        report.findings.iter().filter(wanted).collect()
    };
    let mut todo = findings(&|group| matches!(group, Group::Fix | Group::Improve | Group::Unknown));
    // Stable: within a group the report's order stays.
    todo.sort_by_key(|finding| Group::of(finding));
    let mut items = items(&todo, report, options);
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
        fine: keys(with_status(report, RecordStatus::Verified)),
        notes: notes(&findings(&|group| group == Group::Note), report, options),
        sections: super::policy::sections(report, options.verbose),
        facts: facts(report, options),
    }
}

/// "mail.acme.test: 2 things to fix".
pub(super) fn headline(report: &Report) -> String {
    format!("{}: {}", shown::value(&report.domain.to_unicode()), verdict::summary(report))
}

fn items(findings: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut done: Vec<&Finding> = Vec::new();
    for finding in findings {
        if done.iter().any(|other| std::ptr::eq(*other, *finding)) {
            continue;
        }
        let same: Vec<&Finding> =
            findings.iter().filter(|other| goes_together(finding, other, report)).copied().collect();
        if same.len() > 1 {
            items.push(together(&same, report, options));
            done.extend(same);
        } else {
            items.push(single(finding, report, options));
        }
    }
    items
}

/// Whether two findings say the same of two records, so that they are told as one.
fn goes_together(one: &Finding, other: &Finding, report: &Report) -> bool {
    let zone = |finding: &Finding| {
        let record = finding.record.as_deref().and_then(|key| view::record(report, key));
        record.and_then(|record| record.zone.clone()).or_else(|| report.zone.clone())
    };
    let is_plain = |finding: &Finding| match &finding.remedy {
        diagnosis::Remedy::Add { value, .. } => !value.contains(catalogue::UNFINISHED),
        _ => false,
    };
    let unanswered = |finding: &Finding| matches!(finding.defect, Defect::DnsUnanswered { .. });
    if unanswered(one) && unanswered(other) {
        return true;
    }
    verdict::is_absence(one)
        && verdict::is_absence(other)
        && one.confidence == other.confidence
        && is_plain(one)
        && is_plain(other)
        && zone(one) == zone(other)
}

fn single(finding: &Finding, report: &Report, options: &RenderOptions<'_>) -> Item {
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
            .map(part)
            .collect(),
    }
}

fn part(step: Step) -> Part {
    match step {
        Step::Say(text) => Part::Say(text),
        Step::Record(paste) => Part::Record(paste),
    }
}

/// Several findings of one kind as one item.
fn together(findings: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Item {
    let keys: Vec<&str> = findings.iter().filter_map(|finding| finding.record.as_deref()).collect();
    let (count, listed) = (findings.len(), shown::list_of(&keys, MOST_KEYS));
    let is_absence = verdict::is_absence(findings[0]);
    let mut item = single(findings[0], report, options);
    item.group = findings.iter().map(|finding| Group::of(finding)).min().unwrap_or(item.group);
    if is_absence {
        item.title = format!("{count} records are not there yet: {listed}");
        item.why = Some("Nothing is at these names, so what the records are for does not work.");
        let guides: Vec<Vec<Step>> =
            findings.iter().map(|finding| guide(finding, report, options.host, options.now)).collect();
        item.parts = table_parts(&guides);
        item.parts.extend(required(findings, report));
    } else {
        item.title = format!("DNS gave no clear answer for {count} records: {listed}");
        item.parts = all_reasons(findings, report, options);
    }
    item
}

/// The guides of several records as one: the way there, all records in a table, what else to mind, each said once.
fn table_parts(guides: &[Vec<Step>]) -> Vec<Part> {
    let pastes: Vec<Paste> = guides
        .iter()
        .flatten()
        .filter_map(|step| match step {
            Step::Record(paste) => Some((**paste).clone()),
            Step::Say(_) => None,
        })
        .collect();
    let Some(first) = pastes.first() else { return Vec::new() };
    let mut parts: Vec<Part> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let mut table = Some(Table::of(&pastes));
    for step in &guides[0] {
        match step {
            Step::Record(_) => parts.extend(table.take().map(Part::Table)),
            Step::Say(text) if table.is_some() && !text.contains(": ") => {
                let text = text.trim_end_matches('.');
                said.push(text.to_owned());
                parts.push(Part::Say(format!("{text} for each of these:")));
            }
            Step::Say(text) => {
                said.push(text.clone());
                parts.push(Part::Say(for_type(text, first, guides, &pastes)));
            }
        }
    }
    // What other records want beside the first: not what speaks of their names, which the first has shown.
    for (guide, paste) in guides.iter().zip(&pastes).skip(1) {
        for step in guide {
            let Step::Say(text) = step else { continue };
            let known = said.iter().any(|said| said == text.trim_end_matches('.') || said == text);
            if !known && !text.contains(paste.name.as_str()) && !text.contains(paste.name_in_list()) {
                said.push(text.clone());
                parts.push(Part::Say(for_type(text, paste, guides, &pastes)));
            }
        }
    }
    parts
}

/// A line that not every record has is one for its type.
fn for_type(text: &str, paste: &Paste, guides: &[Vec<Step>], pastes: &[Paste]) -> String {
    let has = |guide: &Vec<Step>| guide.iter().any(|step| matches!(step, Step::Say(said) if said == text));
    let speaks_of_its_name = text.contains(paste.name.as_str());
    let only_its_type = guides
        .iter()
        .zip(pastes)
        .all(|(guide, other)| has(guide) == (other.record_type == paste.record_type));
    let all_of_one = pastes.iter().all(|other| other.record_type == paste.record_type);
    if only_its_type && !all_of_one && !speaks_of_its_name {
        format!("For {}: {text}", paste.record_type)
    } else {
        text.to_owned()
    }
}

/// Which of the records have to be there; nothing where all have to, or none.
fn required(findings: &[&Finding], report: &Report) -> Option<Part> {
    let records: Vec<&RecordReport> = findings
        .iter()
        .filter_map(|finding| finding.record.as_deref())
        .filter_map(|key| view::record(report, key))
        .collect();
    let required: Vec<&str> =
        records.iter().filter(|record| record.planned.required).map(|r| r.planned.key.as_str()).collect();
    (!required.is_empty() && required.len() < records.len()).then(|| {
        Part::Say(format!("Required: {}. The others are recommended.", shown::list_of(&required, MOST_KEYS)))
    })
}

/// What the servers said about several records, once.
fn all_reasons(findings: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Vec<Part> {
    let mut reasons: Vec<String> = Vec::new();
    for finding in findings {
        if let Defect::DnsUnanswered { reasons: of_this, .. } = &finding.defect {
            reasons.extend(
                of_this.iter().filter(|reason| !reasons.contains(reason)).cloned().collect::<Vec<_>>(),
            );
        }
    }
    let mut one = findings[0].clone();
    if let Defect::DnsUnanswered { reasons: all, .. } = &mut one.defect {
        *all = reasons;
    }
    guide(&one, report, options.host, options.now).into_iter().map(part).collect()
}

/// Why something matters is told with the first of several of a kind.
fn say_once(items: &mut [Item]) {
    for index in 1..items.len() {
        let (before, rest) = items.split_at_mut(index);
        if before.iter().any(|other| other.why.is_some() && other.why == rest[0].why) {
            rest[0].why = None;
        }
    }
}

impl Table {
    fn of(pastes: &[Paste]) -> Self {
        let has_priority = pastes.iter().any(|paste| paste.priority.is_some());
        let mut head: Vec<String> = Vec::new();
        let mut rows = vec![Vec::new(); pastes.len()];
        if let Some(first) = pastes.first() {
            let labels = first.labels();
            head.extend([labels.record_type.clone(), labels.host.clone(), labels.ttl.clone()]);
            head.extend(has_priority.then(|| labels.priority.clone()));
            head.push(labels.value.clone());
        }
        for (row, paste) in rows.iter_mut().zip(pastes) {
            row.extend([paste.record_type.to_string(), paste.host_shown().to_owned(), paste.ttl.to_string()]);
            if has_priority {
                row.push(paste.priority.map(|priority| priority.to_string()).unwrap_or_default());
            }
            row.push(paste.value.clone());
        }
        Self { head, rows }
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
        let dkim = "dkim: selectors cannot be listed, so name yours";
        lines.push(("not checked", format!("{dkim}{SELECTOR_FLAG}")));
    }
    lines.extend(super::policy::facts(report, options.verbose));
    if options.verbose {
        let profile = shown::value(&report.profile);
        let (at, questions) = (clock::at(report.checked_at, options.now), report.questions_asked);
        lines.push(("checked", format!("{at}, {questions} questions, profile {profile}")));
    }
    lines
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
