//! A record as the fields of a DNS host's form, and the steps around it.

use crate::{
    hosts::{Host, Labels},
    shown,
};
use model::{DomainName, RecordType};
use serde::Serialize;

/// What exactly to enter. All values are fit to be shown, see [`crate::shown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paste {
    /// The type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// What goes into the name field; empty when the field stays empty.
    pub host: String,
    /// The whole name.
    pub name: DomainName,
    /// The value, as this host wants it typed.
    pub value: String,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The preference of an MX.
    pub priority: Option<u16>,
    /// The values that the new one replaces.
    pub current: Vec<String>,
    #[serde(skip)]
    labels: Labels,
}

/// How many values that go away are shown.
const MOST_CURRENT: usize = 5;

impl Paste {
    /// The fields for one record at this host.
    pub(crate) fn new(host: &Host, zone: &DomainName, name: &DomainName, entry: &Entry<'_>) -> Self {
        let mut current: Vec<String> =
            entry.current.iter().take(MOST_CURRENT).map(|text| shown::current(text)).collect();
        if entry.current.len() > MOST_CURRENT {
            current.push(format!("… and {} more", entry.current.len() - MOST_CURRENT));
        }
        Self {
            record_type: entry.record_type,
            host: host.field(name, zone),
            name: name.clone(),
            value: shown::paste(&host.typed(entry.record_type, entry.value)),
            ttl: host.ttl(entry.ttl),
            priority: entry.preference,
            current,
            labels: host.labels.clone(),
        }
    }

    /// The record in its host's list: by the name field, or by the whole name where that field is empty.
    pub fn name_in_list(&self) -> &str {
        if self.host.is_empty() { self.name.as_str() } else { &self.host }
    }

    /// The name field's content, said so where it stays empty.
    pub fn host_shown(&self) -> &str {
        if self.host.is_empty() { "(leave empty)" } else { &self.host }
    }

    /// The words on the form.
    pub(crate) const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Label and content of each field, in the form's order. What is replaced stands under "Current".
    pub fn fields(&self) -> Vec<(&str, String)> {
        let labels = &self.labels;
        let value_label = match (&labels.target, self.record_type) {
            (Some(target), RecordType::Cname | RecordType::Mx) => target.as_str(),
            _ => labels.value.as_str(),
        };
        let mut fields = vec![
            (labels.record_type.as_str(), self.record_type.to_string()),
            (labels.host.as_str(), self.host_shown().to_owned()),
        ];
        if self.current.is_empty() {
            fields.push((value_label, self.value.clone()));
        } else {
            fields.extend(self.current.iter().map(|value| ("Current", value.clone())));
            fields.push(("Replace with", self.value.clone()));
        }
        fields.push((labels.ttl.as_str(), self.ttl.to_string()));
        if let Some(priority) = self.priority {
            fields.push((labels.priority.as_str(), priority.to_string()));
        }
        fields
    }
}

/// A record that is to be entered.
pub(crate) struct Entry<'a> {
    pub(crate) record_type: RecordType,
    pub(crate) value: &'a str,
    pub(crate) preference: Option<u16>,
    pub(crate) ttl: Option<u32>,
    pub(crate) current: &'a [String],
}

/// One step of a guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A sentence.
    Say(String),
    /// A sentence that ends in one value.
    Point(Point),
    /// The fields of a record.
    Record(Box<Paste>),
}

/// A sentence about one record, in the words for one and in those for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Without the colon and the value: "find this CNAME record".
    pub say: String,
    /// For several records, their values in a column below: "find each of these records". Empty where the column says
    /// it all.
    pub each: String,
    /// The value that the sentence ends in; a sentence without one is only worded in another way for several.
    pub what: Option<String>,
    /// The heading of the column of values; `None` where the record's own name field shows them.
    pub column: Option<&'static str>,
}

impl std::fmt::Display for Step {
    /// One line, for places that cannot show a block.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Say(text) => f.write_str(text),
            Self::Point(Point { say, what: Some(what), .. }) => write!(f, "{say}: {what}"),
            Self::Point(Point { say, .. }) => f.write_str(say),
            Self::Record(paste) => {
                for (index, (label, content)) in paste.fields().iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{label}: {content}")?;
                }
                Ok(())
            }
        }
    }
}

/// How a record gets into a zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Add,
    Edit,
}

/// The steps for one record: where to go, the fields, what this host wants beside them, and how to finish.
pub(crate) fn fill(host: &Host, action: Action, zone: &DomainName, paste: &Paste) -> Vec<Step> {
    let phrase = match action {
        Action::Add => &host.steps.add,
        Action::Edit => &host.steps.edit,
    };
    let slots = Slots { host, zone, paste };
    let (open, phrase_of) = (slots.fill(&host.steps.open), phrase);
    let phrase = slots.fill(phrase_of);
    if let Some(lead) = phrase_of.strip_suffix(": {host}") {
        let several = lead
            .replace("this {type} record set", "each of these record sets")
            .replace("this {type} record", "each of these records");
        let step = Point {
            say: format!("{open} and {}", slots.fill(lead)),
            each: format!("{open} and {}", slots.fill(&several)),
            what: Some(paste.name_in_list().to_owned()),
            column: None,
        };
        return [Step::Point(step)].into_iter().chain(finish(host, action, zone, paste)).collect();
    }
    // A name at the end of a sentence takes no full stop: it would be copied with it.
    let end = if phrase.ends_with(paste.name_in_list()) { "" } else { "." };
    let mut steps = vec![Step::Say(format!("{open} and {phrase}{end}"))];
    steps.extend(finish(host, action, zone, paste));
    steps
}

/// The fields of a record, what this host wants beside them, and how to finish.
pub(crate) fn finish(host: &Host, action: Action, zone: &DomainName, paste: &Paste) -> Vec<Step> {
    let typed = match paste.record_type {
        RecordType::Cname => host.steps.cname.as_slice(),
        RecordType::Txt => &host.steps.txt,
        RecordType::Mx => &host.steps.mx,
        _ => &[],
    };
    let slots = Slots { host, zone, paste };
    let mut steps = vec![Step::Record(Box::new(paste.clone()))];
    // What is to be said of every record is about its name, which an edit leaves as it is.
    let all = match action {
        Action::Add => host.steps.all.as_slice(),
        Action::Edit => &[],
    };
    let lines = all.iter().chain(typed).chain([&host.steps.save]);
    steps.extend(lines.map(|line| Step::Say(slots.fill(line))));
    steps
}

/// What the slots of a phrase are filled with.
struct Slots<'a> {
    host: &'a Host,
    zone: &'a DomainName,
    paste: &'a Paste,
}

impl Slots<'_> {
    /// Fills in one pass, so that a brace inside of a value stays what it is (SPF macros have them, RFC 7208 §7.1).
    fn fill(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len() + 40);
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (slot, after) = after.split_once('}').unwrap_or((after, ""));
            self.push(&mut out, slot);
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn push(&self, out: &mut String, slot: &str) {
        let paste = self.paste;
        match slot {
            "name" => out.push_str(&self.host.name),
            "where" => out.push_str(&self.host.page),
            "zone" => out.push_str(&shown::value(self.zone.as_str())),
            "type" => out.push_str(&paste.record_type.to_string()),
            "host" => out.push_str(paste.name_in_list()),
            "short" => out.push_str(&match paste.name.relative_to(self.zone) {
                Some(short) => short,
                None => paste.name.to_string(),
            }),
            "full" => out.push_str(paste.name.as_str()),
            "value" => out.push_str(&paste.value),
            "ttl" => out.push_str(&paste.ttl.to_string()),
            "priority" => out.push_str(&paste.priority.unwrap_or_default().to_string()),
            // The files are checked when they are read; nothing else can be here.
            _ => {}
        }
    }
}
