//! Where results go: standard output, or a file that a later run can go on with.
//!
//! Each result is one line, written as a whole as soon as it is there. A file whose last line was cut off (the power
//! failed, the disk was full) is mended by dropping that line: its domain is looked at again.

use super::{
    lines::{self, Seen},
    tally::Tally,
};
use model::{Severity, Verdict};
use serde::Deserialize;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// The longest line of a file of results: a whole report with its raw answers.
const MAX_LINE: u64 = 64 << 20;

/// Where results go.
pub struct Output {
    target: Target,
}

enum Target {
    Stdout(io::Stdout),
    File { path: PathBuf, file: File },
}

/// What earlier runs have written.
#[derive(Debug, Default)]
pub struct Earlier {
    /// The domains and bad lines whose results are there.
    pub done: Seen,
    /// What they came to.
    pub tally: Tally,
    /// Whether a line that was cut off had to be dropped.
    pub mended: bool,
}

/// What can become of writing.
#[derive(Debug)]
pub enum Written {
    /// It is written.
    Done,
    /// Whoever read the results has seen enough.
    Closed,
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Self { target: Target::Stdout(io::stdout()) }
    }

    /// A file. One with results in it is only gone on with when `resume` says so; then they are read.
    pub fn file(path: &Path, resume: bool) -> Result<(Self, Earlier), String> {
        let shown = crate::commands::show::path(path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| format!("{shown}: {error}"))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(format!("{shown}: another run is writing to it"));
            }
            // File systems without locks: then nobody watches over two runs at once.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let length = file.metadata().map_err(|error| format!("{shown}: {error}"))?.len();
        if length > 0 && !resume {
            return Err(format!(
                "{shown} has results in it already; add --resume to go on with it, or name another file"
            ));
        }
        let earlier = read_results(&mut file).map_err(|problem| format!("{shown}: {problem}"))?;
        Ok((Self { target: Target::File { path: path.to_owned(), file } }, earlier))
    }

    /// Writes one line, its end included, as a whole.
    pub fn write(&mut self, line: &str) -> Result<Written, String> {
        let written = match &mut self.target {
            Target::Stdout(out) => {
                let mut out = out.lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
            Target::File { file, .. } => file.write_all(line.as_bytes()),
        };
        match written {
            Ok(()) => Ok(Written::Done),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::Closed),
            Err(error) => Err(match &self.target {
                Target::Stdout(_) => format!("the results could not be written: {error}"),
                Target::File { path, .. } => {
                    let path = crate::commands::show::path(path);
                    format!("{path}: {error}; what is written so far is kept, --resume goes on with it")
                }
            }),
        }
    }

    /// Makes sure that what was written is on the disk.
    pub fn finish(&self) -> Result<(), String> {
        match &self.target {
            Target::Stdout(_) => Ok(()),
            Target::File { path, file } => {
                file.sync_data().map_err(|error| format!("{}: {error}", crate::commands::show::path(path)))
            }
        }
    }
}

/// What is needed of a result to go on behind it.
#[derive(Deserialize)]
struct ResultLine {
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    verdict: Option<Verdict>,
    #[serde(default)]
    findings: Vec<ResultFinding>,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct ResultFinding {
    code: String,
    severity: Severity,
}

/// Reads the results of earlier runs, drops a line that was cut off, and leaves the file at its end.
fn read_results(file: &mut File) -> Result<Earlier, String> {
    let io_problem = |error: io::Error| error.to_string();
    let mut earlier = Earlier::default();
    let mut reader = BufReader::new(&mut *file);
    let mut bytes = Vec::new();
    let (mut whole, mut number) = (0, 0_u64);
    loop {
        bytes.clear();
        let length = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(io_problem)? as u64;
        if length == 0 {
            break;
        }
        number += 1;
        if bytes.last() != Some(&b'\n') {
            if length == MAX_LINE {
                return Err(format!("line {number} is too long for a result of a check"));
            }
            earlier.mended = true;
            break;
        }
        whole += length;
        note(&bytes, &mut earlier).ok_or_else(|| {
            format!("line {number} is no result of a check; nothing was written to the file")
        })?;
    }
    drop(reader);
    if earlier.mended {
        file.set_len(whole).map_err(io_problem)?;
    }
    file.seek(SeekFrom::Start(whole)).map_err(io_problem)?;
    Ok(earlier)
}

fn note(line: &[u8], earlier: &mut Earlier) -> Option<()> {
    if line.trim_ascii().is_empty() {
        return Some(());
    }
    match serde_json::from_slice(line).ok()? {
        ResultLine { domain: Some(domain), verdict: Some(verdict), findings, .. } => {
            if earlier.done.insert(&domain) {
                let findings = findings.iter().map(|finding| (finding.code.as_str(), finding.severity));
                earlier.tally.domain(verdict, findings);
            }
        }
        ResultLine { input: Some(input), error: Some(_), .. } => {
            if earlier.done.insert(&lines::bad_key(&input)) {
                earlier.tally.bad_lines += 1;
            }
        }
        _ => return None,
    }
    Some(())
}
