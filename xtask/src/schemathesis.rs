//! `cargo xtask schemathesis`: what the OpenAPI document promises, held against a running platform by a fuzzer of others.
//!
//! Schemathesis makes requests out of `docs/openapi.json`, right ones and wrong ones, and looks whether each answer is as the
//! document says: no fault of ours, no status and no content type that is not named, every body within its schema. The
//! platform is `countersign dev` with a folder and ports of its own and with limits that a fuzzer does not reach.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::{process, setup};

/// How long the platform may take to say where it is.
const START: Duration = Duration::from_mins(1);

/// How long it goes on when CI asks, in seconds; by hand it is said.
const SECONDS: u32 = 60;

/// Data that fits its schema may well be refused, for a domain that is not there: that alone is not looked at.
const NOT_LOOKED_AT: &str = "positive_data_acceptance";

/// What is left out: the end of the key that the run uses, and what would send requests to addresses out there.
const LEFT_OUT: [&str; 5] = ["revoke_key", "rotate_key", "create_webhook", "change_webhook", "test_webhook"];

/// What is said by hand.
struct Wanted {
    /// How long it goes on.
    seconds: u32,
    /// A program that is built already, in place of one that is built now.
    program: Option<PathBuf>,
}

fn read(arguments: &[&str]) -> Option<Wanted> {
    let mut wanted = Wanted { seconds: SECONDS, program: None };
    for pair in arguments.chunks(2) {
        match pair {
            ["--seconds", number] => wanted.seconds = number.parse().ok().filter(|number| *number > 0)?,
            ["--program", path] => wanted.program = Some(std::path::absolute(path).ok()?),
            _ => return None,
        }
    }
    Some(wanted)
}

/// False when a promise is broken, and when it cannot be had.
pub fn command(root: &Path, arguments: &[&str]) -> bool {
    let Some(wanted) = read(arguments) else {
        eprintln!(
            "error: give --seconds and a number, --program and a path, or nothing for {SECONDS} seconds"
        );
        return false;
    };
    match look(root, &wanted) {
        Ok(passed) => passed,
        Err(reason) => {
            eprintln!("error: {reason}");
            false
        }
    }
}

/// As a part of CI: skipped, with the reason, only where Schemathesis cannot be had.
pub fn run(root: &Path) -> Tally {
    if let Err(reason) = setup::schemathesis(root) {
        println!("skipped  schemathesis: {reason}");
        return Tally { skipped: 1, ..Tally::default() };
    }
    if command(root, &[]) {
        Tally { passed: 1, ..Tally::default() }
    } else {
        Tally { failed: 1, ..Tally::default() }
    }
}

/// A platform that ends with its owner.
struct Platform {
    child: Child,
    folder: PathBuf,
}

impl Drop for Platform {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn look(root: &Path, wanted: &Wanted) -> Result<bool, String> {
    let program = setup::schemathesis(root)?;
    let countersign = match &wanted.program {
        Some(path) => path.clone(),
        None => build(root)?,
    };
    let folder = std::env::temp_dir().join(format!("countersign-schemathesis-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let (platform, base) = start(&countersign, folder)?;
    let key = fs::read_to_string(platform.folder.join("data/api-key"))
        .map_err(|error| format!("the platform's key cannot be read: {error}"))?;
    let bearer = format!("Authorization: Bearer {}", key.trim());
    let mut command = Command::new(&program);
    command
        .current_dir(&platform.folder)
        .arg("run")
        .arg(root.join("docs/openapi.json"))
        .args(["--url", &base, "--header", &bearer, "--checks", "all", "--exclude-checks", NOT_LOOKED_AT])
        .args(["--max-time", &wanted.seconds.to_string(), "--max-response-time", "10", "--workers", "1"])
        .args(["--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off"]);
    for operation in LEFT_OUT {
        command.args(["--exclude-operation-id", operation]);
    }
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    // Whatever was sent, the platform is there and the key is good: else nothing was tried behind that point.
    let mut after = Command::new("curl");
    after.args(["--silent", "--fail", "--max-time", "20", "--header", &bearer]);
    process::run_bounded(after.arg(format!("{base}/api/v1/domains")), Duration::from_secs(30))
        .map_err(|reason| format!("the platform does not answer any more: {reason}"))?;
    Ok(status.success())
}

fn build(root: &Path) -> Result<PathBuf, String> {
    let built = process::cargo(root).args(["build", "--quiet", "-p", "countersign"]).status();
    if built.is_ok_and(|status| status.success()) {
        Ok(root.join("target/debug/countersign"))
    } else {
        Err("countersign does not build".to_owned())
    }
}

/// Starts `countersign dev`, with the database that `DATABASE_URL` names if it does; where it is.
fn start(countersign: &Path, folder: PathBuf) -> Result<(Platform, String), String> {
    let mut command = Command::new(countersign);
    command
        .arg("dev")
        .args(["--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--log", "error"])
        .arg("--data")
        .arg(folder.join("data"))
        .current_dir(&folder)
        .env("COUNTERSIGN_PUBLIC_HTTP", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    for limit in ["READS", "WRITES", "SENDS", "VERIFIES", "CHECKS"] {
        command.env(format!("COUNTERSIGN_{limit}_PER_MINUTE"), "1000000");
    }
    let mut child = command.spawn().map_err(|error| format!("countersign dev does not start: {error}"))?;
    let output = child.stdout.take();
    let platform = Platform { child, folder };
    let (send, said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output?).lines().map_while(Result::ok) {
            drop(send.send(line));
        }
        Some(())
    });
    let deadline = Instant::now() + START;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line =
            said.recv_timeout(left).map_err(|_| "countersign dev does not say where it is".to_owned())?;
        if let Some(base) = address(&line) {
            return Ok((platform, base));
        }
    }
}

/// Where the platform is, in the line that says it.
fn address(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("Dashboard")?.trim();
    let base = rest.split_whitespace().next()?.trim_end_matches('/');
    base.starts_with("http://").then(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_by_hand_is_read_or_refused() {
        let wanted = read(&["--seconds", "5", "--program", "/bin/x"]).unwrap();
        assert_eq!((wanted.seconds, wanted.program.as_deref()), (5, Some(Path::new("/bin/x"))));
        assert_eq!(read(&[]).unwrap().seconds, SECONDS);
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["--second", "5"], &["5"]] {
            assert!(read(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn the_address_is_read_off_the_welcome() {
        assert_eq!(
            address("  Dashboard      http://127.0.0.1:8080/").as_deref(),
            Some("http://127.0.0.1:8080")
        );
        assert_eq!(address("  API            http://127.0.0.1:8080/api/v1"), None);
        assert_eq!(address(""), None);
    }
}
