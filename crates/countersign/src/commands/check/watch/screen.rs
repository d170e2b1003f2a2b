//! What `--watch` shows while it waits, on standard error: a table that is drawn over itself in a terminal, else a
//! line for each change. Nothing is hidden and no mode is set, so there is nothing to restore.

use super::standing::Look;
use console::Term;
use explain::clock;
use model::Timestamp;
use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    time::Duration,
};

/// Where the waiting is shown.
pub struct Screen {
    domain: String,
    /// How many lines the table has now; `None` where there is no terminal.
    drawn: Option<usize>,
}

impl Screen {
    /// Looks whether there is a terminal.
    pub fn new(domain: &str) -> Self {
        Self { domain: domain.to_owned(), drawn: std::io::stderr().is_terminal().then_some(0) }
    }

    /// Whether the table has to be drawn again as time goes by.
    pub fn is_live(&self) -> bool {
        self.drawn.is_some()
    }

    /// A look has ended.
    pub fn looked(&mut self, look: &Look, before: Option<&Look>, now: Timestamp) {
        if self.is_live() {
            return;
        }
        let mut text = String::new();
        for change in look.changes(before) {
            let _ = writeln!(text, "{} {}: {change}", time(now), self.domain);
        }
        if let (Some(at), true) = (look.visible_everywhere_by, changed(look, before)) {
            let _ = writeln!(text, "{} {}: caches let go by {}", time(now), self.domain, time(at));
        }
        drop(std::io::stderr().write_all(text.as_bytes()));
    }

    /// Draws the table.
    pub fn draw(&mut self, look: &Look, now: Timestamp, next: Duration) {
        let Some(drawn) = self.drawn else { return };
        let (height, width) = Term::stderr().size();
        let (height, width) = (usize::from(height), usize::from(width));
        let mut lines = table(&self.domain, look, now, next);
        // A line that wraps, or a table that scrolls, could not be drawn over.
        lines.truncate(height.saturating_sub(1).max(1));
        let mut text = over(drawn);
        for line in &lines {
            text.extend(line.chars().take(width.saturating_sub(1)));
            text.push('\n');
        }
        self.drawn = Some(lines.len());
        drop(std::io::stderr().write_all(text.as_bytes()));
    }

    /// Takes the table away.
    pub fn clear(&mut self) {
        if let Some(drawn) = self.drawn.replace(0) {
            drop(std::io::stderr().write_all(over(drawn).as_bytes()));
        }
    }

    /// Writes a line that stays.
    pub fn say(&mut self, text: &str) {
        self.clear();
        drop(writeln!(std::io::stderr(), "{text}"));
    }
}

/// Back to the table's first line, and everything from there on away.
fn over(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
}

fn changed(look: &Look, before: Option<&Look>) -> bool {
    before.is_none_or(|before| before.visible_everywhere_by != look.visible_everywhere_by)
}

fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

fn table(domain: &str, look: &Look, now: Timestamp, next: Duration) -> Vec<String> {
    let awaited = look.awaited().count();
    let done = look.awaited().filter(|record| record.is_everywhere()).count();
    let kind = if look.awaits_required_only() { "required records" } else { "records" };
    let mut lines = vec![format!("{domain}: {done} of {awaited} {kind} everywhere"), String::new()];
    let widest = look.records.iter().map(|record| record.key.chars().count()).max().unwrap_or(0);
    for record in &look.records {
        lines.push(format!("  {:<10} {:<widest$}  {}", record.word(), record.key, record.detail()));
    }
    lines.push(String::new());
    if let Some(at) = look.visible_everywhere_by {
        lines.push(format!("Caches let go of older answers by {}.", clock::until(at, now)));
    }
    let next = if next.is_zero() { "now".to_owned() } else { format!("in {} s", next.as_secs_f64().ceil()) };
    lines.push(format!("{}, next look {next}. Ctrl-C stops and shows the report.", time(now)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::watch::standing::{Count, Standing};
    use model::RecordStatus;

    #[test]
    fn the_table_says_who_has_what_and_when_it_goes_on() {
        let record = |key: &str, status, servers, resolvers| Standing {
            key: key.to_owned(),
            name: "mail.acme.test".to_owned(),
            required: true,
            status,
            name_servers: servers,
            families: String::new(),
            resolvers,
            problem: None,
        };
        let count = |right, wrong| Count { right, wrong, silent: 0 };
        let look = Look {
            records: vec![
                record("dkim-1", RecordStatus::Verified, count(2, 0), count(1, 2)),
                record("spf", RecordStatus::Verified, count(2, 0), count(3, 0)),
            ],
            visible_everywhere_by: Some("2026-11-21T10:14:00Z".parse().unwrap()),
        };
        let now = "2026-11-21T10:00:07Z".parse().unwrap();
        let lines = table("mail.acme.test", &look, now, Duration::from_millis(4_100));
        assert_eq!(
            lines,
            [
                "mail.acme.test: 1 of 2 records everywhere",
                "",
                "  on its way dkim-1  2 of 2 name servers, 1 of 3 resolvers",
                "  done       spf     2 of 2 name servers, 3 of 3 resolvers",
                "",
                "Caches let go of older answers by 10:14 UTC, in 14 minutes.",
                "10:00:07 UTC, next look in 5 s. Ctrl-C stops and shows the report.",
            ]
        );
    }
}
