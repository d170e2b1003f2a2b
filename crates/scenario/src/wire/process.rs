//! Real programs as children that end with us.

use std::{
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// How long a program may take until it says that it is ready.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A program on the `PATH`, or where system programs are.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Program {
    /// Starts a program and waits for the line in which it says that it is ready. What it says is kept in its
    /// `log`; an error has the end of it.
    pub fn start(command: &mut Command, ready: &'static str, log: &Path) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no stderr"))?;
        let program = Self(child);
        let (sender, lines) = mpsc::channel();
        let log = log.to_owned();
        // Goes on after the start, so that the program never waits for its log to be read.
        std::thread::spawn(move || {
            let mut all = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                all.push_str(&line);
                all.push('\n');
                drop(std::fs::write(&log, &all));
                drop(sender.send(line));
            }
        });
        let ends = Instant::now() + START_LIMIT;
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(ends.saturating_duration_since(Instant::now())) {
            if line.contains(ready) {
                return Ok(program);
            }
            said.push(line);
        }
        Err(io::Error::other(format!("{name} did not start:\n{}", said.join("\n"))))
    }
}
