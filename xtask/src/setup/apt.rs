//! Debian packages: lists fetched once, packages downloaded under a time limit and only then unpacked.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process;

const LISTS_LIMIT: Duration = Duration::from_secs(90);
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);
/// No network is used here; stopping dpkg half way would leave the machine in need of repair.
const UNPACK_LIMIT: Duration = Duration::from_mins(10);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Bounds on each connection, and on waiting for another apt at work.
const BOUNDS: &[&str] = &[
    "-o",
    "Acquire::http::Timeout=15",
    "-o",
    "Acquire::https::Timeout=15",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "DPkg::Lock::Timeout=60",
];

/// `apt-get` with the rights to use it, or the reason why it cannot be used.
pub struct Apt {
    /// What stands before `apt-get`: nothing for root, `sudo -n` for others.
    prefix: Result<&'static [&'static str], String>,
    /// What came of fetching the package lists; `None` before the first install.
    lists: Option<Lists>,
}

#[derive(Clone, Copy)]
enum Lists {
    /// Fetched, or refused at once: old lists, or those of the other sources, may still do.
    Usable,
    /// A network that swallows packets: each package would wait as long in vain.
    TimedOut,
}

impl Apt {
    pub fn new() -> Self {
        Self { prefix: prefix(), lists: None }
    }

    /// Installs a package without the packages it only recommends, and stops the service that it starts.
    pub fn install(&mut self, package: &str, service: Option<&str>) -> Result<(), String> {
        let prefix = self.prefix.clone().map_err(|reason| format!("{reason}; it is in package {package}"))?;
        if let Lists::TimedOut = *self.lists.get_or_insert_with(|| fetch_lists(prefix)) {
            return Err(format!("the package lists did not arrive within {} s", LISTS_LIMIT.as_secs()));
        }
        println!("Installing {package} with apt-get.");
        let install = ["install", "--yes", "--no-install-recommends", package];
        apt_get(prefix, DOWNLOAD_LIMIT, &[&install[..], &["--download-only"]].concat())?;
        apt_get(prefix, UNPACK_LIMIT, &[&install[..], &["--no-download"]].concat())?;
        service.map_or(Ok(()), |service| stop(prefix, service))
    }
}

/// Tests start servers of their own; one of the system's would be in their way, and nobody asked for it.
fn stop(prefix: &[&str], service: &str) -> Result<(), String> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    let words = [prefix, &["systemctl", "disable", "--now", service]].concat();
    process::run_bounded(Command::new(words[0]).args(&words[1..]), STOP_LIMIT)
        .map_err(|reason| format!("the service {service} was started and could not be stopped: {reason}"))
}

fn fetch_lists(prefix: &[&str]) -> Lists {
    println!("Fetching the package lists, for {} s at most.", LISTS_LIMIT.as_secs());
    let started = Instant::now();
    match apt_get(prefix, LISTS_LIMIT, &["update", "-o", "APT::Update::Error-Mode=any"]) {
        Ok(()) => Lists::Usable,
        Err(_) if started.elapsed() >= LISTS_LIMIT => Lists::TimedOut,
        Err(reason) => {
            println!("Some package lists could not be fetched ({reason}); going on with those at hand.");
            Lists::Usable
        }
    }
}

fn prefix() -> Result<&'static [&'static str], String> {
    if process::find("apt-get").is_none() {
        return Err("this machine has no apt-get; install it your system's way".to_owned());
    }
    let user = Command::new("id").arg("-u").output().map_err(|error| format!("cannot run id: {error}"))?;
    if user.stdout.trim_ascii() == b"0" {
        return Ok(&[]);
    }
    process::run_bounded(Command::new("sudo").args(["-n", "true"]), Duration::from_secs(10))
        .map(|()| &["sudo", "-n"][..])
        .map_err(|_| "installing needs root, or sudo without a password".to_owned())
}

/// Runs `apt-get`. `timeout` keeps the limit, since a user may not stop what sudo runs as root.
fn apt_get(prefix: &[&str], limit: Duration, arguments: &[&str]) -> Result<(), String> {
    let seconds = limit.as_secs().to_string();
    let program = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"];
    let bounded = ["timeout", "--kill-after=10", &seconds, "apt-get", "--quiet"];
    let words = [prefix, &program, &bounded, BOUNDS, arguments].concat();
    let started = Instant::now();
    let mut command = Command::new(words[0]);
    process::run_bounded(command.args(&words[1..]), limit + Duration::from_secs(30)).map_err(|reason| {
        if started.elapsed() >= limit {
            format!("apt-get was stopped after {seconds} s")
        } else {
            format!("apt-get: {reason}")
        }
    })
}
