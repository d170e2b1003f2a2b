//! `cargo xtask setup`: the real programs the tests talk to, got on a bare Debian machine.
//!
//! Each part is looked for, then installed when it is not there, then looked for again: only what is seen counts
//! as present. A part that cannot be had is a line in the closing table, never a failure, because the tests that
//! need it report themselves as skipped. Every step has a time limit, so a machine without network gets through.
//!
//! Python tools live in `target/tools/venv`, nothing is put into the system's Python. Other systems than Debian
//! get no packages installed; what is on their `PATH` is used.

mod apt;
mod python;
mod spf_suite;

use std::path::{Path, PathBuf};

use crate::process;
use apt::Apt;

/// A program some tests need.
struct Part {
    name: &'static str,
    used_for: &'static str,
    state: State,
}

enum State {
    /// Was there before.
    Found(PathBuf),
    Installed(PathBuf),
    /// With the reason.
    Missing(String),
}

/// A program that comes with a Debian package.
struct Program {
    name: &'static str,
    package: &'static str,
    /// The service that the package starts at once, and that nobody here wants.
    service: Option<&'static str>,
    used_for: &'static str,
}

impl Program {
    const fn new(name: &'static str, package: &'static str, used_for: &'static str) -> Self {
        Self { name, package, service: None, used_for }
    }

    const fn with_service(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }
}

const PROGRAMS: &[Program] = &[
    Program::new("dig", "dnsutils", "asking our DNS server with a client of others"),
    Program::new("unbound", "unbound", "resolving the zones of scenarios").with_service("unbound"),
    Program::new("knotd", "knot", "serving and signing the zones of scenarios").with_service("knot"),
    Program::new("named", "bind9", "taking updates (RFC 2136)").with_service("named"),
    Program::new("nsd", "nsd", "serving the domains of `cargo xtask bench check`").with_service("nsd"),
    Program::new("dnsperf", "dnsperf", "a peer in that bench"),
    Program::new("named-checkzone", "bind9-utils", "loading exported zone lines"),
    Program::new("unshare", "util-linux", "a network of its own for each scenario"),
    Program::new("ip", "iproute2", "the addresses in that network"),
    Program::new("chromium", "chromium", "dashboard and setup pages in a real browser"),
    Program::new("chromedriver", "chromium-driver", "steering that browser"),
];

/// What holds the API to its document.
const SCHEMATHESIS: &str = "schemathesis>=4.32,<5";

/// What loads exported records; the last one is what is looked for.
const EXPORT_READERS: &[&str] = &["python-hcl2>=8,<9", "cfn-lint>=1,<2", "octodns>=1.10,<2"];

/// Where tools of our own go. Tests get it as `COUNTERSIGN_TOOLS`.
pub fn tools(root: &Path) -> PathBuf {
    root.join("target/tools")
}

/// Gets every part that can be had and prints what came of it.
pub fn run(root: &Path) {
    let mut apt = Apt::new();
    let mut parts: Vec<Part> = PROGRAMS
        .iter()
        .map(|program| Part {
            name: program.name,
            used_for: program.used_for,
            state: obtain(|| process::find(program.name), || apt.install(program.package, program.service)),
        })
        .collect();
    parts.push(Part {
        name: "postgres",
        used_for: "the tests of the store on PostgreSQL",
        state: obtain(postgres, || apt.install("postgresql", Some("postgresql"))),
    });
    parts.push(Part {
        name: "pdns_server",
        used_for: "writing records by the API of PowerDNS",
        state: obtain(powerdns, || {
            apt.install("pdns-backend-sqlite3", None)?;
            apt.install("pdns-server", Some("pdns"))
        }),
    });
    let venv = tools(root).join("venv");
    parts.push(Part {
        name: "dkimverify",
        used_for: "checking our DKIM signatures with a verifier of others",
        state: obtain(|| python::find(&venv), || python::install(&venv, &mut apt)),
    });
    parts.push(Part {
        name: "checkdmarc",
        used_for: "a peer in `cargo xtask bench check`",
        state: obtain(
            || python::find_program(&venv, "checkdmarc"),
            || python::add(&venv, "checkdmarc>=6,<7"),
        ),
    });
    parts.push(Part {
        name: "moto_server",
        used_for: "the wire of Route 53",
        state: obtain(
            || python::find_program(&venv, "moto_server"),
            || python::add(&venv, "moto[server]>=5.2,<6"),
        ),
    });
    parts.push(Part {
        name: "octodns",
        used_for: "loading exported records with octoDNS, an HCL reader and cfn-lint",
        state: obtain(
            || python::find_program(&venv, "octodns-validate"),
            || EXPORT_READERS.iter().try_for_each(|package| python::add(&venv, package)),
        ),
    });
    parts.push(Part {
        name: "schemathesis",
        used_for: "holding the API to its OpenAPI document",
        state: obtain(|| python::find_program(&venv, "st"), || python::add(&venv, SCHEMATHESIS)),
    });
    let suite = tools(root);
    parts.push(Part {
        name: "rfc7208-tests",
        used_for: "the published SPF test suite (from the source of pyspf)",
        state: obtain(|| spf_suite::find(&suite), || spf_suite::install(&suite, &venv)),
    });
    parts.push(Part {
        name: "cargo-nextest",
        used_for: "running the tests (optional: without it `cargo test` does)",
        state: process::find("cargo-nextest").map_or_else(
            || State::Missing("not installed by setup; `cargo install cargo-nextest --locked`".to_owned()),
            State::Found,
        ),
    });
    print!("{}", table(&parts));
}

/// Gets Schemathesis alone; the error is the reason why it cannot be had.
pub fn schemathesis(root: &Path) -> Result<PathBuf, String> {
    let venv = tools(root).join("venv");
    let install = || {
        if !venv.join("bin/python").is_file() {
            python::install(&venv, &mut Apt::new())?;
        }
        python::add(&venv, SCHEMATHESIS)
    };
    match obtain(|| python::find_program(&venv, "st"), install) {
        State::Found(path) | State::Installed(path) => Ok(path),
        State::Missing(reason) => Err(reason),
    }
}

/// Gets the published SPF test suite alone; the error is the reason why it cannot be had.
pub fn spf_suite(root: &Path) -> Result<PathBuf, String> {
    let tools = tools(root);
    match obtain(|| spf_suite::find(&tools), || spf_suite::install(&tools, &tools.join("venv"))) {
        State::Found(path) | State::Installed(path) => Ok(path),
        State::Missing(reason) => Err(reason),
    }
}

/// PowerDNS with the backend that the tests use.
fn powerdns() -> Option<PathBuf> {
    let schema = Path::new("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql");
    process::find("pdns_server").filter(|_| schema.is_file())
}

/// The PostgreSQL server, which Debian keeps apart for each version.
fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut servers: Vec<PathBuf> = versions.map(|version| version.path().join("bin/postgres")).collect();
    servers.sort();
    servers.into_iter().rfind(|server| server.is_file())
}

/// Looks, installs if need be, and looks again.
fn obtain(look: impl Fn() -> Option<PathBuf>, install: impl FnOnce() -> Result<(), String>) -> State {
    if let Some(path) = look() {
        return State::Found(path);
    }
    match install() {
        Ok(()) => look().map_or_else(
            || State::Missing("installed without error, but it does not run from there".to_owned()),
            State::Installed,
        ),
        Err(reason) => State::Missing(reason),
    }
}

/// Name, state and use in columns; the path or the reason on a line of its own.
fn table(parts: &[Part]) -> String {
    let head = format!("\n{:<14} {:<10} used for\n", "part", "state");
    let rows = parts.iter().map(|part| {
        let (state, detail) = match &part.state {
            State::Found(path) => ("found", path.display().to_string()),
            State::Installed(path) => ("installed", path.display().to_string()),
            State::Missing(reason) => ("missing", reason.clone()),
        };
        format!("{:<14} {state:<10} {}\n{:<14} {detail}\n", part.name, part.used_for, "")
    });
    let missing = parts.iter().filter(|part| matches!(part.state, State::Missing(_))).count();
    let foot = match missing {
        0 => "\n".to_owned(),
        _ => format!("\n{missing} missing: a test that needs a missing part reports itself as skipped.\n\n"),
    };
    [head, rows.collect(), foot].concat()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_there_is_not_installed_again() {
        let state = obtain(|| Some("/usr/bin/dig".into()), || panic!("must not install"));
        assert!(matches!(state, State::Found(path) if path == Path::new("/usr/bin/dig")));
    }

    #[test]
    fn only_what_is_seen_afterwards_counts_as_installed() {
        let there = Cell::new(false);
        let look = || there.get().then(|| PathBuf::from("/usr/bin/dig"));
        let state = obtain(look, || {
            there.set(true);
            Ok(())
        });
        assert!(matches!(state, State::Installed(_)));
        assert!(matches!(obtain(|| None, || Ok(())), State::Missing(_)));
    }

    #[test]
    fn the_table_says_why_a_part_is_missing() {
        let state = obtain(|| None, || Err("no network".to_owned()));
        let text = table(&[Part { name: "dig", used_for: "asking", state }]);
        assert!(text.contains("dig            missing    asking\n               no network\n"), "{text}");
        assert!(text.contains("1 missing: "), "{text}");
    }
}
