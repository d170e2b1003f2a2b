//! `countersign explain`: a report again, from the answers that it was made of.

use super::{
    Exit,
    show::{self, Checked, ShowArgs},
};
use crate::report_file::{self, StoredReport};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The flags of `explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A report made by `check --format json` or by the API; - is standard input
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
    let (name, bytes) = read_bounded(path, report_file::MAX_BYTES)?;
    report_file::parse(&bytes).map_err(|error| format!("{name}: {error}"))
}

/// Reads a file, or standard input where the path is `-`; returns its name for messages too.
pub fn read_bounded(path: &Path, max_bytes: u64) -> Result<(String, Vec<u8>), String> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(max_bytes + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = if is_stdin {
        read(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| read(&mut file))
    }
    .map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("{name}: it is larger than {} MiB", max_bytes >> 20));
    }
    Ok((name, bytes))
}
