//! What a list came to.

use crate::commands::Exit;
use model::{Severity, Verdict};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How many findings the summary names.
const MOST_FREQUENT: usize = 8;

/// Counts the results of a list, those of earlier runs included.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Domains without problems.
    pub good: u64,
    /// Domains with problems.
    pub problems: u64,
    /// Domains that nothing certain can be said about.
    pub unknown: u64,
    /// Lines that are no domain.
    pub bad_lines: u64,
    /// In how many domains each finding was, notes left out.
    findings: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one domain.
    pub fn domain<'a>(&mut self, verdict: Verdict, findings: impl Iterator<Item = (&'a str, Severity)>) {
        match verdict {
            Verdict::Pass => self.good += 1,
            Verdict::Fail => self.problems += 1,
            Verdict::Unknown => self.unknown += 1,
        }
        let codes: BTreeSet<&str> =
            findings.filter(|(_, severity)| *severity > Severity::Info).map(|(code, _)| code).collect();
        for code in codes {
            match self.findings.get_mut(code) {
                Some(count) => *count += 1,
                None => {
                    self.findings.insert(code.to_owned(), 1);
                }
            }
        }
    }

    /// How many results there are.
    pub fn total(&self) -> u64 {
        self.good + self.problems + self.unknown + self.bad_lines
    }

    /// Good when all is good; a line that is no domain is a problem too.
    pub fn exit(&self) -> Exit {
        if self.problems + self.bad_lines > 0 {
            Exit::Problems
        } else if self.unknown > 0 {
            Exit::Unknown
        } else {
            Exit::Good
        }
    }

    /// "7 good, 2 with problems, 1 unknown", zeros left out.
    pub fn counts(&self) -> String {
        let parts = [
            (self.good, "good"),
            (self.problems, "with problems"),
            (self.unknown, "unknown"),
            (
                self.bad_lines,
                if self.bad_lines == 1 { "line that is no domain" } else { "lines that are no domain" },
            ),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{} {word}", grouped(*count)))
            .collect();
        if parts.is_empty() { "none yet".to_owned() } else { parts.join(", ") }
    }

    /// "Most frequent: `spf_missing` 20, `dmarc_missing` 7", where anything was found.
    pub fn most_frequent(&self) -> Option<String> {
        let mut findings: Vec<(&String, &u64)> = self.findings.iter().collect();
        // Stable: equal counts stay in the order of the codes.
        findings.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown: Vec<String> = findings
            .iter()
            .take(MOST_FREQUENT)
            .map(|(code, count)| format!("{code} {}", grouped(**count)))
            .collect();
        (!shown.is_empty()).then(|| format!("Most frequent: {}", shown.join(", ")))
    }
}

/// "1,234,567".
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "0.4 s", "42 s", "7 min 12 s", "2 h 5 min".
pub fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_follows_from_the_worst() {
        let mut tally = Tally::default();
        assert_eq!((tally.exit(), tally.counts().as_str()), (Exit::Good, "none yet"));
        tally.domain(Verdict::Pass, [("dmarc_inherited", Severity::Info)].into_iter());
        assert_eq!((tally.exit(), tally.most_frequent()), (Exit::Good, None));
        tally.domain(Verdict::Unknown, [].into_iter());
        assert_eq!(tally.exit(), Exit::Unknown);
        let twice = [("spf_missing", Severity::Error), ("spf_missing", Severity::Error)];
        tally.domain(Verdict::Fail, twice.into_iter());
        assert_eq!(tally.exit(), Exit::Problems);
        assert_eq!(tally.counts(), "1 good, 1 with problems, 1 unknown");
        assert_eq!(tally.most_frequent().unwrap(), "Most frequent: spf_missing 1");
        let bad = Tally { good: 5, bad_lines: 1, ..Tally::default() };
        assert_eq!((bad.exit(), bad.counts().as_str()), (Exit::Problems, "5 good, 1 line that is no domain"));
    }

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let seconds = |seconds| length(Duration::from_secs(seconds));
        assert_eq!(
            [seconds(3), seconds(42), seconds(432), seconds(7_500)],
            ["3.0 s", "42 s", "7 min 12 s", "2 h 5 min"]
        );
    }
}
