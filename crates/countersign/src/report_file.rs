//! Reports as files: what `check --format json` writes and `explain` reads.
//!
//! A report file is one JSON object, made by [`explain::render::report_file`]: the report as it is shown to programs, and
//! beside it what it was made of. `plan` says what should be there, `observation` holds every question and its raw answer, `checked_at` when. All
//! else in the file is made from these three and is ignored when it is read, so that older files are judged by today's
//! checks and told in today's words.
//!
//! A file may come from anyone: its size, its depth and the number of its parts are bounded.

use diagnosis::{Observation, Plan};
use model::Timestamp;
use serde::Deserialize;

/// The largest report file, in bytes. The largest honest one has a few hundred answers of a few kilobytes.
pub const MAX_BYTES: u64 = 32 << 20;

/// How many records a plan in a file may have.
const MAX_RECORDS: usize = 200;

/// How many answers an observation in a file may have.
const MAX_EXCHANGES: usize = 20_000;

/// What a report can be made from again.
#[derive(Debug, Deserialize)]
pub struct StoredReport {
    /// What should be there.
    pub plan: Plan,
    /// What was asked and answered.
    pub observation: Observation,
    /// When.
    pub checked_at: Timestamp,
    /// When the looking began, where that was said.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
}

/// Why a file is no report that can be explained.
#[derive(Debug, thiserror::Error)]
pub enum ReportFileError {
    /// Not JSON, or not of the shape.
    #[error("line {line}, column {column}: {problem}{hint}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong, with its place within the report.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// Not an object, or nothing at all.
    #[error("it is no report: a report is a JSON object{HINT}")]
    NoObject,
    /// More parts than any honest report has.
    #[error("it has {found} {what}, and {allowed} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        allowed: usize,
    },
}

/// Reads a report file.
pub fn parse(bytes: &[u8]) -> Result<StoredReport, ReportFileError> {
    // Editors and shells of one operating system put a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // A struct could be read from a list too, and the error would speak of fields that nobody wrote.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ReportFileError::NoObject);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let stored: StoredReport = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| json_error(error.inner(), Some(&error.path().to_string())))?;
    reader.end().map_err(|error| json_error(&error, None))?;
    bounded("records", stored.plan.records.len(), MAX_RECORDS)?;
    bounded("answers", stored.observation.exchanges.len(), MAX_EXCHANGES)?;
    Ok(stored)
}

const HINT: &str =
    "; only a whole report can be explained: countersign check DOMAIN --format json > report.json";

fn bounded(what: &'static str, found: usize, allowed: usize) -> Result<(), ReportFileError> {
    if found > allowed { Err(ReportFileError::TooMany { what, found, allowed }) } else { Ok(()) }
}

/// The words of `serde_json` end in the place, which is told in front here.
pub fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).map(str::to_owned).unwrap_or(text);
    text.replace("EOF while parsing", "it ends in the middle of")
}

fn json_error(error: &serde_json::Error, path: Option<&str>) -> ReportFileError {
    let problem = without_place(error);
    let hint = if problem.starts_with("trailing characters") {
        "; a file of several reports is explained line by line: sed -n 2p FILE | countersign explain -"
    } else if problem.starts_with("missing field `plan`")
        || problem.starts_with("missing field `observation`")
    {
        HINT
    } else {
        ""
    };
    let problem = match path.filter(|path| *path != "." && error.is_data()) {
        Some(path) => format!("{path}: {problem}"),
        None => problem,
    };
    ReportFileError::Json { line: error.line(), column: error.column(), problem, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn files_that_are_no_report_say_where_and_what_to_do() {
        for text in ["", "[1]", "good.test"] {
            assert!(problem(text).starts_with("it is no report") && problem(text).contains("--format json"));
        }
        assert!(
            problem("{").starts_with("line 1, column 1: it ends in the middle of an object"),
            "{}",
            problem("{")
        );
        assert!(problem("{\n  nonsense").starts_with("line 2, column 3: key must be a string"));
        let missing = problem("{\"domain\": \"example.com\"}");
        assert!(missing.contains("missing field `plan`") && missing.contains("--format json"), "{missing}");
        let bad = r#"{"plan":{"domain":"example.com","profile":"audit","records":[]},
            "observation":{"exchanges":[],"cut_short":false},"checked_at":"yesterday"}"#;
        assert!(problem(bad).starts_with("line 2, column "), "{}", problem(bad));
        assert!(problem(bad).contains("checked_at: "), "{}", problem(bad));
    }

    #[test]
    fn hostile_files_are_refused_within_bounds() {
        let lists = "[".repeat(100_000);
        let inside = format!("{{\"observation\":{{\"exchanges\":[{{\"x\":{lists}");
        assert!(problem(&inside).contains("recursion limit"), "{}", problem(&inside));
        assert!(problem(&format!("{{\"nonsense\":{lists}")).contains("ends in the middle"));
        let record = r#"{"key":"spf","purpose":"spf","owner":"example.com","ttl":1,"required":true,
            "expected":{"kind":"spf","rules":null},"explanation":""}"#;
        let many = format!(
            r#"{{"plan":{{"domain":"example.com","profile":"audit","records":[{}]}},
            "observation":{{"exchanges":[],"cut_short":false}},"checked_at":"2026-11-21T00:00:00Z"}}"#,
            vec![record; MAX_RECORDS + 1].join(",")
        );
        assert_eq!(problem(&many), "it has 201 records, and 200 are allowed");
    }
}
