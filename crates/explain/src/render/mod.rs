//! A whole report as text, Markdown, HTML or JSON.
//!
//! All four say the same in the same order ([`outline`]): the verdict in one line and what it means, what to do (worst
//! first), what is on its way and until when, what is fine folded into a line, notes, and the DNS host.

mod brief;
mod changes;
mod html;
mod json;
mod markdown;
mod outline;
mod passed_on;
mod policy;
mod several;
mod text;

pub use brief::{Brief, BriefFinding, brief};
pub use changes::{
    ChangeLine, change_html, change_lines, change_markdown, change_summary, change_text,
    reason as blocked_reason,
};
pub use html::html_fragment;
pub use json::{json, report_file};
pub use markdown::markdown;
pub use outline::{Item, Part, Table, things_to_do};
pub use passed_on::to_pass_on;
pub use text::{line, text};

use crate::hosts::Host;
use model::Timestamp;

/// How a report is rendered.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions<'a> {
    /// Now.
    pub now: Timestamp,
    /// Characters in a line of text; 0 for no wrapping. Values to paste are never wrapped.
    pub width: usize,
    /// Whether ANSI colours may be used. All is said in words too.
    pub colour: bool,
    /// Whether to unfold what is fine, where the rules are written, and what each server said.
    pub verbose: bool,
    /// The DNS host that somebody chose; `None` for the one that is recognised.
    pub host: Option<&'a Host>,
    /// Whether HTML links to the pages of the findings: where it is shown, `/docs/findings/` is there.
    pub links: bool,
}

impl RenderOptions<'_> {
    /// Plain text of 100 characters a line.
    pub fn new(now: Timestamp) -> Self {
        Self { now, width: 100, colour: false, verbose: false, host: None, links: true }
    }
}
