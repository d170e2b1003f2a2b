//! The committed corpus of the fuzz targets, replayed without a fuzzer: what once broke does not break again.

#[expect(clippy::expect_used, reason = "a target panics when something does not hold")]
#[path = "../../../../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

#[test]
fn every_target_holds_over_its_corpus() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut files: Vec<_> =
            fs::read_dir(fuzz.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 10, "the corpus of {name} has {} files", files.len());
        for file in files {
            // Shown when the test fails: the last one named is the one that broke.
            println!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
        // And the corners of every input.
        for data in [&b""[..], b"\n", b"\0", b"\xff\xff\xff\xff"] {
            target(data);
        }
    }
}
