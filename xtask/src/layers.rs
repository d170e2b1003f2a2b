//! `cargo xtask check-layers`: holds every crate to the imports the architecture allows it.
//!
//! `cargo metadata` → [`read`] → [`violations`], a pure function of crates and table. It looks at direct
//! dependencies on other crates of the workspace, and at input/output libraries named by a pure crate. It does
//! not look at what a library from elsewhere pulls in, nor at modules inside a crate.

use std::fmt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::process;

/// One crate of the architecture's table.
#[derive(Clone, Copy)]
struct Room {
    name: &'static str,
    /// The crates of the workspace it may depend on.
    may_import: &'static [&'static str],
    /// The crates its tests may depend on beside those.
    tests_may_import: &'static [&'static str],
    /// No clock, no runtime, no network: see [`IMPURE`].
    pure: bool,
}

const fn pure(name: &'static str, may_import: &'static [&'static str]) -> Room {
    Room { name, may_import, tests_may_import: &[], pure: true }
}

const fn room(name: &'static str, may_import: &'static [&'static str]) -> Room {
    Room { name, may_import, tests_may_import: &[], pure: false }
}

/// The edges of the house: their tests may start the whole of it.
const fn edge(name: &'static str, may_import: &'static [&'static str]) -> Room {
    Room { name, may_import, tests_may_import: &["countersign"], pure: false }
}

/// A crate whose tests may run the scenarios.
const fn with_scenarios(room: Room) -> Room {
    Room { tests_may_import: &["scenario"], ..room }
}

/// A crate whose tests may start hosts that cannot be had.
const fn with_fake_hosts(room: Room) -> Room {
    Room { tests_may_import: &["fake_hosts"], ..room }
}

/// The table. `scenario` and `fake_hosts` are nobody's dependencies but those of tests. `dns`, `publish`, `smtp` and `store` do not know each other: `app` joins them.
const ROOMS: &[Room] = &[
    pure("model", &[]),
    pure("mail", &["model"]),
    pure("publish", &["model", "mail"]),
    with_scenarios(pure("diagnosis", &["model", "mail"])),
    with_scenarios(pure("explain", &["model", "diagnosis", "publish"])),
    room("scenario", &["model", "diagnosis"]),
    with_scenarios(room("dns", &["model", "diagnosis", "mail"])),
    with_fake_hosts(room("providers", &["model", "mail", "publish", "dns"])),
    room("fake_hosts", &["model", "publish", "dns"]),
    room("smtp", &["model", "mail"]),
    room("store", &["model", "diagnosis"]),
    room("app", &["model", "mail", "diagnosis", "dns", "providers", "publish", "smtp", "store"]),
    edge("api", &["app", "explain", "model"]),
    edge("web", &["app", "explain", "model"]),
    Room {
        tests_may_import: &["scenario", "fake_hosts"],
        ..room(
            "countersign",
            &[
                "model",
                "mail",
                "diagnosis",
                "explain",
                "dns",
                "providers",
                "publish",
                "smtp",
                "store",
                "app",
                "api",
                "web",
            ],
        )
    },
];

/// Libraries a pure crate does not name. Their relatives (`tokio-util`, `hyper-util`) count too.
const IMPURE: &[&str] = &["tokio", "sqlx", "axum", "reqwest", "hyper"];

/// What of a crate the rules look at.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    name: String,
    /// Lies in `crates/`, so it must be in the table.
    is_room: bool,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    name: String,
    kind: Kind,
    /// From this workspace, not from a registry.
    is_local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
    Build,
}

impl Kind {
    fn section(self) -> &'static str {
        match self {
            Self::Normal => "dependencies",
            Self::Dev => "dev-dependencies",
            Self::Build => "build-dependencies",
        }
    }
}

/// A breach of the table. Its text names the crate, the import, what is allowed, and what to do.
#[derive(Debug, PartialEq, Eq)]
enum Violation {
    ForbiddenImport { importer: String, import: String, section: &'static str, allowed: Vec<&'static str> },
    ImpureImport { importer: String, import: String },
    NotInTable { name: String },
    NotInWorkspace { name: &'static str },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForbiddenImport { importer, import, section, allowed } => {
                let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                write!(
                    f,
                    "{importer} imports {import} ([{section}])\n    allowed: {allowed}\n    \
                     what to do: move the code to a crate that may import {import} (often `app`), or pass what \
                     {importer} needs as an argument.\n    If the architecture changes, change ROOMS in \
                     xtask/src/layers.rs and say why in the commit."
                )
            }
            Self::ImpureImport { importer, import } => write!(
                f,
                "{importer} is pure but imports {import} ([dependencies])\n    forbidden: {}\n    \
                 what to do: take time, randomness and answers as arguments and leave {import} to the caller; \
                 for tests only, name it in [dev-dependencies].",
                IMPURE.join(", ")
            ),
            Self::NotInTable { name } => write!(
                f,
                "{name} lies in crates/ but is not in the table\n    what to do: add it to ROOMS in \
                 xtask/src/layers.rs with the crates it may import."
            ),
            Self::NotInWorkspace { name } => write!(
                f,
                "{name} is in the table but is no crate of the workspace\n    what to do: correct ROOMS in \
                 xtask/src/layers.rs."
            ),
        }
    }
}

/// Checks the workspace and says what it found. False when the table is broken.
pub fn command(root: &Path) -> bool {
    let crates = match metadata(root).and_then(|metadata| read(&metadata, root)) {
        Ok(crates) => crates,
        Err(error) => {
            eprintln!("check-layers could not read the workspace: {error}");
            return false;
        }
    };
    let found = violations(&crates, ROOMS);
    if found.is_empty() {
        println!("Layers: {} crates, every import is allowed.", ROOMS.len());
        return true;
    }
    for violation in &found {
        eprintln!("error: {violation}\n");
    }
    eprintln!("Layers: {} forbidden. The table is ROOMS in xtask/src/layers.rs.", found.len());
    false
}

fn metadata(root: &Path) -> Result<Value, String> {
    let output = process::cargo(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata is not JSON: {error}"))
}

/// Takes the crates and their direct dependencies out of what `cargo metadata` prints.
fn read(metadata: &Value, root: &Path) -> Result<Vec<Crate>, String> {
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let rooms = root.join("crates");
    packages
        .iter()
        .map(|package| {
            let name = text(&package["name"])?;
            let manifest = text(&package["manifest_path"])?;
            let dependencies =
                package["dependencies"].as_array().ok_or("a package has no dependency list")?;
            Ok(Crate {
                name,
                is_room: Path::new(&manifest).starts_with(&rooms),
                dependencies: dependencies.iter().map(dependency).collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

fn dependency(value: &Value) -> Result<Dependency, String> {
    let kind = match value["kind"].as_str() {
        None => Kind::Normal,
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        Some(other) => return Err(format!("unknown kind of dependency: {other}")),
    };
    Ok(Dependency { name: text(&value["name"])?, kind, is_local: value["path"].is_string() })
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("expected a text, found {value}"))
}

/// Everything in `crates` that `table` does not allow, in the order of the crates.
fn violations(crates: &[Crate], table: &[Room]) -> Vec<Violation> {
    let mut found = Vec::new();
    for krate in crates.iter().filter(|krate| krate.is_room) {
        match table.iter().find(|room| room.name == krate.name) {
            Some(room) => {
                found.extend(krate.dependencies.iter().filter_map(|import| violation(room, import)));
            }
            None => found.push(Violation::NotInTable { name: krate.name.clone() }),
        }
    }
    for room in table {
        if !crates.iter().any(|krate| krate.is_room && krate.name == room.name) {
            found.push(Violation::NotInWorkspace { name: room.name });
        }
    }
    found
}

fn violation(room: &Room, import: &Dependency) -> Option<Violation> {
    if !import.is_local {
        let forbidden = room.pure && import.kind == Kind::Normal && is_impure(&import.name);
        return forbidden.then(|| Violation::ImpureImport {
            importer: room.name.to_owned(),
            import: import.name.clone(),
        });
    }
    let mut allowed = room.may_import.to_vec();
    if import.kind == Kind::Dev {
        allowed.extend_from_slice(room.tests_may_import);
        // A crate may name itself for its tests: cargo's way to turn a feature of its own on.
        if import.name == room.name {
            return None;
        }
    }
    let forbidden = !allowed.contains(&import.name.as_str());
    forbidden.then(|| Violation::ForbiddenImport {
        importer: room.name.to_owned(),
        import: import.name.clone(),
        section: import.kind.section(),
        allowed,
    })
}

fn is_impure(library: &str) -> bool {
    IMPURE.iter().any(|name| {
        library.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A house of three: `cellar` below `hall`, and `door`, whose tests may use the hall's `countersign`.
    const HOUSE: &[Room] = &[pure("cellar", &[]), room("hall", &["cellar"]), edge("door", &["hall"])];

    fn local(name: &str, kind: Kind) -> Dependency {
        Dependency { name: name.to_owned(), kind, is_local: true }
    }

    fn library(name: &str, kind: Kind) -> Dependency {
        Dependency { name: name.to_owned(), kind, is_local: false }
    }

    /// The house with these imports added to those every crate has.
    fn house(importer: &str, import: Dependency) -> Vec<Crate> {
        let mut crates = vec![
            Crate {
                name: "cellar".to_owned(),
                is_room: true,
                dependencies: vec![library("serde", Kind::Normal)],
            },
            Crate {
                name: "hall".to_owned(),
                is_room: true,
                dependencies: vec![local("cellar", Kind::Normal)],
            },
            Crate { name: "door".to_owned(), is_room: true, dependencies: vec![local("hall", Kind::Normal)] },
        ];
        crates.iter_mut().find(|krate| krate.name == importer).unwrap().dependencies.push(import);
        crates
    }

    fn check(importer: &str, import: Dependency) -> Vec<Violation> {
        violations(&house(importer, import), HOUSE)
    }

    #[test]
    fn allowed_imports_pass() {
        assert_eq!(check("hall", library("tokio", Kind::Normal)), []);
        assert_eq!(check("hall", local("cellar", Kind::Dev)), []);
        assert_eq!(check("hall", local("hall", Kind::Dev)), []);
    }

    #[test]
    fn an_import_outside_the_table_fails_in_every_section() {
        for kind in [Kind::Normal, Kind::Dev, Kind::Build] {
            let found = check("cellar", local("hall", kind));
            assert_eq!(
                found,
                [Violation::ForbiddenImport {
                    importer: "cellar".to_owned(),
                    import: "hall".to_owned(),
                    section: kind.section(),
                    allowed: vec![],
                }]
            );
        }
    }

    #[test]
    fn the_table_is_not_transitive() {
        assert_eq!(check("door", local("cellar", Kind::Normal)).len(), 1);
    }

    #[test]
    fn the_text_says_who_what_and_what_to_do() {
        let text = check("hall", local("door", Kind::Normal))[0].to_string();
        assert!(text.contains("hall imports door ([dependencies])"), "{text}");
        assert!(text.contains("allowed: cellar"), "{text}");
        assert!(text.contains("what to do: "), "{text}");
    }

    #[test]
    fn only_tests_of_an_edge_may_use_the_whole() {
        assert_eq!(check("door", local("countersign", Kind::Dev)), []);
        assert_eq!(check("door", local("countersign", Kind::Normal)).len(), 1);
        assert_eq!(check("hall", local("countersign", Kind::Dev)).len(), 1);
    }

    #[test]
    fn a_pure_crate_names_no_runtime_but_its_tests_may() {
        for name in ["tokio", "tokio-util", "hyper-util", "sqlx", "axum", "reqwest"] {
            let found = check("cellar", library(name, Kind::Normal));
            let expected = Violation::ImpureImport { importer: "cellar".to_owned(), import: name.to_owned() };
            assert_eq!(found, [expected]);
        }
        assert_eq!(check("cellar", library("tokio", Kind::Dev)), []);
        assert_eq!(check("cellar", library("hyperbole", Kind::Normal)), []);
    }

    #[test]
    fn a_library_from_elsewhere_is_not_mistaken_for_a_crate_of_ours() {
        assert_eq!(check("cellar", library("hall", Kind::Normal)), []);
    }

    #[test]
    fn table_and_workspace_must_name_the_same_crates() {
        let mut crates = house("hall", library("serde", Kind::Normal));
        crates.push(Crate { name: "attic".to_owned(), is_room: true, dependencies: vec![] });
        crates.push(Crate { name: "xtask".to_owned(), is_room: false, dependencies: vec![] });
        assert_eq!(violations(&crates, HOUSE), [Violation::NotInTable { name: "attic".to_owned() }]);
        crates.retain(|krate| krate.name != "door");
        assert!(violations(&crates, HOUSE).contains(&Violation::NotInWorkspace { name: "door" }));
    }

    #[test]
    fn metadata_is_read() {
        let metadata = json!({ "packages": [
            { "name": "mail", "manifest_path": "/w/crates/mail/Cargo.toml", "dependencies": [
                { "name": "model", "kind": null, "path": "/w/crates/model" },
                { "name": "proptest", "kind": "dev" },
            ]},
            { "name": "xtask", "manifest_path": "/w/xtask/Cargo.toml", "dependencies": [] },
        ]});
        let crates = read(&metadata, Path::new("/w")).unwrap();
        assert_eq!(
            crates[0],
            Crate {
                name: "mail".to_owned(),
                is_room: true,
                dependencies: vec![local("model", Kind::Normal), library("proptest", Kind::Dev)],
            }
        );
        assert!(!crates[1].is_room);
        assert!(read(&json!({ "packages": [{}] }), Path::new("/w")).is_err());
    }

    #[test]
    fn the_real_table_lists_each_crate_after_those_it_imports() {
        for (position, room) in ROOMS.iter().enumerate() {
            for import in room.may_import {
                let below = ROOMS[..position].iter().any(|other| other.name == *import);
                assert!(below, "{} imports {import}, which is not above it in the table", room.name);
            }
        }
    }
}
