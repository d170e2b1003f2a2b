//! The table of `scenarios/README.md` names scenarios that are there.

use std::{collections::BTreeSet, fs, path::PathBuf};

#[test]
fn every_row_names_scenarios_and_every_named_one_exists() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    let names: BTreeSet<String> = scenario::all().into_iter().map(|scenario| scenario.name).collect();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 28, "{} rows", rows.len());
    for row in rows {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no scenario: {row}");
        for name in named {
            assert!(names.contains(name), "there is no scenario {name}: {row}");
        }
    }
}
