//! Every defect, with every remedy, at every DNS host: nothing empty, nothing unfilled.

use crate::samples::{defects, finding, n, now, remedies, report};
use diagnosis::Defect;
use explain::{Place, catalogue, hosts, paste::Step, title};
use model::{RecordStatus, Severity, Verdict};

fn whole(text: &str, what: &str) {
    assert!(!text.trim().is_empty(), "{what}: empty");
    assert!(!text.contains(['{', '}']), "{what}: {text}");
    assert!(!text.contains("  ") && !text.contains(" ;") && !text.contains(": ;"), "{what}: {text}");
    assert!(!text.ends_with(": ") && !text.contains("()"), "{what}: {text}");
    assert!(!text.to_lowercase().contains("simply"), "{what}: {text}");
}

#[test]
fn every_code_has_a_sample_a_title_and_a_page() {
    let codes: Vec<&str> = defects().iter().map(Defect::code).collect();
    assert_eq!(codes, Defect::CODES);
    assert_eq!(catalogue::pages().map(|page| page.code).collect::<Vec<_>>(), Defect::CODES);
    for defect in defects() {
        let code = defect.code();
        let finding = finding(defect, diagnosis::Remedy::Nothing, Severity::Error, None);
        let title = title(&finding);
        whole(&title, code);
        assert!(title.len() < 200 && !title.ends_with('.') && title != code, "{title}");
        let page = catalogue::page(code).unwrap();
        for text in [page.title, page.what, page.why].iter().chain(page.how) {
            whole(text, code);
        }
        assert!(page.references.iter().all(|text| text.starts_with("RFC ") || text.starts_with("M3AAWG ")));
        assert!(!page.how.is_empty() && !page.references.is_empty());
        assert!(page.markdown().starts_with(&format!("# {}\n\nCode: `{code}`\n", page.title)));
    }
    assert!(catalogue::page("no_such_code").is_none());
}

#[test]
fn every_host_can_mend_everything() {
    let report = report(Verdict::Fail, RecordStatus::Missing, &[]);
    let zone = n("acme.test");
    assert_eq!(hosts::all().len(), 27);
    for host in hosts::all() {
        for (zone, record) in [(Some(&zone), report.records.get(1)), (None, None)] {
            let place = Place { host, zone, record, now: now() };
            for defect in defects() {
                for remedy in remedies() {
                    let what = format!("{}, {}, {remedy:?}", host.id, defect.code());
                    let finding = finding(defect.clone(), remedy, Severity::Error, None);
                    let guide = catalogue::guide(&finding, &place);
                    assert!(!guide.is_empty(), "{what}");
                    for step in &guide {
                        whole(&step.to_string(), &what);
                        if let Step::Record(paste) = step {
                            assert!(paste.ttl >= host.ttl_min, "{what}");
                            assert!(
                                paste
                                    .fields()
                                    .iter()
                                    .all(|(label, text)| !label.is_empty() && !text.is_empty())
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_field_of_every_host_names_the_record_once() {
    let zone = n("acme.test");
    for host in hosts::all() {
        let place = Place { host, zone: Some(&zone), record: None, now: now() };
        for remedy in remedies() {
            let finding = finding(defects().remove(1), remedy, Severity::Error, None);
            for step in catalogue::guide(&finding, &place) {
                let Step::Record(paste) = step else { continue };
                let full = match host.host_field {
                    hosts::HostField::Full => paste.host.trim_end_matches('.').to_owned(),
                    hosts::HostField::Relative if matches!(paste.host.as_str(), "" | "@") => zone.to_string(),
                    hosts::HostField::Relative => format!("{}.{zone}", paste.host),
                };
                assert_eq!(full, paste.name.as_str(), "{}", host.id);
            }
        }
    }
}

#[test]
fn times_are_told_on_the_clock() {
    let place = Place { host: hosts::generic(), zone: None, record: None, now: now() };
    let wait = remedies().into_iter().find(|r| matches!(r, diagnosis::Remedy::WaitUntil { .. })).unwrap();
    let finding = finding(defects().remove(0), wait, Severity::Info, None);
    assert_eq!(
        explain::steps(&finding, &place),
        ["Nothing to change: older answers run out by 14:32 UTC, in 9 minutes. It is checked again then."]
    );
}
