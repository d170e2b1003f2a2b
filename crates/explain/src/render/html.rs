//! Reports as a fragment of HTML for pages and mail: no script, no style, everything escaped.

use super::{Item, RenderOptions, footer, headline, items};
use crate::{
    catalogue,
    paste::{Paste, Step},
    shown::html,
    view::Group,
};
use diagnosis::Report;
use std::fmt::Write as _;

/// The report as one `<section>`.
pub fn html_fragment(report: &Report, options: &RenderOptions<'_>) -> String {
    let mut out = format!(
        "<section class=\"report\" data-verdict=\"{}\">\n<h2>{}</h2>\n",
        report.verdict,
        html(&headline(report))
    );
    let items = items(report, options);
    if !items.is_empty() {
        out.push_str("<ol class=\"findings\">\n");
        for item in &items {
            finding(&mut out, item, options);
        }
        out.push_str("</ol>\n");
    }
    out.push_str("<dl class=\"facts\">\n");
    for (label, content) in footer(report, options) {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", html(label), html(&content));
    }
    out.push_str("</dl>\n</section>\n");
    out
}

fn finding(out: &mut String, item: &Item, options: &RenderOptions<'_>) {
    let _ = writeln!(
        out,
        "<li data-code=\"{}\" data-group=\"{}\">\n<h3><span class=\"label\">{}</span> {}</h3>",
        item.code,
        item.group.word(),
        html(&item.label()),
        html(&item.title_with_key())
    );
    let _ = writeln!(out, "<p class=\"why\">{}</p>", html(item.why));
    if item.group != Group::Note || options.verbose {
        out.push_str("<ol class=\"steps\">\n");
        for step in &item.steps {
            match step {
                Step::Say(text) => {
                    let _ = writeln!(out, "<li>{}</li>", html(text));
                }
                Step::Record(paste) => record(out, paste),
            }
        }
        out.push_str("</ol>\n");
    }
    if options.verbose {
        let _ = writeln!(out, "<p class=\"references\">{}</p>", html(&item.references.join(", ")));
    }
    let _ = writeln!(out, "<p><a href=\"{}\">{}</a></p>\n</li>", catalogue::docs(item.code), item.code);
}

fn record(out: &mut String, paste: &Paste) {
    out.push_str("<li>\n<dl class=\"record\">\n");
    for (label, content) in paste.fields() {
        let _ = writeln!(out, "<dt>{}</dt><dd><pre>{}</pre></dd>", html(label), html(&content));
    }
    out.push_str("</dl>\n</li>\n");
}
