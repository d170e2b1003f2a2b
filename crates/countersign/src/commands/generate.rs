//! `countersign generate`: the files that are made from the code and checked in.

use super::Exit;
use std::{fs, io::Write, path::Path};

/// Writes every generated file below `root`, or with `check` says which differ.
pub fn run(root: &Path, check: bool, cli_reference: String) -> Exit {
    let mut stale = Vec::new();
    let mut files = files();
    files.push(("docs/cli.md".to_owned(), cli_reference));
    for (path, content) in files {
        let path = root.join(path);
        if fs::read_to_string(&path).is_ok_and(|found| found == content) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
            continue;
        }
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, content));
        if let Err(error) = written {
            drop(writeln!(std::io::stderr(), "error: {}: {error}", path.display()));
            return Exit::Usage;
        }
        drop(writeln!(std::io::stdout(), "wrote {}", path.display()));
    }
    if stale.is_empty() {
        return Exit::Good;
    }
    let list = stale.join("\n  ");
    drop(writeln!(
        std::io::stderr(),
        "These files are not what the code makes of them:\n  {list}\nRun `cargo run -p countersign -- generate` and commit them."
    ));
    Exit::Problems
}

fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    if let Ok(openapi) = api::openapi().to_pretty_json() {
        files.push(("docs/openapi.json".to_owned(), openapi + "\n"));
    }
    for page in explain::catalogue::pages() {
        files.push((format!("docs/findings/{}.md", page.code), page.markdown()));
    }
    files.push(("docs/dns-hosts.md".to_owned(), explain::hosts::reference()));
    files.push(("docs/findings/README.md".to_owned(), explain::catalogue::index()));
    files
}
