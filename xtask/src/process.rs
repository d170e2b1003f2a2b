//! Running other programs: cargo with a clean environment, and anything else with a time limit.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Lines of a program's error output kept for the reason shown when it fails.
const KEPT_LINES: usize = 40;

/// `cargo`, to be run in `root`.
///
/// `cargo run` describes xtask itself in the environment (`CARGO_PKG_NAME` and others). Build scripts that watch
/// those variables would run again on each change between `cargo xtask` and plain cargo, so they are taken out.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        if describes_xtask(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn describes_xtask(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(&*name, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
}

/// Runs `command` with its output passed on as it comes, and hands each line of it to `on_line` too.
pub fn run_and_read(
    command: &mut Command,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> std::io::Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (lines, received) = mpsc::channel::<String>();
    let mut passers = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let lines = lines.clone();
        passers.push(thread::spawn(move || pass_on(stdout, std::io::stdout(), &lines)));
    }
    if let Some(stderr) = child.stderr.take() {
        passers.push(thread::spawn(move || pass_on(stderr, std::io::stderr(), &lines)));
    }
    for line in received {
        on_line(&line);
    }
    for passer in passers {
        // A passer ends with its stream; what it could not write to our own output is of no use to anyone.
        drop(passer.join());
    }
    child.wait()
}

/// Copies a stream line by line until it ends.
fn pass_on(from: impl Read, mut to: impl Write, lines: &mpsc::Sender<String>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = from.read_until(b'\n', &mut line) {
        // A closed output (`| head`) must not stop the reading: the child would block on a full pipe.
        drop(to.write_all(&line).and_then(|()| to.flush()));
        drop(lines.send(String::from_utf8_lossy(&line).into_owned()));
        line.clear();
    }
}

/// Runs `command` silently for at most `limit`. On failure the error is one line that says why.
pub fn run_bounded(command: &mut Command, limit: Duration) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let (send, kept) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || send.send(last_lines(stderr)));
    }
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() >= limit => {
                // Both fail only when the program ended by itself in between.
                drop(child.kill());
                drop(child.wait());
                return Err(format!("{program} was stopped after {} s", limit.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(format!("cannot wait for {program}: {error}")),
        }
    };
    if status.success() {
        return Ok(());
    }
    // A grandchild may hold the pipe open after the program ended: the reason is not worth waiting for it.
    let lines = kept.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
    Err(reason(&lines).unwrap_or_else(|| format!("{program} ended with {status}")))
}

fn last_lines(stream: impl Read) -> Vec<String> {
    let mut lines = VecDeque::new();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        lines.push_back(String::from_utf8_lossy(&line).trim().to_owned());
        if lines.len() > KEPT_LINES {
            lines.pop_front();
        }
    }
    lines.into()
}

/// The line that names the cause: the first that is marked as an error (apt `E:`, pip `ERROR:`), else the last.
fn reason(lines: &[String]) -> Option<String> {
    let marked = lines.iter().find(|line| line.starts_with("E: ") || line.starts_with("ERROR: "));
    let chosen = marked.or_else(|| lines.iter().rev().find(|line| !line.is_empty()))?;
    let text = chosen.trim_start_matches("E: ").trim_start_matches("ERROR: ");
    Some(text.chars().take(160).collect())
}

/// Where `program` is on the `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers out of the path of users.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_read_line_by_line_from_both_streams() {
        let mut lines = Vec::new();
        let status = run_and_read(
            Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]),
            &mut |line: &str| lines.push(line.trim().to_owned()),
        )
        .unwrap();
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let started = Instant::now();
        let error = run_bounded(Command::new("sleep").arg("600"), Duration::from_millis(100)).unwrap_err();
        assert!(error.contains("was stopped"), "{error}");
        assert!(started.elapsed() < Duration::from_mins(1));
    }

    #[test]
    fn a_failure_says_why() {
        let script =
            "echo 'W: beside' >&2; echo 'E: Unable to locate package x' >&2; echo after >&2; exit 100";
        let limit = Duration::from_mins(1);
        let error = run_bounded(Command::new("sh").args(["-c", script]), limit).unwrap_err();
        assert_eq!(error, "Unable to locate package x");
        let silent = run_bounded(Command::new("sh").args(["-c", "exit 7"]), limit).unwrap_err();
        assert!(silent.contains('7'), "{silent}");
        let absent = run_bounded(&mut Command::new("no-such-program-here"), limit).unwrap_err();
        assert!(absent.contains("cannot run no-such-program-here"), "{absent}");
    }

    #[test]
    fn only_the_description_of_xtask_leaves_the_environment() {
        assert!(describes_xtask(OsStr::new("CARGO_PKG_VERSION")));
        assert!(describes_xtask(OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(!describes_xtask(OsStr::new("CARGO_HOME")));
        assert!(!describes_xtask(OsStr::new("CARGO_TARGET_DIR")));
    }
}
