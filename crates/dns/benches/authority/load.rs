//! dnsperf, and what it told.

use std::{net::SocketAddr, path::Path, process::Command};

pub struct Told {
    pub rate: f64,
    pub completed: f64,
    pub lost: f64,
    /// Nothing lost, and nothing but answers and "no such name" in the share that was asked for.
    pub is_as_asked: bool,
}

/// Asks for so many seconds. `None` where dnsperf is not installed.
pub fn dnsperf(server: SocketAddr, questions: &Path, seconds: usize) -> Option<Told> {
    let output = Command::new("dnsperf")
        .args(["-s", &server.ip().to_string(), "-p", &server.port().to_string(), "-d"])
        .arg(questions)
        .args(["-l", &seconds.to_string(), "-e", "-c", "8", "-T", "2", "-q", "128"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let lost = after("Queries lost:").unwrap_or_default();
    Some(Told {
        rate: after("Queries per second:").unwrap_or_default(),
        completed: after("Queries completed:").unwrap_or_default(),
        lost,
        is_as_asked: lost == 0.0 && codes(&text),
    })
}

/// `Response codes: NOERROR 95.00%, NXDOMAIN 5.00%`, by number of answers before the percentage.
fn codes(text: &str) -> bool {
    let Some(line) = text.lines().find_map(|line| line.trim().strip_prefix("Response codes:")) else {
        return false;
    };
    let names: Vec<&str> = line.split(',').filter_map(|code| code.split_whitespace().next()).collect();
    names.len() == 2 && names.contains(&"NOERROR") && names.contains(&"NXDOMAIN")
}
