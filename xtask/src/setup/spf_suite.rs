//! The published test suite of RFC 7208, out of the source distribution of `pyspf`.
//!
//! The suite is not ours to distribute, so it is fetched, and never committed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;

const PACKAGE: &str = "pyspf==2.0.14";
const ARCHIVE: &str = "pyspf-2.0.14.tar.gz";
const INSIDE: &str = "pyspf-2.0.14/test/rfc7208-tests.yml";
const FILE: &str = "rfc7208-tests.yml";
const LIMIT: Duration = Duration::from_mins(2);

/// The suite's file among the tools.
pub fn find(tools: &Path) -> Option<PathBuf> {
    Some(tools.join(FILE)).filter(|file| file.is_file())
}

/// Downloads the package's source with pip and takes the one file out of it. `venv` may have a pip where the system
/// has none.
pub fn install(tools: &Path, venv: &Path) -> Result<(), String> {
    println!("Getting the RFC 7208 test suite into {}.", tools.display());
    let folder = tools.join("download");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let destination = folder.to_string_lossy();
    let download = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--timeout",
        "15",
        "--retries",
        "1",
        "--no-binary",
        ":all:",
        "--no-deps",
        "--dest",
        &destination,
        PACKAGE,
    ];
    let of_venv = venv.join("bin/python");
    let downloaded = run("python3", &download)
        .or_else(|reason| if of_venv.is_file() { run(&of_venv, &download) } else { Err(reason) });
    let unpacked = downloaded.and_then(|()| unpack(&folder.join(ARCHIVE), tools));
    // What is left of the download is of no use, and neither is a failure to remove it.
    drop(fs::remove_dir_all(&folder));
    unpacked
}

fn unpack(archive: &Path, tools: &Path) -> Result<(), String> {
    let (archive, tools) = (archive.to_string_lossy(), tools.to_string_lossy());
    run("tar", &["-xzf", &archive, "-C", &tools, "--strip-components=2", INSIDE])
}

fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<(), String> {
    process::run_bounded(Command::new(program).args(arguments), LIMIT)
}
