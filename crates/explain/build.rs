//! Lists the files of `hosts/`, so that a new DNS host is a new file and nothing else, and the pages of all findings,
//! which are the doc comments of their checks.

#[path = "src/catalogue/manual.rs"]
mod manual;

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let out = Path::new(&out);
    fs::write(out.join("hosts.rs"), hosts(&root.join("../../hosts"))?)?;
    let (pages, unwritten) = pages(&root.join("../diagnosis/src/checks"))?;
    fs::write(out.join("pages.rs"), pages)?;
    fs::write(out.join("unwritten.rs"), unwritten)
}

/// The files of a folder that have this extension, each with its name, in the order of their names.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let folder = folder.canonicalize()?;
    // Of a folder cargo looks at all that is in it.
    io::Write::write_all(
        &mut io::stdout(),
        format!("cargo::rerun-if-changed={}\n", folder.display()).as_bytes(),
    )?;
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

fn hosts(folder: &Path) -> io::Result<String> {
    let mut list = String::from("&[\n");
    for (id, path) in files(folder, "toml")? {
        let path = path.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?;
        writeln!(list, "    ({id:?}, include_str!({path:?})),").map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    Ok(list)
}

/// All pages, and for each that cannot be read its code and why: a test tells it, so that a page may be unfinished
/// while a check is being written.
fn pages(folder: &Path) -> io::Result<(String, String)> {
    let (mut pages, mut unwritten) = (String::from("&[\n"), String::from("&[\n"));
    for (code, path) in files(folder, "rs")?.into_iter().filter(|(code, _)| code != "mod") {
        match manual::read(&fs::read_to_string(path)?) {
            Ok(manual::Manual { title, what, why, how, references }) => writeln!(
                pages,
                "    Page {{ code: {code:?}, title: {title:?}, what: {what:?}, why: {why:?}, how: &{how:?}, \
                 references: &{references:?} }},"
            ),
            Err(mistake) => writeln!(unwritten, "    ({code:?}, {mistake:?}),"),
        }
        .map_err(io::Error::other)?;
    }
    pages.push_str("]\n");
    unwritten.push_str("]\n");
    Ok((pages, unwritten))
}
