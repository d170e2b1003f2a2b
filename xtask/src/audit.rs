//! `cargo xtask audit`: what comes from elsewhere, held to a few rules.
//!
//! `cargo metadata` → [`read`] → [`faults`], a pure function of packages and rules: licences that ask for nothing but a
//! notice, one registry with a checksum for each package, none of the libraries that we do not want, no second version of
//! a library that is not known here. Known faults of libraries are in a database that has to be fetched; where
//! `COUNTERSIGN_ADVISORIES` names a copy of it (the folder `advisory-db` of `RustSec`), they are looked at too, and where it
//! does not, the closing line says so. Whether a version was yanked is known to the registry alone, and not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use semver::{Version, VersionReq};
use serde_json::Value;

use crate::process;

/// The variable that names a copy of the database of known faults.
const ADVISORIES: &str = "COUNTERSIGN_ADVISORIES";

/// Licences that ask for nothing but a notice.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What is not to be in the program: there is one library for cryptography and TLS, and one clock.
const BANNED: &[(&str, &str)] = &[
    ("chrono", "time is jiff's"),
    ("native-tls", "TLS is rustls with aws-lc"),
    ("openssl", "cryptography is aws-lc's"),
    ("openssl-sys", "cryptography is aws-lc's"),
    ("ring", "cryptography is aws-lc's"),
    ("rsa", "cryptography is aws-lc's; this one leaks private keys by its time"),
];

/// Libraries that are in the program in more than one version, since others ask for that.
const SEVERAL: &[&str] = &[
    "base64",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "digest",
    "getrandom",
    "hashbrown",
    "rand",
    "rand_core",
    "serde_spanned",
    "sha2",
    "syn",
    "toml",
    "toml_datetime",
    "winnow",
];

/// The crate whose dependencies are the program.
const PROGRAM: &str = "countersign";

/// A package that the workspace is built of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// Where it comes from; nothing for our own.
    source: Option<String>,
    /// Whether it is in the program, or needed to build it; else only tests and tools have it.
    is_in_program: bool,
}

/// A breach. Its text says what to do.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Licence { package: String, licence: Option<String> },
    Source { package: String, source: String },
    Sources(BTreeSet<String>),
    NoChecksum { package: String },
    Banned { package: String, why: &'static str },
    Several { name: String, versions: Vec<String> },
    Superfluous(&'static str),
    Advisory { package: String, id: String, title: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Licence { package, licence: Some(licence) } => {
                write!(
                    f,
                    "{package} is licensed as `{licence}`, which asks for more than a notice, or is not known here"
                )
            }
            Self::Licence { package, licence: None } => {
                write!(f, "{package} does not say how it is licensed")
            }
            Self::Source { package, source } => {
                write!(
                    f,
                    "{package} comes from {source}; take it from the registry, so that it stays what it is"
                )
            }
            Self::Sources(sources) => {
                let sources: Vec<_> = sources.iter().map(String::as_str).collect();
                write!(f, "packages come from more than one registry: {}", sources.join(", "))
            }
            Self::NoChecksum { package } => write!(f, "{package} has no checksum in Cargo.lock"),
            Self::Banned { package, why } => write!(f, "{package} is not to be in the program: {why}"),
            Self::Several { name, versions } => write!(
                f,
                "{name} is in the program in the versions {}; ask for one, or add it to SEVERAL in xtask/src/audit.rs",
                versions.join(", ")
            ),
            Self::Superfluous(name) => {
                write!(f, "{name} is in the program once; take it out of SEVERAL in xtask/src/audit.rs")
            }
            Self::Advisory { package, id, title } => {
                write!(f, "{package} has a known fault: {id}, {title}; update it, or leave it out")
            }
        }
    }
}

/// Looks at everything and says what it found. False when something is to be done.
pub fn command(root: &Path) -> bool {
    match look(root) {
        Ok((found, summary)) => {
            for fault in &found {
                eprintln!("error: {fault}");
            }
            println!("Audit: {summary}; {} to mend.", found.len());
            found.is_empty()
        }
        Err(error) => {
            eprintln!("audit could not look: {error}");
            false
        }
    }
}

fn look(root: &Path) -> Result<(Vec<Fault>, String), String> {
    let packages = read(&metadata(root)?, &program(root)?)?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    let mut found = faults(&packages, &without_checksum(&lock));
    let foreign = packages.iter().filter(|package| package.source.is_some()).count();
    let summary = match std::env::var_os(ADVISORIES).map(PathBuf::from) {
        Some(folder) => {
            let advisories = advisories(&folder)?;
            found.extend(known_faults(&packages, &advisories));
            format!("{foreign} packages from elsewhere, {} known faults looked for", advisories.len())
        }
        None => format!(
            "{foreign} packages from elsewhere by licence, source and version; known faults were not looked for \
             ({ADVISORIES} names no copy of the database)"
        ),
    };
    Ok((found, summary))
}

/// What cargo says of all packages, for the machine that this runs on.
fn metadata(root: &Path) -> Result<Value, String> {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host()?];
    let printed =
        run(process::cargo(root).args(arguments)).map_err(|error| format!("cargo metadata: {error}"))?;
    serde_json::from_slice(&printed).map_err(|error| format!("cargo metadata is not JSON: {error}"))
}

/// What is in the program, or needed to build it, by name and version. `cargo metadata` does not tell: it turns on what the
/// tests of any crate ask for.
fn program(root: &Path) -> Result<BTreeSet<String>, String> {
    let arguments = ["tree", "--package", PROGRAM, "--edges", "normal,build", "--prefix", "none", "--locked"];
    let printed = run(process::cargo(root).args(arguments).args(["--target", &host()?]));
    let printed = printed.map_err(|error| format!("cargo tree: {error}"))?;
    Ok(in_tree(&String::from_utf8_lossy(&printed)))
}

/// Name and version of each line that `cargo tree` prints.
fn in_tree(printed: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    printed.lines().filter_map(line).collect()
}

/// Runs it; what it printed.
fn run(command: &mut std::process::Command) -> Result<Vec<u8>, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("it ended with {}", output.status)) }
}

/// The machine that this runs on, as the compiler calls it.
fn host() -> Result<String, String> {
    let about =
        run(std::process::Command::new("rustc").arg("-vV")).map_err(|error| format!("rustc: {error}"))?;
    let about = String::from_utf8_lossy(&about);
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc names no host".to_owned())
}

fn array<'a>(value: &'a Value, what: &str) -> Result<&'a Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("cargo metadata has no {what}"))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("expected a text, found {value}"))
}

/// Takes the packages out of what `cargo metadata` prints.
fn read(metadata: &Value, program: &BTreeSet<String>) -> Result<Vec<Package>, String> {
    let packages = array(&metadata["packages"], "packages")?;
    let package = |package: &Value| {
        Ok(Package {
            name: text(&package["name"])?.to_owned(),
            version: text(&package["version"])?.to_owned(),
            licence: package["license"].as_str().map(str::to_owned),
            source: package["source"].as_str().map(str::to_owned),
            is_in_program: program.contains(&format!(
                "{} {}",
                text(&package["name"])?,
                text(&package["version"])?
            )),
        })
    };
    packages.iter().map(package).collect()
}

/// Packages of a registry that have no checksum in Cargo.lock.
fn without_checksum(lock: &str) -> BTreeSet<String> {
    let stanzas = lock.split("[[package]]").skip(1);
    let has = |stanza: &str, key: &str| stanza.lines().any(|line| line.starts_with(&format!("{key} = ")));
    let value = |stanza: &str, key: &str| {
        let line = stanza.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")).map(str::to_owned));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    stanzas
        .filter(|stanza| has(stanza, "source") && !has(stanza, "checksum"))
        .map(|stanza| format!("{} {}", value(stanza, "name"), value(stanza, "version")))
        .collect()
}

/// What breaks the rules, in the order of the packages.
fn faults(packages: &[Package], without_checksum: &BTreeSet<String>) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut sources = BTreeSet::new();
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages {
        let Some(source) = &package.source else { continue };
        let called = format!("{} {}", package.name, package.version);
        if source.starts_with("registry+") || source.starts_with("sparse+") {
            sources.insert(source.clone());
        } else {
            found.push(Fault::Source { package: called.clone(), source: source.clone() });
        }
        if !package.licence.as_deref().is_some_and(is_permissive) {
            found.push(Fault::Licence { package: called.clone(), licence: package.licence.clone() });
        }
        if without_checksum.contains(&called) {
            found.push(Fault::NoChecksum { package: called.clone() });
        }
        if !package.is_in_program {
            continue;
        }
        if let Some((_, why)) = BANNED.iter().find(|(name, _)| *name == package.name) {
            found.push(Fault::Banned { package: called, why });
        }
        versions.entry(&package.name).or_default().push(package.version.clone());
    }
    if sources.len() > 1 {
        found.push(Fault::Sources(sources));
    }
    for known in SEVERAL {
        if versions.get(known).is_none_or(|versions| versions.len() < 2) {
            found.push(Fault::Superfluous(known));
        }
    }
    for (name, versions) in versions {
        if versions.len() > 1 && !SEVERAL.contains(&name) {
            found.push(Fault::Several { name: name.to_owned(), versions });
        }
    }
    found
}

/// Whether an expression (SPDX 2.1, annex D) can be met with permissive licences alone.
fn is_permissive(expression: &str) -> bool {
    // Before there were expressions, a stroke stood for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at);
    met == Some(true) && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut met = all_of(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at)?;
    }
    Some(met)
}

fn all_of(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut met = one(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at)?;
    }
    Some(met)
}

fn one(words: &[&str], at: &mut usize) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    if word == "(" {
        let met = any_of(words, at)?;
        *at += 1;
        return (words.get(*at - 1) == Some(&")")).then_some(met);
    }
    if words.get(*at) == Some(&"WITH") {
        let whole = format!("{word} WITH {}", words.get(*at + 1)?);
        *at += 2;
        return Some(LICENCES.contains(&whole.as_str()));
    }
    Some(LICENCES.contains(&word))
}

/// A known fault of a library.
#[derive(Debug, PartialEq, Eq)]
struct Advisory {
    id: String,
    package: String,
    title: String,
    /// Versions without it.
    good: Vec<VersionReq>,
}

/// Reads a copy of the database: `crates/NAME/RUSTSEC-….md`, each with a head in TOML.
fn advisories(folder: &Path) -> Result<Vec<Advisory>, String> {
    let at = |path: &Path, error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let crates = folder.join("crates");
    let mut found = Vec::new();
    for of_crate in fs::read_dir(&crates).map_err(|error| at(&crates, &error))? {
        let of_crate = of_crate.map_err(|error| at(&crates, &error))?.path();
        for file in fs::read_dir(&of_crate).map_err(|error| at(&of_crate, &error))? {
            let path = file.map_err(|error| at(&of_crate, &error))?.path();
            let content = fs::read_to_string(&path).map_err(|error| at(&path, &error))?;
            found.extend(advisory(&content).map_err(|error| at(&path, &error))?);
        }
    }
    if found.is_empty() {
        return Err(format!("{} has no advisories", crates.display()));
    }
    Ok(found)
}

/// Reads one. Nothing where it was taken back, or tells of something else than a fault.
fn advisory(content: &str) -> Result<Option<Advisory>, String> {
    let head = content.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
    let head: toml::Table = head.ok_or("has no head")?.parse().map_err(|error| format!("{error}"))?;
    let about = head.get("advisory").and_then(toml::Value::as_table).ok_or("has no [advisory]")?;
    if about.contains_key("withdrawn") || about.contains_key("informational") {
        return Ok(None);
    }
    let word = |key: &str| about.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut good = Vec::new();
    for key in ["patched", "unaffected"] {
        let list =
            head.get("versions").and_then(|versions| versions.get(key)).and_then(toml::Value::as_array);
        for version in list.into_iter().flatten().filter_map(toml::Value::as_str) {
            good.push(VersionReq::parse(version).map_err(|error| format!("{version}: {error}"))?);
        }
    }
    let title = content.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("see there").to_owned();
    Ok(Some(Advisory {
        id: word("id").ok_or("has no id")?,
        package: word("package").ok_or("names no package")?,
        title,
        good,
    }))
}

/// The packages that have one of these.
fn known_faults(packages: &[Package], advisories: &[Advisory]) -> Vec<Fault> {
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package.source.is_some()) {
        let Ok(version) = Version::parse(&package.version) else { continue };
        for advisory in advisories.iter().filter(|advisory| advisory.package == package.name) {
            if !advisory.good.iter().any(|good| good.matches(&version)) {
                let (id, title) = (advisory.id.clone(), advisory.title.clone());
                found.push(Fault::Advisory { package: format!("{} {version}", package.name), id, title });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some("MIT".to_owned()),
            source: Some("registry+https://registry.example".to_owned()),
            is_in_program: true,
        }
    }

    /// What is found beside what `SEVERAL` has too many of here.
    fn found(packages: &[Package]) -> Vec<String> {
        let all = faults(packages, &BTreeSet::from(["b 1.0.0".to_owned()]));
        let kept = all.iter().filter(|fault| !matches!(fault, Fault::Superfluous(_)));
        kept.map(ToString::to_string).collect()
    }

    #[test]
    fn expressions_of_licences_are_understood() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert!(is_permissive(good), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT MIT",
            "MIT OR",
            "",
            "GPL-3.0 WITH LLVM-exception",
            ")",
        ] {
            assert!(!is_permissive(bad), "{bad}");
        }
    }

    #[test]
    fn each_rule_names_what_breaks_it() {
        let good =
            [package("a", "1.0.0"), Package { source: None, licence: None, ..package("own", "1.0.0") }];
        assert_eq!(found(&good), Vec::<String>::new());
        let of_git = Package { source: Some("git+https://git.example/a".into()), ..package("a", "1.0.0") };
        assert!(found(&[of_git])[0].contains("comes from git+"));
        let other =
            Package { source: Some("registry+https://other.example".into()), ..package("a", "1.0.0") };
        assert!(found(&[other, package("c", "1.0.0")])[0].contains("more than one registry"));
        for licence in [None, Some("GPL-3.0".to_owned())] {
            let bad = Package { licence, is_in_program: false, ..package("a", "1.0.0") };
            assert!(found(&[bad])[0].contains("licens"), "tools are looked at too");
        }
        assert!(found(&[package("b", "1.0.0")])[0].contains("no checksum"));
        assert!(found(&[package("openssl", "1.0.0")])[0].contains("aws-lc"));
        assert!(found(&[package("a", "1.0.0"), package("a", "2.0.0")])[0].contains("1.0.0, 2.0.0"));
        let of_tests = Package { is_in_program: false, ..package("ring", "1.0.0") };
        assert!(found(&[of_tests]).is_empty());
        assert!(faults(&good, &BTreeSet::new()).iter().any(|fault| matches!(fault, Fault::Superfluous(_))));
    }

    #[test]
    fn what_only_tests_need_is_not_in_the_program() {
        let printed = "countersign v0.1.0 (/somewhere/crates/countersign)\na v1.0.0\nmacros v2.0.0 (proc-macro)\na v1.0.0 (*)\n\n";
        let program = in_tree(printed);
        assert_eq!(program.iter().collect::<Vec<_>>(), ["a 1.0.0", "countersign 0.1.0", "macros 2.0.0"]);
        let of = |name: &str| json!({"name": name, "version": "1.0.0", "source": "registry+x"});
        let read = read(&json!({"packages": [of("a"), of("b")]}), &program).unwrap();
        assert_eq!(read.iter().map(|package| package.is_in_program).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn packages_of_a_registry_have_a_checksum() {
        let lock = "[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                    source = \"registry+x\"\nchecksum = \"00\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n\
                    source = \"registry+x\"\n";
        assert_eq!(without_checksum(lock), BTreeSet::from(["b 2.0.0".to_owned()]));
    }

    #[test]
    fn known_faults_are_found_by_version() {
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"a\"\n\n[versions]\n\
                    patched = [\">= 1.2.3, < 2.0.0\", \">= 2.1.0\"]\nunaffected = [\"< 1.0.0\"]\n```\n\n# It leaks\n\nWords.\n";
        let advisories = vec![advisory(text).unwrap().unwrap()];
        let has = |version: &str| !known_faults(&[package("a", version)], &advisories).is_empty();
        for bad in ["1.0.0", "1.2.2", "2.0.5"] {
            assert!(has(bad), "{bad}");
        }
        for good in ["0.9.0", "1.2.3", "2.1.0", "3.0.0"] {
            assert!(!has(good), "{good}");
        }
        let told = known_faults(&[package("a", "1.0.0")], &advisories)[0].to_string();
        assert!(told.contains("RUSTSEC-2020-0001, It leaks"), "{told}");
        for none in ["withdrawn = \"2021-01-01\"", "informational = \"unmaintained\""] {
            let text = text.replace("package = ", &format!("{none}\npackage = "));
            assert_eq!(advisory(&text).unwrap(), None);
        }
        assert!(advisory("nothing").is_err());
    }
}
