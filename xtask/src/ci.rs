//! `cargo xtask ci`: what must hold before a change is merged, in the order in which a mistake shows soonest.
//!
//! Stops at the first step that fails and says how to run it by hand. To add a check, add a line to [`STEPS`].

use std::path::Path;
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::{audit, layers, process, test};

struct Step {
    name: &'static str,
    work: Work,
    /// What to run to see it again, and what mends it, if a command does.
    by_hand: &'static str,
}

enum Work {
    /// `cargo` with these arguments.
    Cargo(&'static [&'static str]),
    Layers,
    Audit,
    Tests,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        work: Work::Cargo(&["fmt", "--all", "--", "--check"]),
        by_hand: "cargo fmt --all -- --check   (mended by: cargo fmt --all)",
    },
    Step { name: "layers", work: Work::Layers, by_hand: "cargo xtask check-layers" },
    Step { name: "audit", work: Work::Audit, by_hand: "cargo xtask audit" },
    Step {
        name: "lints",
        work: Work::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        by_hand: "cargo clippy --workspace --all-targets -- -D warnings",
    },
    Step {
        name: "generated files",
        work: Work::Cargo(&["run", "--quiet", "-p", "countersign", "--", "generate", "--check"]),
        by_hand: "cargo run -p countersign -- generate --check   (mended by: cargo run -p countersign -- generate)",
    },
    Step { name: "tests", work: Work::Tests, by_hand: "cargo xtask test" },
];

/// Runs the steps and prints how each went. The last line is that of the tests, when they ran.
pub fn command(root: &Path) -> bool {
    let mut took = Vec::new();
    let mut tests = None;
    let mut failed = None;
    for (position, step) in STEPS.iter().enumerate() {
        println!("\n== {} ({} of {})", step.name, position + 1, STEPS.len());
        let started = Instant::now();
        let passed = perform(root, &step.work, &mut tests);
        took.push(started.elapsed());
        println!("== {} {} in {}", step.name, word(passed), seconds(started.elapsed()));
        if !passed {
            failed = Some(step);
            break;
        }
    }
    println!("\n{}", summary(&took, failed.is_none()));
    if let Some(step) = failed {
        println!("Step `{}` failed. By hand: {}", step.name, step.by_hand);
    }
    if let Some(tally) = tests {
        println!("{tally}");
    }
    failed.is_none()
}

fn perform(root: &Path, work: &Work, tests: &mut Option<Tally>) -> bool {
    match work {
        Work::Cargo(arguments) => match process::cargo(root).args(*arguments).status() {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("error: cannot run cargo: {error}");
                false
            }
        },
        Work::Layers => layers::command(root),
        Work::Audit => audit::command(root),
        Work::Tests => tests.insert(test::run(root)).failed == 0,
    }
}

/// One line per step: passed, failed, or not run. `took` holds those that ran; only its last can have failed.
fn summary(took: &[Duration], all_passed: bool) -> String {
    let lines: Vec<String> = STEPS
        .iter()
        .enumerate()
        .map(|(position, step)| match took.get(position) {
            Some(time) => {
                let passed = all_passed || position + 1 < took.len();
                format!("{:<16} {:<7} {:>8}", step.name, word(passed), seconds(*time))
            }
            None => format!("{:<16} not run", step.name),
        })
        .collect();
    lines.join("\n")
}

fn word(passed: bool) -> &'static str {
    if passed { "passed" } else { "failed" }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_failed_and_what_was_not_run() {
        let text = summary(&[Duration::from_secs(1), Duration::from_millis(2500)], false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), STEPS.len());
        assert_eq!(lines[0], "format           passed     1.0 s");
        assert_eq!(lines[1], "layers           failed     2.5 s");
        assert!(lines[2..].iter().all(|line| line.ends_with("not run")));
    }

    #[test]
    fn the_summary_of_a_full_run_has_no_failure() {
        let text = summary(&vec![Duration::ZERO; STEPS.len()], true);
        assert!(!text.contains("failed") && !text.contains("not run"), "{text}");
    }
}
