//! One DNS host, zone and time: where the steps of a guide are to be done.

use super::guide::{point, say};
use crate::{
    hosts::{Host, HostField},
    paste::{Action, Entry, Paste, Step, fill},
    shown::{self, value},
};
use diagnosis::RecordReport;
use model::{DomainName, RecordType, Timestamp};

/// Stands in a planned value for what the plan cannot know, see [`diagnosis::Expected::value`].
const UNFINISHED: char = '…';

/// Whether a value is a form that only the customer can complete.
pub(crate) fn is_unfinished(value: &str) -> bool {
    value.contains(UNFINISHED)
}

/// Where and when a finding is to be mended.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The DNS host.
    pub host: &'a Host,
    /// The zone that the name is in; guessed from the public suffix list where DNS did not tell.
    pub zone: Option<&'a DomainName>,
    /// The planned record that the finding is about.
    pub record: Option<&'a RecordReport>,
    /// Now.
    pub now: Timestamp,
}

impl Place<'_> {
    pub(super) fn zone_of(&self, name: &DomainName) -> DomainName {
        self.zone
            .filter(|zone| name.is_at_or_below(zone))
            .cloned()
            .or_else(|| model::registrable_domain(name))
            .unwrap_or_else(|| name.clone())
    }

    fn ttl(&self) -> Option<u32> {
        self.record.map(|record| record.planned.ttl)
    }

    /// What the list of records shows for a name; the whole name where the field would be empty.
    pub(super) fn field(&self, name: &DomainName) -> String {
        let field = self.host.field(name, &self.zone_of(name));
        value(if field.is_empty() { name.as_str() } else { &field })
    }

    pub(super) fn paste(
        &self,
        name: &DomainName,
        record_type: RecordType,
        value: &str,
        preference: Option<u16>,
        current: &[String],
    ) -> Paste {
        let entry = Entry { record_type, value, preference, ttl: self.ttl(), current };
        Paste::new(self.host, &self.zone_of(name), name, &entry)
    }

    pub(super) fn open(&self, name: &DomainName) -> String {
        // The zone comes last: its name may hold what looks like a slot.
        self.host
            .steps
            .open
            .replace("{name}", &self.host.name)
            .replace("{where}", &self.host.page)
            .replace("{zone}", &value(&self.zone_of(name).to_string()))
    }

    pub(super) fn add(
        &self,
        name: &DomainName,
        record_type: RecordType,
        value: &str,
        preference: Option<u16>,
    ) -> Vec<Step> {
        if is_unfinished(value) {
            return self.unfinished(name, record_type, value);
        }
        let paste = self.paste(name, record_type, value, preference, &[]);
        let mut steps = fill(self.host, Action::Add, &self.zone_of(name), &paste);
        steps.extend(self.name_cautions(&paste));
        steps.extend(self.cautions(&paste, value));
        steps
    }

    pub(super) fn edit(&self, paste: &Paste, raw: &str) -> Vec<Step> {
        if is_unfinished(raw) {
            return self.unfinished(&paste.name, paste.record_type, raw);
        }
        let mut steps = fill(self.host, Action::Edit, &self.zone_of(&paste.name), paste);
        steps.extend(self.cautions(paste, raw));
        steps
    }

    /// What may go wrong with the name of a new record in this panel.
    pub(super) fn name_cautions(&self, paste: &Paste) -> Vec<Step> {
        let mut steps = Vec::new();
        let zone = self.zone_of(&paste.name);
        // The guide for hosts that are not known says so of its own.
        if self.host.host_field == HostField::Relative
            && paste.name.is_below(&zone)
            && !self.host.is_generic()
        {
            let who = &self.host.name;
            steps.push(say(format!(
                "{who} adds {} by itself: the whole name is then {}",
                value(zone.as_str()),
                value(paste.name.as_str())
            )));
        }
        if paste.name == zone && paste.host == "@" && self.host.last_verified.is_empty() {
            steps.push(say("@ stands for the domain itself; where it is refused, leave the field empty."));
        }
        steps
    }

    /// What may go wrong with the value in this panel.
    pub(super) fn cautions(&self, paste: &Paste, raw: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        let length = raw.chars().count();
        if length > shown::TO_PASTE {
            steps.push(say(
                "The value is longer than can be shown here: take it from the export of this domain's records.",
            ));
        }
        if let Some(most) = self.host.txt_max
            && paste.record_type == RecordType::Txt
            && length > most
        {
            steps.push(say(format!(
                "{} takes at most {most} characters in a TXT value and this one has {length}: it has to be shortened, or the name moved to another DNS host.",
                self.host.name
            )));
        }
        steps
    }

    /// The fields of the planned record.
    pub(super) fn planned(&self, record: &RecordReport) -> Step {
        Step::Record(Box::new(self.paste(
            &record.planned.owner,
            record.record_type(),
            &record.value(),
            record.planned.expected.preference(),
            &[],
        )))
    }

    /// A record that only the customer can complete: an audit knows its form and not its content.
    fn unfinished(&self, name: &DomainName, record_type: RecordType, form: &str) -> Vec<Step> {
        let open = self.open(name);
        vec![
            point(
                format!("{open}, and add or correct this {record_type} record"),
                format!("{open}, and add or correct each of these {record_type} records"),
                None,
                self.field(name),
            ),
            say(what_is_to_be_filled_in(form)),
        ]
    }
}

/// What only the customer knows, in words: a placeholder in a value would be pasted with it.
pub(super) fn what_is_to_be_filled_in(form: &str) -> &'static str {
    if form.starts_with("v=DKIM1") {
        "The service that sends your mail gives you the value: it begins with v=DKIM1, and the public key stands in it behind p=."
    } else {
        "The service that sends your mail says what belongs into it: the record begins with v=spf1, then come its parts, and ~all or -all is the last."
    }
}

/// No block to paste from holds a value that is not whole, be it a form that the customer completes, be it longer than
/// can be shown: words take its place.
pub(super) fn whole_or_in_words(step: Step) -> Step {
    match step {
        Step::Record(paste) if is_unfinished(&paste.value) => {
            let (kind, name) = (paste.record_type, paste.name_in_list().to_owned());
            if paste.value.chars().count() >= shown::TO_PASTE {
                return point(format!("The {kind} record"), format!("The {kind} records below"), None, name);
            }
            say(format!("The {kind} record at {name}. {}", what_is_to_be_filled_in(&paste.value)))
        }
        step => step,
    }
}
