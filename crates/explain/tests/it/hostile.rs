//! What strangers put into DNS reaches no terminal and no page as it is.

use crate::samples::{defects, dkim_name, finding, n, now, report, set};
use diagnosis::{Defect, Remedy, Report, near_miss::VersionSlip};
use explain::render::{self, RenderOptions};
use model::{DomainName, RecordStatus, RecordType, Severity, Verdict};

const EVIL: &str =
    "\x1b]0;owned\x07\x1b[2J<script>alert('1')</script>\u{202e}`]()[x](javascript:1)\u{9b}31m\r\n# h";

fn evil_report(text: &str) -> Report {
    let evil_name =
        DomainName::from_labels([b"<b>\"\x1b[31m".as_slice(), b"`_*x", b"acme", b"test"]).unwrap();
    let text = text.to_owned();
    let mut report = report(Verdict::Fail, RecordStatus::Verified, &["ada.ns.cloudflare.com"]);
    let replace = Remedy::Replace {
        name: dkim_name(),
        record_type: RecordType::Txt,
        current: vec![text.clone(); 30],
        value: text.clone(),
        preference: None,
    };
    let merge = Remedy::MergeSpf {
        name: n("mail.acme.test"),
        current: vec![text.clone()],
        replace_with: text.clone(),
    };
    let remove = Remedy::Remove {
        name: evil_name.clone(),
        record_types: vec![RecordType::Txt],
        values: vec![text.clone(); 30],
    };
    let defects = [
        (
            Defect::TxtWrongValue { name: dkim_name(), expected: text.clone(), found: vec![text.clone()] },
            replace,
        ),
        (
            Defect::SpfInvalid {
                name: evil_name.clone(),
                record: text.clone(),
                reason: text.clone(),
                lost: vec![text.clone()],
                version: Some(VersionSlip::Other(text.clone())),
            },
            merge,
        ),
        (Defect::CnameWrongTarget { name: dkim_name(), expected: n("a.test"), found: evil_name }, remove),
        (
            Defect::DnsUnanswered {
                name: dkim_name(),
                record_type: RecordType::Txt,
                reasons: vec![text; 30],
            },
            Remedy::CheckAgain,
        ),
    ];
    for (defect, remedy) in defects {
        set(
            &mut report,
            "dkim-2",
            RecordStatus::Failed,
            finding(defect, remedy, Severity::Error, Some("dkim-2")),
        );
    }
    report
}

fn options(verbose: bool) -> RenderOptions<'static> {
    RenderOptions { verbose, ..RenderOptions::new(now()) }
}

#[test]
fn terminal_sequences_do_not_get_through() {
    let report = evil_report(EVIL);
    for shown in [
        render::text(&report, &options(true)),
        render::markdown(&report, &options(true)),
        render::html_fragment(&report, &options(true)),
    ] {
        assert!(shown.contains("owned"), "the value itself is shown");
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
    }
    for finding in &report.findings {
        let view = explain::finding_view(finding, &report, now());
        for text in view.steps.iter().chain([&view.title]) {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}

#[test]
fn markup_is_escaped() {
    let report = evil_report(EVIL);
    let html = render::html_fragment(&report, &options(true));
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"));
    let markdown = render::markdown(&report, &options(true));
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            assert!(!line.replace("\\<", "").contains('<'), "{line}");
            assert!(!line.replace("\\]", "").replace("\\[", "").contains("]("), "{line}");
            assert!(!line.starts_with("# "), "{line}");
        }
    }
    assert!(!fenced, "every fence is closed");
}

#[test]
fn sixty_four_kilobytes_do_not_flood_a_terminal() {
    let report = evil_report(&"x y".repeat(22_000));
    for shown in [
        render::text(&report, &options(true)),
        render::markdown(&report, &options(true)),
        render::html_fragment(&report, &options(true)),
    ] {
        assert!(shown.len() < 40_000, "{} bytes", shown.len());
        assert!(shown.contains("characters in all"));
    }
}

#[test]
fn many_findings_and_odd_names_are_shown_without_a_panic() {
    let mut report = report(Verdict::Unknown, RecordStatus::Unknown, &[]);
    report.domain = DomainName::root();
    report.zone = Some(DomainName::root());
    for defect in defects() {
        report.findings.push(finding(defect, Remedy::CheckAgain, Severity::Warning, Some("no-such-record")));
    }
    for width in [0, 1, 40, 200] {
        let text = render::text(&report, &RenderOptions { width, colour: true, ..options(true) });
        assert!(text.lines().count() > defects().len());
    }
    assert_eq!(render::json(&report, now())["findings"].as_array().unwrap().len(), defects().len());
}
