//! What `docs/SECURITY.md` claims is shown by tests that are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_a_claim_names_is_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let mut named = 0;
    // Every second part stands between backquotes.
    for quoted in page.split('`').skip(1).step_by(2) {
        let mut words = quoted.split_whitespace();
        let (Some(crate_name), Some(path), None) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some((_, test)) = path.rsplit_once("::") else { continue };
        let folder = root.join("crates").join(crate_name);
        let mut text = String::new();
        sources(&folder.join("src"), &mut text);
        if folder.join("tests").is_dir() {
            sources(&folder.join("tests"), &mut text);
        }
        assert!(text.contains(&format!("fn {test}(")), "{quoted} is not there");
        named += 1;
    }
    assert!(named >= 20, "only {named} tests are named");
}
