//! A report on standard output, for `check` and `explain`.

use super::Exit;
use diagnosis::{Observation, Plan, Report};
use explain::render;
use model::Verdict;
use std::io::{IsTerminal, Write};

/// How a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people at a terminal.
    Text,
    /// For programs; with the raw answers, so that `explain` can make the report again.
    Json,
    /// For tickets and chats.
    Markdown,
    /// For a page of your own: a fragment.
    Html,
}

/// The flags that say how a report is shown.
#[derive(Debug, Clone, clap::Args)]
pub struct ShowArgs {
    /// How to show the result
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Show what is fine too, why it matters, and who said what
    #[arg(long, short)]
    pub verbose: bool,
}

/// A plan, what DNS said about it, and the report that was made of both.
#[derive(Debug)]
pub struct Checked {
    /// What should be there.
    pub plan: Plan,
    /// What was asked and answered.
    pub observation: Observation,
    /// What follows.
    pub report: Report,
}

impl ShowArgs {
    /// The report in the format that was asked for; ends in a line break.
    pub fn render(&self, checked: &Checked) -> String {
        let report = &checked.report;
        let mut options = render::RenderOptions::new(report.checked_at);
        options.width = width();
        options.verbose = self.verbose;
        match self.format {
            Format::Text => {
                options.colour = has_colour();
                render::text(report, &options)
            }
            Format::Json => {
                format!("{:#}\n", render::report_file(report, &checked.plan, &checked.observation))
            }
            Format::Markdown => render::markdown(report, &options),
            Format::Html => {
                // The page that it is put into has no pages of the findings beside it.
                options.links = false;
                render::html_fragment(report, &options)
            }
        }
    }

    /// Prints the report; its verdict is the exit code.
    pub fn print(&self, checked: &Checked) -> Exit {
        print(&self.render(checked)).unwrap_or_else(|| exit_of(checked.report.verdict))
    }
}

/// How many characters a line of text has: as many as the terminal has, within what reads well.
fn width() -> usize {
    const LEAST: usize = 60;
    const MOST: usize = 100;
    // Without a terminal the variable says what whoever reads it has.
    let variable = || std::env::var_os("COLUMNS")?.to_str()?.trim().parse().ok();
    let terminal = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    terminal.or_else(variable).map_or(MOST, |columns| columns.clamp(LEAST, MOST))
}

/// Whether standard output takes colours.
pub fn has_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Writes to standard output. Returns how the command ends when that is not possible.
pub fn print(text: &str) -> Option<Exit> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough (`head`) closes the pipe.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Some(fail(&format!("the result could not be written: {error}")))
        }
        _ => None,
    }
}

/// Says what went wrong, on standard error.
pub fn fail(problem: &str) -> Exit {
    drop(writeln!(std::io::stderr(), "error: {}", harmless(problem)));
    Exit::Usage
}

/// A message without what a terminal would obey: arguments, names of files and their contents may stand in it.
pub fn harmless(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| explain::shown::line(line, usize::MAX)).collect();
    lines.join("\n")
}

/// A path in a message: on one line, and nothing that a terminal would obey.
pub fn path(path: &std::path::Path) -> String {
    explain::shown::line(&path.to_string_lossy(), explain::shown::ON_LINE)
}

/// The exit code of a verdict.
pub fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Pass => Exit::Good,
        Verdict::Fail => Exit::Problems,
        Verdict::Unknown => Exit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_steer_no_terminal_and_keep_their_lines() {
        assert_eq!(harmless("a\u{1b}[31mb\nnext\u{9b}2J"), "a\u{fffd}[31mb\nnext\u{fffd}2J");
    }
}
