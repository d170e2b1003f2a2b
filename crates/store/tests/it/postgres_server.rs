//! A PostgreSQL server of the test's own, gone with it. Needs nothing but the standard library, so that the tests of
//! other crates include this file too.
//!
//! It listens at a socket in its own folder and at no port. Its databases sort by the rules of a language unless a
//! column says otherwise, as those of most installations do.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Where Debian puts the programs of the server: the newest version that is there.
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("postgres").is_file() && programs.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs)
}

/// A running server. Dropping it ends it and deletes its folder.
pub struct Server {
    /// Where the server's programs are.
    pub programs: PathBuf,
    /// The folder with its data and its socket.
    pub folder: PathBuf,
    /// The user that it runs as.
    pub user: Option<(u32, u32)>,
    /// The server.
    pub process: Child,
}

impl Server {
    /// Starts a server, or says, in a way that the test runner counts, that `test` could not be run.
    pub fn start_or_skip(test: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            skip(test, "no postgres (Debian package postgresql)");
            return None;
        };
        // Nothing here has to outlive the machine; tests of what survives a crash kill processes, not the power.
        Some(Self::start(programs, &["fsync=off", "shared_buffers=32MB"]))
    }

    /// Starts a server with these settings.
    pub fn start(programs: PathBuf, settings: &[&str]) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("countersign-pg-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let user = unprivileged_user();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        let mut initdb = command(&programs.join("initdb"), &folder, user);
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]);
        initdb.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]);
        run(initdb);
        let process = launch(&programs, &folder, user, settings);
        Self { programs, folder, user, process }
    }

    /// Makes an empty database; its address.
    pub fn database(&self, name: &str) -> String {
        let mut createdb = command(&self.programs.join("createdb"), &self.folder, self.user);
        createdb.arg("-h").arg(&self.folder).args(["-U", "postgres", "--template=template0", name]);
        run(createdb);
        let socket = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{name}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = command(&self.programs.join("pg_ctl"), &self.folder, self.user);
        stop.args(["stop", "-m", "immediate", "-s", "-D"]).arg(self.folder.join("data"));
        if !stop.status().is_ok_and(|status| status.success()) {
            drop(self.process.kill());
        }
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Starts the server in its folder, and waits until it takes connections.
pub fn launch(programs: &Path, folder: &Path, user: Option<(u32, u32)>, settings: &[&str]) -> Child {
    let mut postgres = command(&programs.join("postgres"), folder, user);
    postgres.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-c", "listen_addresses="]);
    postgres.args(["-c", "max_connections=200"]);
    postgres.args(settings.iter().flat_map(|setting| ["-c", *setting]));
    postgres.args(["-c", "log_min_messages=warning"]);
    let mut process = postgres.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(process.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    // Goes on after the start, so that the server never waits for its log to be read.
    std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    let mut log = Vec::new();
    let is_ready = loop {
        match lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) if line.contains("ready to accept connections") => break true,
            Ok(line) => log.push(line),
            Err(_) => break false,
        }
    };
    if !is_ready {
        drop(process.kill());
        drop(process.wait());
        panic!("the PostgreSQL server did not start: {log:#?}");
    }
    process
}

/// One of the server's programs, as its user.
pub fn command(program: &Path, folder: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).env("TZ", "UTC");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Runs a program to its end, which must be good.
pub fn run(mut command: Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", command.get_program().display());
}

/// The server refuses to run as root: then it runs as the user that came with the package, or as nobody.
fn unprivileged_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).unwrap_or((65534, 65534)))
}

fn skip(test: &str, why: &str) {
    drop(writeln!(std::io::stdout(), "skipped: {why}"));
    if let Some(tools) = std::env::var_os("COUNTERSIGN_TOOLS") {
        let path = PathBuf::from(tools).join("skipped.log");
        if let Ok(mut file) = fs::OpenOptions::new().append(true).create(true).open(path) {
            drop(writeln!(file, "{test}: {why}"));
        }
    }
}
