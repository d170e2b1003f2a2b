//! `countersign explain`: a report again, from the answers that it was made of.

use super::{
    Exit, input,
    show::{self, Checked, ShowArgs},
};
use crate::report_file::{self, StoredReport};
use std::path::{Path, PathBuf};

/// The flags of `explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A report made by `check --format json`, or the answer to `POST /api/v1/checks`; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How it is shown.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Judges the stored answers with the checks and words of this version. Asks nobody.
pub fn run(arguments: &ExplainArgs) -> Exit {
    match read(&arguments.file) {
        Ok(stored) => arguments.show.print(&again(stored)),
        Err(problem) => show::fail(&problem),
    }
}

fn again(stored: StoredReport) -> Checked {
    // The time of the check, not of now: what caches still hold is told as it was then.
    let mut report = diagnosis::diagnose(&stored.plan, &stored.observation, stored.checked_at);
    report.started_at = stored.started_at;
    report.once = true;
    Checked { plan: stored.plan, observation: stored.observation, report }
}

fn read(path: &Path) -> Result<StoredReport, String> {
    let (name, bytes) = input::read(path, report_file::MAX_BYTES)?;
    report_file::parse(&bytes).map_err(|error| format!("{name}: {error}"))
}
