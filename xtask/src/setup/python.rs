//! Python tools in an environment of their own: `dkimverify` from dkimpy, with dnspython to ask our DNS.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::apt::Apt;
use crate::process;

const PACKAGES: &[&str] = &["dkimpy>=1.1,<2", "dnspython>=2.6,<3"];
const VENV_LIMIT: Duration = Duration::from_mins(1);
const PIP_LIMIT: Duration = Duration::from_mins(3);

/// `dkimverify` in `venv`, when its Python finds the modules it needs (it may have gone with a system upgrade).
pub fn find(venv: &Path) -> Option<PathBuf> {
    let verifier = venv.join("bin/dkimverify");
    let loads = || run(venv.join("bin/python"), VENV_LIMIT, &["-c", "import dkim, dns.resolver"]).is_ok();
    (verifier.is_file() && loads()).then_some(verifier)
}

/// A program of another package in `venv`.
pub fn find_program(venv: &Path, name: &str) -> Option<PathBuf> {
    Some(venv.join("bin").join(name)).filter(|program| program.is_file())
}

/// Adds another package to the environment, which has to be there.
pub fn add(venv: &Path, package: &str) -> Result<(), String> {
    println!("Installing {package} into {}.", venv.display());
    run(venv.join("bin/python"), PIP_LIMIT, &["-m", "pip", "install", "--quiet", "--no-input", package])
}

/// Makes the environment anew and installs the packages into it.
pub fn install(venv: &Path, apt: &mut Apt) -> Result<(), String> {
    println!("Installing dkimpy and dnspython into {}.", venv.display());
    create(venv, apt)?;
    let pip = ["--quiet", "--no-input", "--disable-pip-version-check", "--timeout", "15", "--retries", "1"]
        .as_slice();
    let python = venv.join("bin/python");
    let packages = [&["install"], PACKAGES].concat();
    if venv.join("bin/pip").is_file() {
        return run(python, PIP_LIMIT, &[&["-m", "pip"], pip, &packages].concat());
    }
    let python = python.to_string_lossy();
    run("python3", PIP_LIMIT, &[&["-m", "pip", "--python", &python], pip, &packages].concat())
}

/// Debian's Python lacks the part of `venv` that brings pip: its package is tried, then an environment without
/// pip, which the system's pip (if there is one) can fill.
fn create(venv: &Path, apt: &mut Apt) -> Result<(), String> {
    let folder = venv.to_string_lossy();
    let make = |more: &[&str]| {
        // What an attempt that failed left behind would look like an environment to the next.
        if venv.exists() {
            fs::remove_dir_all(venv).map_err(|error| format!("cannot remove {folder}: {error}"))?;
        }
        run("python3", VENV_LIMIT, &[&["-m", "venv"], more, &[&folder]].concat())
    };
    if make(&[]).is_ok() {
        return Ok(());
    }
    let package = apt.install("python3-venv", None).and_then(|()| make(&[]));
    package.or_else(|reason| {
        make(&["--without-pip"]).map_err(|bare| format!("no Python environment: {reason}; {bare}"))
    })
}

fn run(program: impl AsRef<OsStr>, limit: Duration, arguments: &[&str]) -> Result<(), String> {
    process::run_bounded(Command::new(program).args(arguments), limit)
}
