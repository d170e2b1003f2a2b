//! Times on pages: the clock in UTC for machines and for hovering, the distance in words for reading.

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use std::fmt;

/// A time and how far away it is. Shown as a `time` element whose words the script keeps current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct When {
    at: Timestamp,
    words: String,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, words: distance(at.as_second().saturating_sub(now.as_second())) }
    }

    /// Where there may be none.
    pub fn maybe(at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        at.map(|at| Self::new(at, now))
    }

    /// "21 November 2026, 14:32:05 UTC".
    pub fn full(&self) -> String {
        self.at.strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iso = self.at.strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(f, "<time datetime=\"{iso}\" title=\"{}\" data-tick>{}</time>", self.full(), self.words)
    }
}

// Only digits, letters and punctuation of ours are in it.
impl HtmlSafe for When {}

/// The distance in words, rounded down: "3 s ago", "in 5 min". The script has the same rule.
fn distance(seconds: i64) -> String {
    let length = seconds.unsigned_abs();
    let words = match length {
        0 => return "now".to_owned(),
        1..120 => format!("{length} s"),
        120..7_200 => format!("{} min", length / 60),
        // The 72 hours that a domain has are told in hours.
        7_200..345_600 => format!("{} h", length / 3_600),
        _ => format!("{} days", length / 86_400),
    };
    if seconds < 0 { format!("{words} ago") } else { format!("in {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_read_well() {
        let words: Vec<_> = [0, -3, 5, -119, -120, 7_200, 259_200].into_iter().map(distance).collect();
        assert_eq!(words, ["now", "3 s ago", "in 5 s", "119 s ago", "2 min ago", "in 2 h", "in 72 h"]);
        assert_eq!(distance(i64::MIN), "106751991167300 days ago");
    }

    #[test]
    fn a_time_is_shown_for_people_and_machines() {
        let now: Timestamp = "2026-11-21T14:23:00Z".parse().unwrap();
        let at: Timestamp = "2026-11-21T14:22:57.5Z".parse().unwrap();
        assert_eq!(
            When::new(at, now).to_string(),
            "<time datetime=\"2026-11-21T14:22:57Z\" title=\"21 November 2026, 14:22:57 UTC\" data-tick>3 s ago</time>"
        );
    }
}
