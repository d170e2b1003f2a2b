//! `cargo xtask fuzz [TARGET] [--seconds N]`: libFuzzer on the stable toolchain.
//!
//! What `cargo fuzz build --sanitizer none` does is done here directly: the compiler's coverage pass is asked for by
//! flags that stable accepts, so neither a nightly toolchain nor another tool is needed. Sanitizers are left out:
//! there is no unsafe code of ours for them to look at. Overflow checks and debug assertions are on.
//!
//! New inputs go to `target/fuzz/corpus/<target>`, the committed ones in `fuzz/corpus/<target>` are read, and an
//! input that breaks something is left in `target/fuzz/artifacts/<target>`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process;

/// The names of the targets, which are those of `fuzz/fuzz_targets/*.rs`.
const TARGETS: &[&str] = &["dns_answers", "spf", "dkim", "dmarc", "templates"];

/// How long each target runs when nobody says.
const SECONDS: u32 = 600;

/// Coverage by counters and comparisons, which libFuzzer is guided by.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs one target, or all, one after the other. False when an input broke something, or nothing could be built.
pub fn command(root: &Path, arguments: &[&str]) -> bool {
    let (targets, seconds) = match read(arguments) {
        Ok(read) => read,
        Err(problem) => {
            eprintln!("error: {problem}");
            return false;
        }
    };
    let Some(triple) = host_triple() else {
        eprintln!("error: rustc does not say what machine it is for");
        return false;
    };
    build(root, &triple, &targets) && targets.iter().all(|target| run(root, &triple, target, seconds))
}

fn read<'a>(arguments: &[&'a str]) -> Result<(Vec<&'a str>, u32), String> {
    let mut targets = Vec::new();
    let mut seconds = SECONDS;
    let mut words = arguments.iter();
    while let Some(&word) = words.next() {
        if word == "--seconds" {
            let number = words.next().ok_or("--seconds needs a number")?;
            seconds = number.parse().map_err(|_| format!("\"{number}\" is no number of seconds"))?;
        } else if TARGETS.contains(&word) {
            targets.push(word);
        } else {
            return Err(format!("there is no target \"{word}\"; there are {}", TARGETS.join(", ")));
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    Ok((targets, seconds))
}

/// Naming the machine keeps the flags from build scripts and macros, which run here.
fn host_triple() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

fn build(root: &Path, triple: &str, targets: &[&str]) -> bool {
    let mut command = process::cargo(root);
    command.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    command.args(["--target-dir", "target/fuzz", "--target", triple]).env("RUSTFLAGS", FLAGS);
    for target in targets {
        command.args(["--bin", target]);
    }
    command.status().is_ok_and(|status| status.success())
}

fn run(root: &Path, triple: &str, target: &str, seconds: u32) -> bool {
    let fuzz = root.join("target/fuzz");
    let found = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    if let Err(error) = fs::create_dir_all(&found).and_then(|()| fs::create_dir_all(&artifacts)) {
        eprintln!("error: cannot make folders in {}: {error}", fuzz.display());
        return false;
    }
    println!("\n== {target}, {seconds} s");
    let mut command = Command::new(fuzz.join(triple).join("release").join(target));
    command.arg(&found);
    let committed = root.join("fuzz/corpus").join(target);
    if committed.is_dir() {
        command.arg(committed);
    }
    let dictionary = root.join("fuzz/dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.args(["-max_len=8192", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()));
    let passed = command.status().is_ok_and(|status| status.success());
    if !passed {
        eprintln!("error: {target} broke; the input is in {}", artifacts.display());
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_seconds_in_any_order() {
        assert_eq!(read(&[]).unwrap(), (TARGETS.to_vec(), SECONDS));
        assert_eq!(read(&["--seconds", "5", "spf"]).unwrap(), (vec!["spf"], 5));
        assert_eq!(read(&["dkim", "--seconds", "7"]).unwrap(), (vec!["dkim"], 7));
        assert!(read(&["--seconds"]).is_err() && read(&["--seconds", "x"]).is_err());
        assert!(read(&["smtp"]).unwrap_err().contains("templates"));
    }

    #[test]
    fn the_targets_are_those_there_are() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
            .collect();
        names.sort();
        let mut targets = TARGETS.to_vec();
        targets.sort_unstable();
        assert_eq!(names, targets);
    }
}
