//! What would change in a zone, one line a step, and what cannot be written.
//!
//! `+` a record is added, `~` one takes another's place, `-` one goes, `!` one cannot be written. The words say the same
//! without the signs. What comes is shown whole: people compare it.

use crate::shown;
use publish::{Action, Blocked, ChangeSet, LEFT_OVER, Reason, Step, Why, ZoneRecord};
use serde::Serialize;
use std::fmt::Write as _;

/// A line of a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeLine {
    /// `+`, `~`, `-` or `!`.
    pub sign: char,
    /// Type and name of the record.
    pub record: String,
    /// What is there.
    pub old: Option<String>,
    /// What will be there.
    pub new: Option<String>,
    /// Why, or what to do.
    pub why: &'static str,
}

/// The lines of a change set: its steps, then what cannot be written.
pub fn change_lines(set: &ChangeSet) -> Vec<ChangeLine> {
    set.steps.iter().map(|step| of_step(set, step)).chain(set.blocked.iter().map(of_blocked)).collect()
}

/// What a change set comes to, in a sentence.
pub fn change_summary(set: &ChangeSet) -> String {
    let zone = shown::line(&set.zone.to_string(), 300);
    let steps = match set.steps.len() {
        0 if set.blocked.is_empty() => return format!("Nothing to change in {zone}: all records are there."),
        0 => format!("Nothing can be changed in {zone}"),
        1 => format!("1 change in {zone}"),
        more => format!("{more} changes in {zone}"),
    };
    match set.blocked.len() {
        0 => format!("{steps}."),
        1 => format!("{steps}; 1 record cannot be written."),
        more => format!("{steps}; {more} records cannot be written."),
    }
}

/// The diff as plain text.
pub fn change_text(set: &ChangeSet) -> String {
    let mut out = format!("{}\n", change_summary(set));
    for line in change_lines(set) {
        // Writing to a String does not fail.
        let _ = writeln!(out, "\n{} {}", line.sign, line.record);
        for (label, value) in values(&line) {
            let _ = writeln!(out, "    {label}{value}");
        }
        let _ = writeln!(out, "    {}", line.why);
    }
    out
}

/// The diff as Markdown.
pub fn change_markdown(set: &ChangeSet) -> String {
    let mut out = format!("{}\n", shown::markdown(&change_summary(set)));
    for line in change_lines(set) {
        let mut block = format!("{} {}\n", line.sign, line.record);
        for (label, value) in values(&line) {
            let _ = writeln!(block, "    {label}{value}");
        }
        let fence = shown::fence(&block);
        let _ = writeln!(out, "\n{fence}text\n{block}{fence}\n{}", shown::markdown(line.why));
    }
    out
}

/// The diff as a fragment of HTML: no script, no style, everything escaped.
pub fn change_html(set: &ChangeSet) -> String {
    let mut out = format!(
        "<section class=\"changes\">\n<p class=\"summary\">{}</p>\n",
        shown::html(&change_summary(set))
    );
    let lines = change_lines(set);
    if !lines.is_empty() {
        out.push_str("<ul class=\"diff\">\n");
    }
    for line in &lines {
        let _ = write!(
            out,
            "<li data-sign=\"{}\"><strong>{} {}</strong>",
            line.sign,
            line.sign,
            shown::html(&line.record)
        );
        if let Some(old) = &line.old {
            let _ = write!(out, "<br><del><code>{}</code></del>", shown::html(old));
        }
        if let Some(new) = &line.new {
            let _ = write!(out, "<br><ins><code>{}</code></ins>", shown::html(new));
        }
        let _ = writeln!(out, "<br>{}</li>", shown::html(line.why));
    }
    if !lines.is_empty() {
        out.push_str("</ul>\n");
    }
    out.push_str("</section>\n");
    out
}

/// Old and new, each with what to put in front of it.
fn values(line: &ChangeLine) -> Vec<(&'static str, &str)> {
    match (&line.old, &line.new) {
        (Some(old), Some(new)) => vec![("old: ", old), ("new: ", new)],
        (Some(one), None) | (None, Some(one)) => vec![("", one)],
        (None, None) => Vec::new(),
    }
}

fn of_step(set: &ChangeSet, step: &Step) -> ChangeLine {
    let record_type = step.action.after().map_or_else(
        || step.action.before().map(|old| old.record.data.record_type()),
        |new| Some(new.data.record_type()),
    );
    let record_type = record_type.map(|found| found.to_string()).unwrap_or_default();
    let owner = shown::line(&step.action.owner().to_string(), 300);
    let old = step.action.before().map(|old| shown::paste(&old.record.data.to_string()));
    let new = step.action.after().map(|new| shown::paste(&new.data.to_string()));
    let (sign, why) = match &step.action {
        Action::Add { .. } => ('+', "A new record."),
        Action::Replace { why, .. } => ('~', replaced(*why)),
        Action::Remove { .. } if set.foreign.contains(&step.id) => {
            ('-', "Its rules are in the one SPF record above; there can be only one.")
        }
        Action::Remove { .. } if step.key == LEFT_OVER => {
            ('-', "We wrote it, and nothing needs it any more.")
        }
        Action::Remove { .. } => ('-', "We wrote it; it is taken back."),
    };
    ChangeLine { sign, record: format!("{record_type} {owner}"), old, new, why }
}

const fn replaced(why: Why) -> &'static str {
    match why {
        Why::Ours => "We wrote the old one.",
        Why::SpfMerge => "Your SPF record stays as it is, and ours is added to it.",
        Why::SpfJoin => "There can be only one SPF record, so yours become one, with ours in it.",
        Why::SpfUnmerge => "Ours goes out of your SPF record; the rest stays as it is.",
        Why::Unproxy => "The host must answer with the record itself, not with its own addresses.",
        Why::Undo => "What was there before is put back.",
    }
}

fn of_blocked(blocked: &Blocked) -> ChangeLine {
    let by: Vec<String> = blocked.by.iter().map(name_of).collect();
    ChangeLine {
        sign: '!',
        record: shown::line(&blocked.owner.to_string(), 300),
        old: (!by.is_empty()).then(|| shown::list(&by)),
        new: None,
        why: reason(&blocked.reason),
    }
}

fn name_of(record: &ZoneRecord) -> String {
    format!("{} {}", record.record.data.record_type(), shown::current(&record.record.data.to_string()))
}

/// Why a record cannot be written, and what to do.
pub const fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::AliasThere => {
            "A CNAME that we did not write is at this name, and nothing can stand beside it. Remove it, or pick another name."
        }
        Reason::DataBesideAlias => {
            "Records that we did not write are at this name, and a CNAME cannot stand beside them. Remove them if you do not need them."
        }
        Reason::OtherKey => {
            "Another DKIM key that we did not write is at this name. Remove it if nobody signs with it any more."
        }
        Reason::OtherExchanger => {
            "Mail for this name goes to another server that we did not set. Remove that MX record if you do not need it."
        }
        Reason::OtherText => {
            "A TXT record that we did not write is at this name, and ours cannot stand beside it. Remove it if you do not need it."
        }
        Reason::Opaque => {
            "Your DNS host answers with something of its own at this name, which we leave alone. Change it in your host's panel."
        }
        Reason::ProxiedByOthers => {
            "The record is right, but your DNS host answers with its own addresses. Switch the proxy off for this record."
        }
        Reason::Delegated => {
            "This name is handed to other name servers, so the record belongs in the zone there."
        }
        Reason::SpfSeveral => {
            "There are too many SPF records at this name to make one of them. Keep one, then plan again."
        }
        Reason::SpfTooManyLookups => {
            "With ours the SPF record would need more than 10 look-ups. Take out what you do not need, then plan again."
        }
        Reason::PolicyBroken => {
            "There are several DMARC records at this name, or the one there is not valid. Mend it in your host's panel."
        }
        Reason::HostCannot => "Your DNS host does not take this record: not its type, or not one so long.",
        Reason::ChangedSince => "Somebody changed it since we wrote it, so we leave it alone.",
        Reason::NotListed => "Your DNS host did not tell what is at this name. It may be in another zone.",
    }
}
