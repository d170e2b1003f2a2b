//! Reports for terminals and for plain-text mail.

use super::{
    RenderOptions,
    outline::{Item, Outline, Part, Table, headline, outline},
};
use crate::{paste::Paste, shown, verdict::Group, view};
use diagnosis::Report;
use model::Verdict;
use std::fmt::Write as _;

/// How many servers' answers are listed for a record.
const MOST_SEEN: usize = 40;

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
    let outline = outline(report, options);
    let mut page = Page { out: String::new(), width: options.width, colour: options.colour };
    let style = match report.verdict {
        Verdict::Pass => Style::Green,
        Verdict::Fail => Style::Red,
        Verdict::Unknown => Style::Yellow,
    };
    page.line(&style.on(&outline.headline, options.colour));
    page.plain("", "", &outline.meaning);
    for (index, item) in outline.items.iter().enumerate() {
        page.item(index + 1, item, options.verbose);
    }
    if outline.left_out > 0 {
        page.line("");
        page.plain(
            "",
            "",
            &format!("{} more will be shown once some of these are mended.", outline.left_out),
        );
    }
    page.pending(&outline);
    page.sections(&outline);
    page.line("");
    page.closing(&outline, options);
    if options.verbose {
        page.seen(report, options);
    }
    page.out
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

struct Page {
    out: String,
    width: usize,
    colour: bool,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn item(&mut self, number: usize, item: &Item, verbose: bool) {
        let style = match item.group {
            Group::Fix => Style::Red,
            Group::Improve => Style::Yellow,
            Group::Unknown | Group::Pending | Group::Note => Style::Cyan,
        };
        let (count, label) = (format!("{number}. "), item.label());
        let indent = " ".repeat(count.len());
        self.line("");
        let painted = format!("{count}{}  ", style.on(&label, self.colour));
        self.wrapped(&format!("{count}{label}  "), &painted, &indent, &item.title);
        if let Some(why) = item.why {
            self.plain(&indent, &indent, why);
        }
        self.parts(&item.parts, &indent);
        if verbose {
            let references = format!("{}; {}", item.code, item.references.join(", "));
            self.plain(&indent, &indent, &references);
        }
    }

    /// What the records come to for mail.
    fn sections(&mut self, outline: &Outline) {
        for (heading, lines) in &outline.sections {
            self.line("");
            self.plain("", "  ", heading);
            for line in lines {
                self.line(&format!("  {line}"));
            }
        }
    }

    fn parts(&mut self, parts: &[Part], indent: &str) {
        let mut said: Option<String> = None;
        for part in parts {
            if let Part::Say(text) = part {
                match &mut said {
                    // Short sentences share a line; what ends in a value to copy keeps its own.
                    Some(line) if line.ends_with('.') && self.fits(indent, line, text) => {
                        line.push(' ');
                        line.push_str(text);
                    }
                    _ => {
                        self.bullet(said.take(), indent);
                        said = Some(text.clone());
                    }
                }
                continue;
            }
            self.bullet(said.take(), indent);
            self.line("");
            match part {
                Part::Record(paste) => self.record(paste, indent),
                Part::Table(table) => self.table(table, indent),
                Part::Say(_) => {}
            }
            self.line("");
        }
        self.bullet(said, indent);
        // An item that ends in a block needs no blank line more: the next one begins with it.
        if self.out.ends_with("\n\n") {
            self.out.pop();
        }
    }

    fn fits(&self, indent: &str, line: &str, more: &str) -> bool {
        let width = if self.width == 0 { 100 } else { self.width };
        indent.chars().count() + 3 + line.chars().count() + more.chars().count() <= width
    }

    fn bullet(&mut self, text: Option<String>, indent: &str) {
        if let Some(text) = text {
            self.plain(&format!("{indent}- "), &format!("{indent}  "), &text);
        }
    }

    fn record(&mut self, paste: &Paste, indent: &str) {
        let fields = paste.fields();
        let widest = fields.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, content) in fields {
            let label = Style::Bold.on(&format!("{label:<widest$}"), self.colour);
            let _ = writeln!(self.out, "{indent}    {label}  {content}");
        }
    }

    fn table(&mut self, table: &Table, indent: &str) {
        let widths: Vec<usize> = (0..table.head.len())
            .map(|column| {
                let cells = table.rows.iter().map(|row| &row[column]).chain([&table.head[column]]);
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        if self.is_too_wide(table, indent.len() + 4, &widths) {
            return self.blocks(table, indent);
        }
        let row = |cells: &[String]| {
            let last = cells.len().saturating_sub(1);
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == last { cell.clone() } else { format!("{cell:<width$}  ") }
            });
            padded.collect::<String>()
        };
        let head = Style::Bold.on(&row(&table.head), self.colour);
        self.line(&format!("{indent}    {head}"));
        for cells in &table.rows {
            let line = format!("{indent}    {}", row(cells));
            self.line(&line);
        }
    }

    /// Whether the columns of a table would be torn apart by the terminal: a long value at the end of a row may run
    /// on, as long as it begins well inside, and as long as not most of them do.
    fn is_too_wide(&self, table: &Table, lead: usize, widths: &[usize]) -> bool {
        const LEAST: usize = 20;
        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
        let last = |row: &Vec<String>| row.last().map_or(0, |cell| cell.chars().count());
        let runs_on = |row: &&Vec<String>| lead + before + last(row) > self.width;
        self.width > 0
            && (lead + before + LEAST > self.width
                || table.rows.iter().filter(runs_on).count() * 2 > table.rows.len())
    }

    /// The rows of a table one below the other, each cell with its heading.
    fn blocks(&mut self, table: &Table, indent: &str) {
        let widest = table.head.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        for (index, row) in table.rows.iter().enumerate() {
            if index > 0 {
                self.line("");
            }
            for (label, cell) in table.head.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                let label = Style::Bold.on(&format!("{label:<widest$}"), self.colour);
                let _ = writeln!(self.out, "{indent}    {label}  {cell}");
            }
        }
    }

    fn pending(&mut self, outline: &Outline) {
        if outline.pending.is_empty() && outline.pending_steps.is_empty() {
            return;
        }
        self.line("");
        self.line(&Style::Cyan.on("On its way", self.colour));
        for line in &outline.pending {
            self.plain("  ", "    ", line);
        }
        for step in &outline.pending_steps {
            self.plain("  - ", "    ", step);
        }
    }

    fn closing(&mut self, outline: &Outline, options: &RenderOptions<'_>) {
        if !outline.fine.is_empty() {
            let lead = format!("{} fine: ", outline.fine.len());
            self.labelled(&lead, Style::Green, &shown::list_of(&outline.fine, 12));
        }
        for note in &outline.notes {
            self.labelled("note: ", Style::Cyan, &note.title);
            if options.verbose {
                self.plain(
                    "  ",
                    "  ",
                    &format!("{} ({}; {})", note.why, note.code, note.references.join(", ")),
                );
            }
        }
        for (label, content) in &outline.facts {
            self.labelled(&format!("{label}: "), Style::Dim, content);
        }
    }

    fn labelled(&mut self, lead: &str, style: Style, content: &str) {
        let painted = style.on(lead, self.colour);
        self.wrapped(lead, &painted, "  ", content);
    }

    fn seen(&mut self, report: &Report, options: &RenderOptions<'_>) {
        for record in report.records.iter().filter(|record| !record.seen.is_empty()) {
            let key = Style::Bold.on(&shown::value(&record.planned.key), self.colour);
            self.line("");
            self.line(&key);
            self.plain("  ", "  ", &view::record_explanation(record, report, options.now));
            for seen in record.seen.iter().take(MOST_SEEN) {
                let says = match seen.right {
                    Some(true) => "has it",
                    Some(false) => "does not have it",
                    None => "gave no clear answer",
                };
                let ttl = if seen.right.is_some() { format!(", TTL {}", seen.ttl) } else { String::new() };
                let server = shown::server(&seen.server);
                self.line(&format!("  {server}: {says}{ttl}"));
            }
            if record.seen.len() > MOST_SEEN {
                self.line(&format!("  and {} more", record.seen.len() - MOST_SEEN));
            }
        }
    }

    fn plain(&mut self, lead: &str, indent: &str, text: &str) {
        self.wrapped(lead, lead, indent, text);
    }

    /// Writes a paragraph: `painted` in front of the first line (as wide as `lead`), `indent` in front of the others.
    fn wrapped(&mut self, lead: &str, painted: &str, indent: &str, text: &str) {
        self.out.push_str(painted);
        let mut column = lead.chars().count();
        let mut fresh = true;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            // Narrower than 40 a line holds no record name; then long lines are left to the terminal.
            if self.width >= 40 && !fresh && column + 1 + length > self.width {
                self.out.push('\n');
                self.out.push_str(indent);
                column = indent.chars().count();
                fresh = true;
            }
            if !fresh {
                self.out.push(' ');
                column += 1;
            }
            self.out.push_str(word);
            column += length;
            fresh = false;
        }
        self.out.push('\n');
    }
}
