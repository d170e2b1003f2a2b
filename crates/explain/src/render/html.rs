//! Reports as a fragment of HTML for pages and mail: no script, no style, everything escaped.
//!
//! The page that it is put into brings the style; `data-verdict` and `data-group` are there to hang it on, and every
//! state is said in words as well.

use super::{
    RenderOptions,
    outline::{Item, Outline, Part, SELECTOR_FLAG, Table, outline},
};
use crate::{catalogue, paste::Paste, shown, shown::html};
use diagnosis::Report;
use std::fmt::Write as _;

/// The report as one `<section>`.
pub fn html_fragment(report: &Report, options: &RenderOptions<'_>) -> String {
    let outline = outline(report, options);
    let mut out = format!(
        "<section class=\"report\" data-verdict=\"{}\">\n<h2>{}</h2>\n<p class=\"meaning\">{}</p>\n",
        report.verdict,
        html(&outline.headline),
        html(&outline.meaning)
    );
    if !outline.items.is_empty() {
        out.push_str("<ol class=\"findings\">\n");
        for item in &outline.items {
            write_item(&mut out, item, options);
        }
        out.push_str("</ol>\n");
    }
    if outline.left_out > 0 {
        // Writing to a String does not fail.
        let _ =
            writeln!(out, "<p>{} more will be shown once some of these are mended.</p>", outline.left_out);
    }
    write_rest(&mut out, &outline, options);
    out.push_str("</section>\n");
    out
}

fn write_rest(out: &mut String, outline: &Outline, options: &RenderOptions<'_>) {
    if !outline.pending.is_empty() || !outline.pending_steps.is_empty() {
        out.push_str("<h3>On its way</h3>\n<ul class=\"pending\">\n");
        for line in outline.pending.iter().chain(&outline.pending_steps) {
            let _ = writeln!(out, "<li>{}</li>", html(line));
        }
        out.push_str("</ul>\n");
    }
    for (heading, lines) in &outline.sections {
        let block: Vec<String> = lines.iter().map(|line| html(line)).collect();
        let _ =
            writeln!(out, "<h3>{}</h3>\n<pre class=\"section\">{}</pre>", html(heading), block.join("\n"));
    }
    if !outline.fine.is_empty() {
        let open = if options.verbose { " open" } else { "" };
        let (count, keys) = (outline.fine.len(), shown::list_of(&outline.fine, 100));
        let _ = writeln!(
            out,
            "<details class=\"fine\"{open}>\n<summary>{count} fine</summary>\n<p>{}</p>\n</details>",
            html(&keys)
        );
    }
    if !outline.notes.is_empty() {
        out.push_str("<h3>Notes</h3>\n<ul class=\"notes\">\n");
        for note in &outline.notes {
            let (code, title) = (note.code, html(&note.title));
            let link = if options.links {
                format!(" <a href=\"{}\">{code}</a>", catalogue::docs(code))
            } else {
                String::new()
            };
            let _ = writeln!(out, "<li data-code=\"{code}\">{title}{link}</li>");
        }
        out.push_str("</ul>\n");
    }
    out.push_str("<dl class=\"facts\">\n");
    for (label, content) in &outline.facts {
        // A page has a field for them.
        let content = content.strip_suffix(SELECTOR_FLAG).unwrap_or(content);
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", html(label), html(content));
    }
    out.push_str("</dl>\n");
}

fn write_item(out: &mut String, item: &Item, options: &RenderOptions<'_>) {
    let _ = writeln!(
        out,
        "<li data-code=\"{}\" data-group=\"{}\">\n<h3><span class=\"label\">{}</span> {}</h3>",
        item.code,
        item.group.word(),
        html(&item.label()),
        html(&item.title)
    );
    if let Some(why) = item.why {
        let _ = writeln!(out, "<p class=\"why\">{}</p>", html(why));
    }
    out.push_str("<ol class=\"steps\">\n");
    for part in &item.parts {
        match part {
            Part::Say(text) => {
                let _ = writeln!(out, "<li>{}</li>", html(text));
            }
            Part::Record(paste) => record(out, paste),
            Part::Table(table) => write_table(out, table),
        }
    }
    out.push_str("</ol>\n");
    if options.verbose {
        let _ = writeln!(out, "<p class=\"references\">{}</p>", html(&item.references.join(", ")));
    }
    if options.links {
        let (docs, code) = (catalogue::docs(item.code), item.code);
        let _ = writeln!(out, "<p class=\"docs\"><a href=\"{docs}\">More about <code>{code}</code></a></p>");
    }
    out.push_str("</li>\n");
}

fn record(out: &mut String, paste: &Paste) {
    out.push_str("<li>\n<dl class=\"record\">\n");
    for (label, content) in paste.fields() {
        let _ = writeln!(out, "<dt>{}</dt><dd><pre>{}</pre></dd>", html(label), html(&content));
    }
    out.push_str("</dl>\n</li>\n");
}

fn write_table(out: &mut String, table: &Table) {
    out.push_str("<li>\n<table class=\"to-enter\">\n<thead>\n<tr>");
    for cell in &table.head {
        let _ = write!(out, "<th scope=\"col\">{}</th>", html(cell));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for cells in &table.rows {
        out.push_str("<tr>");
        for (label, cell) in table.head.iter().zip(cells) {
            let _ = write!(out, "<td data-label=\"{}\"><code>{}</code></td>", html(label), html(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</li>\n");
}
