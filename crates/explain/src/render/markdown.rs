//! Reports for tickets, chats and mail to whoever runs DNS.

use super::{Item, RenderOptions, footer, headline, items};
use crate::{
    paste::{Paste, Step},
    shown,
    view::Group,
};
use diagnosis::Report;
use std::fmt::Write as _;

/// The report as Markdown (`CommonMark`), values in fenced blocks.
pub fn markdown(report: &Report, options: &RenderOptions<'_>) -> String {
    let mut out = format!("## {}\n", shown::markdown(&headline(report)));
    let items = items(report, options);
    for (index, item) in items.iter().enumerate() {
        finding(&mut out, index + 1, item, options);
    }
    out.push('\n');
    for (label, content) in footer(report, options) {
        let _ = writeln!(out, "- {label}: {}", shown::markdown(&content));
    }
    out
}

fn finding(out: &mut String, number: usize, item: &Item, options: &RenderOptions<'_>) {
    let _ = writeln!(out, "\n### {number}. {}: {}", item.label(), shown::markdown(&item.title_with_key()));
    if item.group != Group::Note || options.verbose {
        let _ = writeln!(out, "\n{}", item.why);
        for step in &item.steps {
            match step {
                Step::Say(text) => {
                    let _ = writeln!(out, "\n- {}", shown::markdown(text));
                }
                Step::Record(paste) => record(out, paste),
            }
        }
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
