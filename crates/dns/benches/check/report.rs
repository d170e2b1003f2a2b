//! What a process used, told from the child to the parent in lines of `name=value`.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::Instant,
};

/// Time and CPU since a point, of this process alone.
pub struct Usage {
    started: Instant,
    cpu: i64,
}

/// Microseconds of CPU, in user code and in the kernel.
fn cpu(who: UsageWho) -> i64 {
    let usage = getrusage(who).unwrap();
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}

impl Usage {
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu(UsageWho::RUSAGE_SELF) }
    }

    pub fn end(&self, queries: u64, more: &[(&str, String)]) {
        let seconds = self.started.elapsed().as_secs_f64();
        println!("seconds={seconds}");
        println!("cpu={}", cpu(UsageWho::RUSAGE_SELF) - self.cpu);
        println!("queries={queries}");
        for (name, value) in more {
            println!("{name}={value}");
        }
    }
}

/// What a child told.
#[derive(Debug, Clone, Default)]
pub struct Told(BTreeMap<String, String>);

impl Told {
    /// Runs this program again as a client in a process of its own.
    pub fn by(arguments: &[&str]) -> Self {
        let own = std::env::current_exe().unwrap();
        let output =
            Command::new(own).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{arguments:?} failed");
        Self::read(&String::from_utf8_lossy(&output.stdout))
    }

    pub fn read(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A program of others, with the CPU that it used and what it printed.
    pub fn by_program(command: &mut Command) -> Option<(Self, String)> {
        let (started, before) = (Instant::now(), cpu(UsageWho::RUSAGE_CHILDREN));
        let output = command.stdin(Stdio::null()).output().ok()?;
        let mut told = Self::default();
        told.0.insert("seconds".into(), started.elapsed().as_secs_f64().to_string());
        told.0.insert("cpu".into(), (cpu(UsageWho::RUSAGE_CHILDREN) - before).to_string());
        output.status.success().then(|| (told, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    pub fn number(&self, name: &str) -> f64 {
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
    }

    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn rate(&self) -> f64 {
        self.number("queries") / self.number("seconds")
    }

    pub fn cpu_per_query(&self) -> f64 {
        self.number("cpu") / self.number("queries")
    }
}
