//! `cargo xtask test`: everything in the project that can pass or fail, and one closing line with the sum.
//!
//! `setup` → the tests of the workspace → the examples in the docs → the tour, which walks through the product as
//! a newcomer would. All of them run even when an earlier one fails, unless the code does not build.
//!
//! Tests find their tools in the folder named by `COUNTERSIGN_TOOLS`. One that lacks a part appends a line
//! `name: reason` to `skipped.log` there, and is counted as skipped, because the runner saw it pass.

use std::ffi::OsStr;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use crate::tally::{Counter, Report, Tally};
use crate::{process, setup};

struct Run {
    arguments: &'static [&'static str],
    report: Report,
}

const NEXTEST: Run =
    Run { arguments: &["nextest", "run", "--workspace", "--no-fail-fast"], report: Report::Nextest };
const HARNESS: Run = Run { arguments: &["test", "--workspace", "--no-fail-fast"], report: Report::Harness };
const EXAMPLES: Run =
    Run { arguments: &["test", "--doc", "--workspace", "--no-fail-fast"], report: Report::Harness };
const TOUR: Run = Run { arguments: &["run", "-p", "countersign", "--", "tour"], report: Report::Closing };

/// Runs everything and ends with the closing line. False when anything failed.
pub fn command(root: &Path) -> bool {
    let tally = run(root);
    println!("{tally}");
    tally.failed == 0
}

/// Runs everything and returns the sum, without the closing line.
pub fn run(root: &Path) -> Tally {
    setup::run(root);
    let tools = setup::tools(root);
    let skipped = tools.join("skipped.log");
    if let Err(error) = fs::create_dir_all(&tools).and_then(|()| fs::write(&skipped, "")) {
        eprintln!("error: cannot write {}: {error}", skipped.display());
        return Tally { failed: 1, ..Tally::default() };
    }
    // nextest tests no examples in docs; `cargo test` does.
    let runs: &[Run] =
        if process::find("cargo-nextest").is_some() { &[NEXTEST, EXAMPLES, TOUR] } else { &[HARNESS, TOUR] };
    let mut sum = Tally::default();
    for run in runs {
        let (tally, has_run) = execute(root, &tools, run);
        sum += tally;
        if tally.failed > 0 && !has_run && run.report != Report::Closing {
            eprintln!("\nThe tests did not build; what comes after them was not run.");
            break;
        }
    }
    let lines = fs::read_to_string(&skipped).unwrap_or_default();
    let reasons = reasons(&lines);
    for reason in &reasons {
        println!("skipped  {reason}");
    }
    sum.move_to_skipped(reasons.len() as u64);
    sum
}

/// Runs cargo and counts. Also says whether any counts were seen.
fn execute(root: &Path, tools: &Path, run: &Run) -> (Tally, bool) {
    println!("\n$ cargo {}", run.arguments.join(" "));
    let mut command = process::cargo(root);
    command.args(run.arguments);
    prepare(&mut command, tools);
    let mut counter = Counter::new(run.report);
    let success = match process::run_and_read(&mut command, &mut |line| counter.read(line)) {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: cannot run cargo: {error}");
            false
        }
    };
    let has_counted = counter.has_counted();
    (counter.finish(success), has_counted)
}

fn prepare(command: &mut Command, tools: &Path) {
    command.env("COUNTERSIGN_TOOLS", tools);
    // A golden file that differs is a failure here, never a file written beside it.
    set_default(command, "INSTA_UPDATE", "no");
    // Cargo sees a pipe where a person sees a terminal.
    if std::io::stderr().is_terminal() {
        set_default(command, "CARGO_TERM_COLOR", "always");
    }
}

fn set_default(command: &mut Command, variable: impl AsRef<OsStr>, value: &str) {
    if std::env::var_os(&variable).is_none() {
        command.env(variable, value);
    }
}

/// The lines tests left in `skipped.log`, each once, in order.
fn reasons(log: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_skipped_once_however_often_it_says_so() {
        let log = "web::pages: no chromium\n\nmail::signs: no dkimverify\nweb::pages: no chromium\n";
        assert_eq!(reasons(log), ["mail::signs: no dkimverify", "web::pages: no chromium"]);
    }
}
