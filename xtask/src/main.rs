//! Project tasks: `cargo xtask <command>`.
//!
//! One file per command. `setup` gets the real programs the tests talk to, `test` runs everything that can
//! pass or fail, `check-layers` holds the crates to the table in the architecture, and `ci` is all of it in
//! the order in which a mistake shows soonest. Nothing here is part of the product, and nothing here is needed
//! to build or run it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks on its streams")]

mod audit;
mod ci;
mod fuzz;
mod layers;
mod process;
mod schemathesis;
mod setup;
mod spf_suite;
mod tally;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Project tasks.

  cargo xtask setup          get the programs the tests talk to (dig, Chromium, a DKIM verifier);
                             what cannot be had is named, and its tests report themselves skipped
  cargo xtask test           setup, then every test, then the tour; the last line is
                             `N passed, N failed, N skipped`
  cargo xtask spf-suite      the published RFC 7208 test suite, every case
  cargo xtask schemathesis   what docs/openapi.json promises, held against a running platform;
                             [--seconds N] [--program PATH]
  cargo xtask fuzz           every fuzz target for ten minutes; fuzz [TARGET] [--seconds N]
  cargo xtask check-layers   fail when a crate imports one it may not import
  cargo xtask bench          the numbers, each beside what bounds it, in one run (release build)
  cargo xtask bench million  what a million domains take, and what listing and claiming cost among them
  cargo xtask bench service  the numbers of the service: reading, adding domains, nodes
  cargo xtask bench publish  from a pasted token to a verified domain, against the strict Cloudflare
  cargo xtask bench check    the numbers of checking very many domains, beside a bare loop and its peers
  cargo xtask bench authority  the numbers of the name server, beside Knot and NSD
  cargo xtask audit          licences, sources and versions of what comes from elsewhere; known faults where
                             COUNTERSIGN_ADVISORIES names a copy of the RustSec database
  cargo xtask ci             format, layers, audit, lints, generated files, then test: what CI runs

Examples

  cargo xtask ci                          before you push
  cargo test -p diagnosis spf             the tests of one crate that have `spf` in their name
  INSTA_UPDATE=always cargo test -p web   accept new golden files, then read the diff in git
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let passed = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            true
        }
        ["setup"] => {
            setup::run(&root);
            true
        }
        ["test"] => test::command(&root),
        ["audit"] => audit::command(&root),
        ["check-layers"] => layers::command(&root),
        ["fuzz", arguments @ ..] => fuzz::command(&root, arguments),
        ["schemathesis", arguments @ ..] => schemathesis::command(&root, arguments),
        ["spf-suite"] => spf_suite::command(&root),
        ["bench"] => bench(&root, "countersign", "numbers"),
        ["bench", "million"] => bench(&root, "store", "million"),
        ["bench", "service"] => bench(&root, "countersign", "service"),
        ["bench", "publish"] => bench(&root, "countersign", "publish"),
        ["bench", "check"] => bench(&root, "dns", "check"),
        ["bench", "authority"] => bench(&root, "dns", "authority"),
        ["ci"] => ci::command(&root),
        _ => {
            eprint!("No such task: `{}`.\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a bench; its output is the result.
fn bench(root: &Path, package: &str, name: &str) -> bool {
    let mut command = process::cargo(root);
    command.args(["bench", "--package", package, "--bench", name]);
    command.status().is_ok_and(|status| status.success())
}

/// The folder of the workspace, wherever cargo was called from.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
