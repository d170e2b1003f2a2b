//! Reports for terminals and for plain-text mail.

use super::{Item, RenderOptions, footer, headline, items};
use crate::{
    paste::Step,
    view::{self, Group},
};
use diagnosis::Report;
use model::Verdict;
use std::fmt::Write as _;

/// ANSI styles; without colour they write nothing.
#[derive(Clone, Copy)]
enum Style {
    Bold,
    Red,
    Yellow,
    Green,
    Cyan,
    Dim,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Red => "1;31",
            Self::Yellow => "33",
            Self::Green => "32",
            Self::Cyan => "36",
            Self::Dim => "2",
        }
    }

    fn on(self, text: &str, colour: bool) -> String {
        if colour { format!("\x1b[{}m{text}\x1b[0m", self.code()) } else { text.to_owned() }
    }
}

/// The report as plain text; ends in a line break.
pub fn text(report: &Report, options: &RenderOptions<'_>) -> String {
    let mut out = String::new();
    let style = match report.verdict {
        Verdict::Pass => Style::Green,
        Verdict::Fail => Style::Red,
        Verdict::Unknown => Style::Yellow,
    };
    out.push_str(&style.on(&headline(report), options.colour));
    out.push('\n');
    let mut after_note = false;
    for (index, item) in items(report, options).iter().enumerate() {
        // Notes are single lines unless all is told, and stand together.
        let note = item.group == Group::Note && !options.verbose;
        if !(note && after_note) {
            out.push('\n');
        }
        after_note = note;
        finding(&mut out, index + 1, item, options);
    }
    out.push('\n');
    for (label, content) in footer(report, options) {
        let style = if label == "fine" { Style::Green } else { Style::Dim };
        let lead = format!("{label}: ");
        wrapped(&mut out, &lead, &style.on(&lead, options.colour), "  ", &content, options.width);
    }
    if options.verbose {
        seen(&mut out, report, options);
    }
    out
}

/// The report in one line, for lists: verdict in words, then the codes of what is not right.
pub fn line(report: &Report) -> String {
    let mut codes: Vec<&str> = Vec::new();
    for finding in report.findings.iter().filter(|finding| Group::of(finding) != Group::Note) {
        if !codes.contains(&finding.code()) {
            codes.push(finding.code());
        }
    }
    let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    format!("{}{codes}", headline(report))
}

fn finding(out: &mut String, number: usize, item: &Item, options: &RenderOptions<'_>) {
    let style = match item.group {
        Group::Fix => Style::Red,
        Group::Improve => Style::Yellow,
        Group::Unknown | Group::Note => Style::Cyan,
    };
    let (count, label) = (format!("{number}. "), item.label());
    let indent = " ".repeat(count.len());
    let lead = format!("{count}{label}  ");
    let painted = format!("{count}{}  ", style.on(&label, options.colour));
    wrapped(out, &lead, &painted, &indent, &item.title_with_key(), options.width);
    // A note asks for nothing: its title is enough.
    if item.group == Group::Note && !options.verbose {
        return;
    }
    if options.verbose {
        let references = item.references.join(", ");
        wrapped(
            out,
            &indent,
            &indent,
            &indent,
            &format!("{} ({}; {references})", item.why, item.code),
            options.width,
        );
    }
    for step in &item.steps {
        match step {
            Step::Say(text) => {
                let lead = format!("{indent}- ");
                wrapped(out, &lead, &lead, &format!("{indent}  "), text, options.width);
            }
            Step::Record(paste) => {
                let fields = paste.fields();
                let widest = fields.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
                out.push('\n');
                for (label, content) in fields {
                    let label = format!("{label:<widest$}");
                    let _ =
                        writeln!(out, "{indent}    {}  {content}", Style::Bold.on(&label, options.colour));
                }
                out.push('\n');
            }
        }
    }
}

fn seen(out: &mut String, report: &Report, options: &RenderOptions<'_>) {
    for record in report.records.iter().filter(|record| !record.seen.is_empty()) {
        let key = crate::shown::value(&record.planned.key);
        let _ = writeln!(out, "\n{}", Style::Bold.on(&key, options.colour));
        wrapped(out, "  ", "  ", "  ", &view::state(record, report, options.now), options.width);
        for seen in record.seen.iter().take(40) {
            let says = match seen.right {
                Some(true) => "has it",
                Some(false) => "does not have it",
                None => "gave no clear answer",
            };
            let server = crate::shown::value(&seen.server.to_string());
            let _ = writeln!(out, "  {server}: {says}, TTL {}", seen.ttl);
        }
    }
}

/// Writes a paragraph: `painted` in front of the first line (as wide as `lead`), `indent` in front of the others.
fn wrapped(out: &mut String, lead: &str, painted: &str, indent: &str, text: &str, width: usize) {
    out.push_str(painted);
    let mut column = lead.chars().count();
    let mut fresh = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        // Narrower than 40 a line holds no record name; then long lines are left to the terminal.
        if width >= 40 && !fresh && column + 1 + length > width {
            out.push('\n');
            out.push_str(indent);
            column = indent.chars().count();
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        fresh = false;
    }
    out.push('\n');
}
