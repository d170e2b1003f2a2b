//! The text of every scenario's report, as people get it. The golden files are in `tests/golden/scenarios`, one a
//! scenario; `INSTA_UPDATE=always cargo test -p explain` writes them anew.

use explain::{
    render::{self, RenderOptions},
    view,
};
use model::Timestamp;
use scenario::Scenario;
use std::{collections::BTreeSet, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scenarios")
}

fn text(scenario: &Scenario) -> String {
    render::text(&scenario.report(), &RenderOptions::new(scenario::now()))
}

#[test]
fn all_that_is_known_is_told_where_it_is_asked_for() {
    let all = scenario::all();
    let report = all.iter().find(|scenario| scenario.name == "all_good").unwrap().report();
    let options = RenderOptions { verbose: true, ..RenderOptions::new(scenario::now()) };
    insta::assert_snapshot!("all_good_verbose_text", render::text(&report, &options));
}

#[test]
fn what_is_too_wide_for_a_terminal_is_one_block_a_record() {
    let report = scenario::load("record_in_doubled_zone_all").report();
    let text = |width| render::text(&report, &RenderOptions { width, ..RenderOptions::new(scenario::now()) });
    insta::assert_snapshot!("record_in_doubled_zone_all_80_text", text(80));
    // One row a record wherever there is room, and where lines have no end.
    for width in [0, 120] {
        let text = text(width);
        let table =
            "CNAME  tok1._domainkey.mail.acme.test  tok1._domainkey.mail  3600  tok1.dkim.send.example.net";
        assert!(text.contains(table), "{text}");
    }
}

#[test]
fn what_is_said_to_be_timeless_reads_the_same_at_any_time() {
    let words = |scenario: &Scenario, hours: i64| {
        let report = scenario.report();
        let now = Timestamp::from_second(scenario::now().as_second() + hours * 3_601).unwrap();
        let records = report.records.iter().map(|record| view::record_explanation(record, &report, now));
        let findings =
            report.findings.iter().map(|one| format!("{:?}", view::finding_view(one, &report, now)));
        records.chain(findings).collect::<Vec<_>>()
    };
    let (mut timeless, mut others) = (0, 0);
    for scenario in scenario::all() {
        let now = words(&scenario, 0);
        let later = [1, 9, 50].map(|hours| words(&scenario, hours));
        if view::is_timeless(&scenario.report()) {
            timeless += 1;
            assert!(later.iter().all(|later| *later == now), "{}", scenario.name);
        } else {
            others += 1;
        }
    }
    assert!(timeless > 100 && others > 0, "{timeless} and {others}");
}

#[test]
fn every_scenario_reads_as_its_golden_file() {
    let update = std::env::var_os("INSTA_UPDATE").is_some_and(|mode| mode == "always");
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for scenario in scenario::all() {
        let (path, text) = (folder().join(format!("{}.txt", scenario.name)), text(&scenario));
        known.insert(path.clone());
        if update {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &text).unwrap();
            continue;
        }
        match fs::read_to_string(&path) {
            Err(_) => problems.push(format!("{}: there is no golden file", scenario.name)),
            Ok(golden) if golden != text => {
                let line = golden.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
                let (old, new) = (golden.lines().nth(line), text.lines().nth(line));
                problems.push(format!("{}, line {}:\n  was {old:?}\n  now {new:?}", scenario.name, line + 1));
            }
            Ok(_) => {}
        }
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if known.contains(&path) {
            continue;
        }
        if update {
            fs::remove_file(&path).unwrap();
        } else {
            problems.push(format!("{}: no scenario has this name", path.display()));
        }
    }
    assert!(
        problems.is_empty(),
        "{}\n\nRead the texts of `INSTA_UPDATE=always cargo test -p explain` before you commit them.",
        problems.join("\n")
    );
}
