//! The same mistake made with several records, as one thing to do: what it is, the way there, and what to enter for each
//! record in a table.

use super::{
    RenderOptions,
    outline::{Item, Part, Table, single},
};
use crate::{
    candidates::guide,
    catalogue,
    paste::{Paste, Point, Step},
    shown,
    verdict::{self, Group},
    view,
};
use diagnosis::{Defect, Finding, RecordReport, Report};

/// How many keys are listed; what is left out is counted.
const MOST_KEYS: usize = 12;

/// Several findings of one kind as one item.
pub(super) fn together(findings: &[&Finding], report: &Report, options: &RenderOptions<'_>) -> Item {
    let keys: Vec<&str> = findings.iter().filter_map(|finding| finding.record.as_deref()).collect();
    let (count, listed) = (findings.len(), shown::list_of(&keys, MOST_KEYS));
    let mut item = single(findings[0], report, options);
    item.group = findings.iter().map(|finding| Group::of(finding)).min().unwrap_or(item.group);
    if matches!(findings[0].defect, Defect::DnsUnanswered { .. }) {
        item.title = format!("DNS gave no clear answer for {count} records: {listed}");
        item.parts = all_reasons(findings, report, options);
        return item;
    }
    let mut each = Vec::new();
    if verdict::is_absence(findings[0]) {
        item.title = format!("{count} records are not there yet: {listed}");
        item.why = Some("Nothing is at these names, so what the records are for does not work.");
    } else {
        (item.title, each) = catalogue::title_of_several(findings);
    }
    let guides: Vec<Vec<Step>> =
        findings.iter().map(|finding| guide(finding, report, options.host, options.now)).collect();
    item.parts = each.into_iter().map(Part::Say).collect();
    match merged(&guides, &keys) {
        Some(parts) => item.parts.extend(parts),
        None => item.parts.extend(one_by_one(guides, &keys)),
    }
    item.parts.extend(required(findings, report));
    item
}

/// Guides that do not go together, one behind the other.
fn one_by_one(guides: Vec<Vec<Step>>, keys: &[&str]) -> Vec<Part> {
    let mut parts = Vec::new();
    for (guide, key) in guides.into_iter().zip(keys) {
        parts.push(Part::Say(format!("For {}:", shown::value(key))));
        parts.extend(guide.into_iter().map(Part::from));
    }
    parts
}

/// The guides of several records as one: the way there, all records in a table, what else to mind, each said once;
/// `None` where they are not of one shape.
fn merged(guides: &[Vec<Step>], keys: &[&str]) -> Option<Vec<Part>> {
    let points: Vec<Vec<&Point>> = guides.iter().map(|guide| points(guide)).collect();
    let pastes: Vec<Vec<&Paste>> = guides.iter().map(|guide| pastes(guide)).collect();
    let shape = |points: &[&Point]| -> Vec<(String, Option<&'static str>)> {
        points.iter().map(|point| (point.each.clone(), point.column)).collect()
    };
    let is_one_shape = points.iter().all(|other| shape(other) == shape(&points[0]))
        && pastes.iter().all(|other| other.len() == pastes[0].len())
        && pastes[0].len() <= 1;
    if !is_one_shape {
        return None;
    }
    let pastes: Vec<&Paste> = pastes.into_iter().flatten().collect();
    let mut table = Table::of(keys, &points, &pastes).map(Part::Table);
    let mut lines = Lines { guides, pastes: &pastes, said: Vec::new() };
    let mut parts = Vec::new();
    // Where nothing is to be entered the table stands behind the first sentence that speaks of the records.
    let is_plain = pastes.is_empty();
    for step in &guides[0] {
        match step {
            Step::Record(_) => parts.extend(table.take()),
            Step::Point(point) if point.each.is_empty() => {}
            Step::Point(point) => {
                let sentence = format!("{}.", point.each);
                if !parts.iter().any(|part| matches!(part, Part::Say(text) if *text == sentence)) {
                    parts.push(Part::Say(sentence));
                }
                if is_plain {
                    parts.extend(table.take());
                }
            }
            Step::Say(text) => parts.push(lines.say(text, 0, table.is_some())),
        }
    }
    // What other records want beside the first.
    for (index, guide) in guides.iter().enumerate().skip(1) {
        for step in guide {
            if let Step::Say(text) = step {
                parts.extend(lines.say_of_another(text, index));
            }
        }
    }
    let at = parts.iter().position(|part| matches!(part, Part::Table(_))).unwrap_or(0);
    if let Some(Part::Say(text)) = at.checked_sub(1).and_then(|before| parts.get_mut(before))
        && text.ends_with('.')
    {
        *text = format!("{}:", text.trim_end_matches('.'));
    }
    Some(parts)
}

fn points(guide: &[Step]) -> Vec<&Point> {
    fn point(step: &Step) -> Option<&Point> {
        if let Step::Point(point) = step { Some(point) } else { None }
    }
    guide.iter().filter_map(point).collect()
}

fn pastes(guide: &[Step]) -> Vec<&Paste> {
    fn paste(step: &Step) -> Option<&Paste> {
        if let Step::Record(paste) = step { Some(paste) } else { None }
    }
    guide.iter().filter_map(paste).collect()
}

/// The sentences of several guides, each said once.
struct Lines<'a> {
    guides: &'a [Vec<Step>],
    pastes: &'a [&'a Paste],
    said: Vec<String>,
}

impl Lines<'_> {
    fn say(&mut self, text: &str, index: usize, before_table: bool) -> Part {
        self.said.push(text.to_owned());
        if before_table && !self.pastes.is_empty() && self.is_way(text) {
            return Part::Say(format!("{} for each of these.", text.trim_end_matches('.')));
        }
        let name = self.pastes.get(index).map(|paste| paste.name.as_str());
        if name.is_some_and(|name| text.ends_with(name)) && !self.is_common(text) {
            return Part::Say(format!("{text} (and so on)"));
        }
        Part::Say(self.for_type(text, index))
    }

    /// Not what speaks of a record's name: the first one has shown how that goes.
    fn say_of_another(&mut self, text: &str, index: usize) -> Option<Part> {
        let is_said = self.said.iter().any(|said| said == text);
        let speaks_of_its_name = self
            .pastes
            .get(index)
            .is_some_and(|paste| text.contains(paste.name.as_str()) || text.contains(paste.name_in_list()));
        if is_said || speaks_of_its_name {
            return None;
        }
        Some(self.say(text, index, false))
    }

    /// The sentence that leads to the form of a new record.
    fn is_way(&self, text: &str) -> bool {
        let mut steps = self.guides[0].iter();
        let is_last = steps.position(|step| matches!(step, Step::Say(said) if said == text));
        let next = is_last.and_then(|index| self.guides[0].get(index + 1));
        matches!(next, Some(Step::Record(_))) && self.is_common(text) && !text.ends_with(':')
    }

    fn is_common(&self, text: &str) -> bool {
        self.guides.iter().all(|guide| has(guide, text))
    }

    /// A line that not every record has is one for its type.
    fn for_type(&self, text: &str, index: usize) -> String {
        let Some(paste) = self.pastes.get(index) else { return text.to_owned() };
        let speaks_of_its_name = text.contains(paste.name.as_str());
        let only_its_type = self
            .guides
            .iter()
            .zip(self.pastes)
            .all(|(guide, other)| has(guide, text) == (other.record_type == paste.record_type));
        let all_of_one = self.pastes.iter().all(|other| other.record_type == paste.record_type);
        if only_its_type && !all_of_one && !speaks_of_its_name {
            format!("For {}: {text}", paste.record_type)
        } else {
            text.to_owned()
        }
    }
}

fn has(guide: &[Step], text: &str) -> bool {
    guide.iter().any(|step| matches!(step, Step::Say(said) if said == text))
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
    guide(&one, report, options.host, options.now).into_iter().map(Part::from).collect()
}

impl Table {
    /// A row for each record: what the steps point at, then the fields of the form. `None` where there is nothing to
    /// show.
    fn of(keys: &[&str], points: &[Vec<&Point>], pastes: &[&Paste]) -> Option<Self> {
        let mut columns: Vec<(String, Vec<String>)> = Vec::new();
        for (index, point) in points[0].iter().enumerate() {
            let whats = points.iter().map(|points| points[index].what.clone().unwrap_or_default());
            let whats: Vec<String> = whats.collect();
            let label = match point.column {
                Some(label) => label,
                // The form's own name field shows it.
                None if !pastes.is_empty() || point.what.is_none() => continue,
                None => "Name",
            };
            if !columns.contains(&(label.to_owned(), whats.clone())) {
                columns.push((label.to_owned(), whats));
            }
        }
        if pastes.is_empty() {
            let named = !columns.is_empty();
            columns.insert(0, ("Record".to_owned(), keys.iter().map(|key| shown::value(key)).collect()));
            return named.then(|| Self::of_columns(columns));
        }
        let labels = pastes[0].labels();
        let column = |label: &str, cell: &dyn Fn(&Paste) -> String| {
            (label.to_owned(), pastes.iter().map(|paste| cell(paste)).collect::<Vec<String>>())
        };
        columns.insert(0, column(&labels.record_type, &|paste| paste.record_type.to_string()));
        columns.push(column(&labels.host, &|paste| paste.host_shown().to_owned()));
        columns.push(column(&labels.ttl, &|paste| paste.ttl.to_string()));
        if pastes.iter().any(|paste| paste.priority.is_some()) {
            let priority = |paste: &Paste| paste.priority.map(|priority| priority.to_string());
            columns.push(column(&labels.priority, &|paste| priority(paste).unwrap_or_default()));
        }
        let replaces = pastes.iter().any(|paste| !paste.current.is_empty());
        if replaces {
            columns.push(column("Current", &|paste| paste.current.join(" and ")));
        }
        let label = if replaces { "Replace with" } else { labels.value.as_str() };
        columns.push(column(label, &|paste| paste.value.clone()));
        Some(Self::of_columns(columns))
    }

    fn of_columns(columns: Vec<(String, Vec<String>)>) -> Self {
        let count = columns.first().map_or(0, |(_, cells)| cells.len());
        let rows = (0..count).map(|row| columns.iter().map(|(_, cells)| cells[row].clone()).collect());
        Self { rows: rows.collect(), head: columns.into_iter().map(|(label, _)| label).collect() }
    }
}
