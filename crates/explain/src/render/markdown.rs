//! Reports for tickets, chats and mail to whoever runs DNS.

use super::{
    RenderOptions,
    outline::{Item, Part, Table, outline},
};
use crate::{paste::Paste, shown};
use diagnosis::Report;
use std::fmt::Write as _;

/// The report as Markdown (`CommonMark`, tables as GitHub has them), values in fenced blocks or as code.
pub fn markdown(report: &Report, options: &RenderOptions<'_>) -> String {
    let outline = outline(report, options);
    let mut out = format!("## {}\n\n", shown::markdown(&outline.headline));
    // Writing to a String does not fail.
    let _ = writeln!(out, "{}", shown::markdown(&outline.meaning));
    for (index, item) in outline.items.iter().enumerate() {
        write_item(&mut out, index + 1, item, options);
    }
    if outline.left_out > 0 {
        let _ = writeln!(out, "\n{} more will be shown once some of these are mended.", outline.left_out);
    }
    if !outline.pending.is_empty() || !outline.pending_steps.is_empty() {
        out.push_str("\n### On its way\n\n");
        for line in outline.pending.iter().chain(&outline.pending_steps) {
            let _ = writeln!(out, "- {}", shown::markdown(line));
        }
    }
    for (heading, lines) in &outline.sections {
        let block = lines.join("\n");
        let fence = shown::fence(&block);
        let _ = writeln!(out, "\n### {}\n\n{fence}text\n{block}\n{fence}", shown::markdown(heading));
    }
    // A rule in front: a list right behind the steps would be taken as more of them.
    out.push_str("\n---\n\n");
    if !outline.fine.is_empty() {
        let (count, keys) = (outline.fine.len(), shown::list_of(&outline.fine, 12));
        let _ = writeln!(out, "- {count} fine: {}", shown::markdown(&keys));
    }
    for note in &outline.notes {
        let _ = writeln!(out, "- note: {}", shown::markdown(&note.title));
    }
    for (label, content) in &outline.facts {
        let _ = writeln!(out, "- {label}: {}", shown::markdown(content));
    }
    out
}

fn write_item(out: &mut String, number: usize, item: &Item, options: &RenderOptions<'_>) {
    let _ = writeln!(out, "\n### {number}. {}: {}", item.label(), shown::markdown(&item.title));
    if let Some(why) = item.why {
        let _ = writeln!(out, "\n{}", shown::markdown(why));
    }
    let mut in_list = false;
    for part in &item.parts {
        match part {
            Part::Say(text) => {
                let _ = writeln!(out, "{}- {}", if in_list { "" } else { "\n" }, shown::markdown(text));
            }
            Part::Record(paste) => record(out, paste),
            Part::Table(table) => write_table(out, table),
        }
        in_list = matches!(part, Part::Say(_));
    }
    if options.verbose {
        let _ = writeln!(out, "\n`{}`, {}", item.code, item.references.join(", "));
    }
}

fn record(out: &mut String, paste: &Paste) {
    let fields = paste.fields();
    let widest = fields.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let mut block = String::new();
    for (label, content) in fields {
        let _ = writeln!(block, "  {label:<widest$}  {content}");
    }
    let fence = shown::fence(&block);
    let _ = writeln!(out, "\n  {fence}text\n{block}  {fence}");
}

fn write_table(out: &mut String, table: &Table) {
    let row = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let _ = writeln!(out, "\n{}", row(&table.head));
    let _ = writeln!(out, "{}", row(&vec!["---".to_owned(); table.head.len()]));
    for cells in &table.rows {
        let cells: Vec<String> = cells.iter().map(|cell| code(cell)).collect();
        let _ = writeln!(out, "{}", row(&cells));
    }
}

/// Code in a cell of a table. A bar would end the cell, and a backtick the code: such a value is escaped as text.
fn code(cell: &str) -> String {
    if cell.contains(['`', '|']) { shown::markdown(cell) } else { format!("`{}`", shown::paste(cell)) }
}
