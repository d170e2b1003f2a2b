//! Counting tests from what the runners print.
//!
//! The runners' summary lines are the only thing read; a run that prints none counts as one test, passed or
//! failed by its exit code. So a program that does not build is never "0 failed".

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped. Shown as the closing line of `cargo xtask test`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Tally {
    /// Tests that found a part of the machine missing pass for the runner, but proved nothing: they are skipped.
    pub fn move_to_skipped(&mut self, count: u64) {
        let moved = count.min(self.passed);
        self.passed -= moved;
        self.skipped += moved;
    }
}

/// How a program reports its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// cargo-nextest: one line `Summary [ 1.2s] 3 tests run: 2 passed (1 slow), 1 failed, 1 skipped`.
    Nextest,
    /// The test harness of Rust: one line `test result: ok. 3 passed; 0 failed; 1 ignored; …` per binary.
    Harness,
    /// A program of ours: one line `2 passed, 0 failed, 1 skipped`, or none.
    Closing,
}

/// Collects the counts of one run.
#[derive(Debug)]
pub struct Counter {
    report: Report,
    counted: Option<Tally>,
}

impl Counter {
    pub fn new(report: Report) -> Self {
        Self { report, counted: None }
    }

    /// Takes one line of output.
    pub fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let line = plain.trim();
        match self.report {
            Report::Nextest if line.starts_with("Summary [") => self.counted = Some(counts(line)),
            Report::Harness if line.starts_with("test result: ") => {
                let mut sum = self.counted.unwrap_or_default();
                sum += counts(line);
                self.counted = Some(sum);
            }
            Report::Closing if counts(line).to_string() == line => self.counted = Some(counts(line)),
            _ => {}
        }
    }

    /// Whether any counts were seen: if not, the tests did not get as far as running.
    pub fn has_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// The counts of the run, given whether the program ended well.
    pub fn finish(self, success: bool) -> Tally {
        let mut tally = self.counted.unwrap_or(Tally { passed: u64::from(success), ..Tally::default() });
        if !success && tally.failed == 0 {
            tally.failed = 1;
        }
        tally
    }
}

/// The `<number> <word>` pairs of a summary line, whatever stands between them.
fn counts(line: &str) -> Tally {
    let mut tally = Tally::default();
    for part in without_parentheses(line).split([',', ';', ':', '.', ']']) {
        let Some((number, word)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match word {
            "passed" => tally.passed += number,
            "failed" | "exec failed" | "timed out" => tally.failed += number,
            "skipped" | "ignored" => tally.skipped += number,
            _ => {}
        }
    }
    tally
}

/// nextest puts details of a count behind it in parentheses (`4 passed (1 slow)`): counted already.
fn without_parentheses(line: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(character),
            _ => {}
        }
    }
    // `4 passed (1 slow), …` leaves a space before the comma, which trimming takes care of.
    kept
}

/// Takes out terminal colour sequences (`ESC [ … letter`).
fn without_colour(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            kept.push(character);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(report: Report, output: &str, success: bool) -> Tally {
        let mut counter = Counter::new(report);
        output.lines().for_each(|line| counter.read(line));
        counter.finish(success)
    }

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn nextest_summary() {
        let line =
            "     Summary [   0.123s] 10 tests run: 9 passed (1 slow, 2 timed out), 1 failed, 2 skipped";
        assert_eq!(count(Report::Nextest, line, false), tally(9, 1, 2));
        let stopped =
            "Summary [ 61.0s] 5/9 tests run: 2 passed, 1 failed, 1 exec failed, 1 timed out, 4 skipped";
        assert_eq!(count(Report::Nextest, stopped, false), tally(2, 3, 4));
    }

    #[test]
    fn coloured_nextest_summary() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.004s] \u{1b}[1m2\u{1b}[0m tests run: \
                    \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m";
        assert_eq!(count(Report::Nextest, line, true), tally(2, 0, 0));
    }

    #[test]
    fn harness_lines_are_summed() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                      test a ... ok\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s\n";
        assert_eq!(count(Report::Harness, output, false), tally(4, 2, 1));
    }

    #[test]
    fn closing_line_must_be_the_whole_line() {
        assert_eq!(count(Report::Closing, "7 passed, 0 failed, 1 skipped", true), tally(7, 0, 1));
        assert_eq!(count(Report::Closing, "seen: 7 passed, 0 failed, 1 skipped", true), tally(1, 0, 0));
    }

    #[test]
    fn a_run_without_counts_is_one_test() {
        assert_eq!(count(Report::Nextest, "error: could not compile `mail`", false), tally(0, 1, 0));
        assert_eq!(count(Report::Closing, "The tour is over.", true), tally(1, 0, 0));
    }

    #[test]
    fn a_failing_exit_code_is_never_zero_failed() {
        let line = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(count(Report::Harness, line, false), tally(3, 1, 0));
    }

    #[test]
    fn skipping_moves_no_more_than_there_is() {
        let mut some = tally(3, 1, 0);
        some.move_to_skipped(2);
        assert_eq!(some.to_string(), "1 passed, 1 failed, 2 skipped");
        some.move_to_skipped(5);
        assert_eq!(some, tally(0, 1, 3));
    }
}
