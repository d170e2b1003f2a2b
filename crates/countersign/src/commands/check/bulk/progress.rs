//! How far a list has come, on standard error: a bar in a terminal, else a line now and then.

use super::tally::{Tally, grouped};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

/// How often a line is written where there is no terminal.
pub const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far it is.
pub enum Progress {
    /// A bar, or a spinner where the length of the list is not known.
    Bar(ProgressBar),
    /// Lines.
    Lines,
    /// Nothing.
    None,
}

impl Progress {
    /// `octets` is the length of the list, where it is known.
    pub fn start(octets: Option<u64>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::with_draw_target(octets, ProgressDrawTarget::stderr_with_hz(5));
        let template = match octets {
            Some(_) => "{bar:30} {percent}%  {msg}  {elapsed}, {eta} to go",
            None => "{spinner} {msg}  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message("0 checked");
        Self::Bar(bar)
    }

    /// A result is there; `read` octets of the list led to it.
    pub fn advance(&self, tally: &Tally, read: u64) {
        if let Self::Bar(bar) = self {
            if read > bar.position() {
                bar.set_position(read);
            }
            bar.set_message(message(tally));
        }
    }

    /// Some time has gone by.
    pub fn tick(&self, tally: &Tally) {
        if matches!(self, Self::Lines) && tally.total() > 0 {
            say(&message(tally));
        }
    }

    /// Writes a line above the bar.
    pub fn say(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.suspend(|| say(text)),
            Self::Lines | Self::None => say(text),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn message(tally: &Tally) -> String {
    format!("{} checked: {}", grouped(tally.total()), tally.counts())
}

fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
