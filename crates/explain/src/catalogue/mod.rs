//! The catalogue of findings: what each one is called, why it matters, what to do, and where the rule is written.
//!
//! [`title`] and [`steps`] speak of one finding with its names; [`page`] of its kind. A page is written once, as the doc
//! comment of the check (`crates/diagnosis/src/checks/<code>.rs`), and read from there when this crate is built. Every
//! code of [`diagnosis::Defect::CODES`] has words: a test walks every code with every DNS host and remedy.

mod guide;
mod in_use;
#[cfg(test)]
mod manual;
mod observed;
mod place;
mod policy_steps;
mod policy_title;
mod several;
mod spf_terms;
mod title;

pub use guide::{Setting, guide, guide_in, steps};
pub use place::Place;
pub(crate) use place::is_unfinished;
pub(crate) use policy_steps::COSTS;
pub(crate) use policy_title::{provider_name, rule_name};
pub(crate) use several::title_of_several;
pub use title::title;

use serde::Serialize;
use std::fmt::Write;

/// The pages, read from the doc comments of the checks by `build.rs`.
const PAGES: &[Page] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// What is to be said about a kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What was seen when this is reported.
    pub what: &'static str,
    /// What follows from it.
    pub why: &'static str,
    /// What to do, in order.
    pub how: &'static [&'static str],
    /// Where the rule is written.
    pub references: &'static [&'static str],
}

/// All pages, in the order of [`diagnosis::Defect::CODES`].
pub fn pages() -> impl Iterator<Item = &'static Page> {
    diagnosis::Defect::CODES.iter().filter_map(|code| page(code))
}

/// The page of a code.
pub fn page(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code == code)
}

/// Why a finding matters: one or two sentences; empty for a code that does not exist.
pub fn why(code: &str) -> &'static str {
    page(code).map_or("", |page| page.why)
}

/// The sections that a finding rests on; none for a code that does not exist.
pub fn reference(code: &str) -> &'static [&'static str] {
    page(code).map_or(&[], |page| page.references)
}

/// Where the documentation of a code is, relative to the instance.
pub fn docs(code: &str) -> String {
    format!("/docs/findings/{code}")
}

/// All pages on one, as a Markdown document.
pub fn index() -> String {
    let mut out = String::from(
        "# Findings\n\nEverything that can be found out about a domain's DNS. The codes are the same in the API, the command \
         line, the\ndashboard (`/docs/findings/<code>`) and the metrics; they are only ever added to.\n\n| code | what it is called | what was seen |\n|---|---|---|\n",
    );
    for page in pages() {
        // Writing to a String does not fail.
        let _ = writeln!(out, "| [`{0}`]({0}.md) | {1} | {2} |", page.code, page.title, page.what);
    }
    out
}

impl Page {
    /// The page as a Markdown document.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\nCode: `{}`\n\n", self.title, self.code);
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "## What was seen\n\n{}\n\n## Why it matters\n\n{}\n\n## What to do\n",
            self.what, self.why
        );
        for (index, step) in self.how.iter().enumerate() {
            let _ = writeln!(out, "{}. {step}", index + 1);
        }
        out.push_str("\n## References\n\n");
        for reference in self.references {
            let _ = writeln!(out, "- {reference}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checks whose doc comment is no page yet, each with what it lacks.
    const UNWRITTEN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/unwritten.rs"));

    #[test]
    fn every_defect_has_a_whole_doc_comment() {
        let mut problems: Vec<String> = UNWRITTEN
            .iter()
            .map(|(code, mistake)| format!("crates/diagnosis/src/checks/{code}.rs: {mistake}"))
            .collect();
        let is_file =
            |code| page(code).is_some() || UNWRITTEN.iter().any(|(unwritten, _)| *unwritten == code);
        let without = diagnosis::Defect::CODES.iter().filter(|code| !is_file(code));
        problems.extend(without.map(|code| {
            let mistake = manual::read("").map_or_else(|mistake| mistake, |_| String::new());
            format!("crates/diagnosis/src/checks/{code}.rs is not there: {mistake}")
        }));
        let strays = PAGES.iter().filter(|page| !diagnosis::Defect::CODES.contains(&page.code));
        problems.extend(strays.map(|page| {
            format!("crates/diagnosis/src/checks/{0}.rs: no defect has the code {0}", page.code)
        }));
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
