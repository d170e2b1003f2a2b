//! Whole reports as people get them. The snapshots are beside this file.

use crate::samples::{authority, dkim_name, finding, later, n, now, report, resolver, set};
use diagnosis::{Defect, Remedy, Report};
use explain::{
    hosts,
    render::{self, RenderOptions},
};
use model::{RecordStatus, RecordType, Severity, Verdict};
use std::sync::Arc;

const CLOUDFLARE: &[&str] = &["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"];

fn options() -> RenderOptions<'static> {
    RenderOptions::new(now())
}

fn missing_and_doubled() -> Report {
    let mut report = report(Verdict::Fail, RecordStatus::Verified, CLOUDFLARE);
    let add = Remedy::Add {
        name: n("tok1._domainkey.mail.acme.test"),
        record_type: RecordType::Cname,
        value: "tok1.dkim.send.example".to_owned(),
        preference: None,
    };
    let defect =
        Defect::RecordMissing { name: n("tok1._domainkey.mail.acme.test"), record_type: RecordType::Cname };
    set(&mut report, "dkim-1", RecordStatus::Missing, finding(defect, add, Severity::Error, Some("dkim-1")));
    let found_at = n("tok2._domainkey.mail.acme.test.acme.test");
    let defect =
        Defect::RecordInDoubledZone { name: dkim_name(), found_at: found_at.clone(), zone: n("acme.test") };
    let remedy = Remedy::Move {
        from: found_at,
        to: dkim_name(),
        record_type: RecordType::Cname,
        value: "tok2.dkim.send.example".to_owned(),
        preference: None,
    };
    set(
        &mut report,
        "dkim-2",
        RecordStatus::Missing,
        finding(defect, remedy, Severity::Error, Some("dkim-2")),
    );
    let defect = Defect::DkimPartial {
        present: 1,
        total: 3,
        missing: vec![n("tok1._domainkey.mail.acme.test"), dkim_name()],
    };
    report.findings.push(finding(defect, Remedy::Nothing, Severity::Info, None));
    report.visible_everywhere_by = Some(later());
    report
}

fn spf_merge() -> Report {
    let mut report =
        report(Verdict::Pass, RecordStatus::Verified, &["ns-1.awsdns-00.com", "ns-600.awsdns-11.net"]);
    let current = "v=spf1 include:_spf.other.example ip4:192.0.2.0/24 ~all".to_owned();
    let replace_with =
        "v=spf1 include:_spf.other.example ip4:192.0.2.0/24 include:spf.send.example ~all".to_owned();
    let defect = Defect::SpfMechanismAbsent {
        name: n("mail.acme.test"),
        current: current.clone(),
        rules: "include:spf.send.example".to_owned(),
        lookups_after: 3,
        to_drop: Vec::new(),
    };
    let remedy = Remedy::MergeSpf { name: n("mail.acme.test"), current: vec![current], replace_with };
    set(&mut report, "spf", RecordStatus::Failed, finding(defect, remedy, Severity::Warning, Some("spf")));
    report
}

fn proxied() -> Report {
    let mut report = report(Verdict::Fail, RecordStatus::Verified, CLOUDFLARE);
    let defect = Defect::CnameProxied { name: dkim_name(), addresses: vec!["192.0.2.80".parse().unwrap()] };
    let remedy = Remedy::TurnOffProxy { name: dkim_name() };
    set(
        &mut report,
        "dkim-2",
        RecordStatus::Failed,
        finding(defect, remedy, Severity::Error, Some("dkim-2")),
    );
    let defect = Defect::ResolverCacheStale { name: dkim_name(), server: resolver(), until: later() };
    report.findings.push(finding(defect, Remedy::WaitUntil { at: later() }, Severity::Info, None));
    report
}

fn all_unknown() -> Report {
    let mut report = report(Verdict::Unknown, RecordStatus::Unknown, &[]);
    report.zone = None;
    let defect = Defect::DnsUnanswered {
        name: dkim_name(),
        record_type: RecordType::Cname,
        reasons: vec![
            "resolver 9.9.9.9:53: no answer in time".to_owned(),
            "resolver 1.1.1.1:53: REFUSED".to_owned(),
        ],
    };
    report.findings.push(finding(defect, Remedy::CheckAgain, Severity::Error, Some("dkim-2")));
    report
}

#[test]
fn missing_and_doubled_zone() {
    insta::assert_snapshot!("missing_and_doubled_text", render::text(&missing_and_doubled(), &options()));
    insta::assert_snapshot!(
        "missing_and_doubled_markdown",
        render::markdown(&missing_and_doubled(), &options())
    );
    insta::assert_snapshot!(
        "missing_and_doubled_html",
        render::html_fragment(&missing_and_doubled(), &options())
    );
}

#[test]
fn an_spf_merge_shows_current_and_replacement() {
    insta::assert_snapshot!("spf_merge_text", render::text(&spf_merge(), &options()));
    insta::assert_snapshot!("spf_merge_markdown", render::markdown(&spf_merge(), &options()));
    let gandi = RenderOptions { host: hosts::by_id("gandi"), verbose: true, width: 80, ..options() };
    insta::assert_snapshot!("spf_merge_text_gandi_verbose", render::text(&spf_merge(), &gandi));
}

#[test]
fn a_proxied_alias() {
    insta::assert_snapshot!("proxied_text", render::text(&proxied(), &options()));
    insta::assert_snapshot!("proxied_markdown", render::markdown(&proxied(), &options()));
}

#[test]
fn all_good() {
    let report = report(Verdict::Pass, RecordStatus::Verified, &["ns-cloud-a1.googledomains.com"]);
    insta::assert_snapshot!("all_good_text", render::text(&report, &options()));
    insta::assert_snapshot!("all_good_markdown", render::markdown(&report, &options()));
}

#[test]
fn all_unknown_is_no_failure() {
    insta::assert_snapshot!("all_unknown_text", render::text(&all_unknown(), &options()));
    insta::assert_snapshot!("all_unknown_markdown", render::markdown(&all_unknown(), &options()));
}

#[test]
fn colour_adds_nothing_but_colour() {
    let plain = render::text(&missing_and_doubled(), &options());
    let coloured = render::text(&missing_and_doubled(), &RenderOptions { colour: true, ..options() });
    assert_ne!(plain, coloured);
    let mut stripped = String::new();
    for (index, part) in coloured.split("\x1b[").enumerate() {
        stripped.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(stripped, plain);
}

#[test]
fn json_has_the_shape_of_the_api() {
    let report = missing_and_doubled();
    let json = render::json(&report, now());
    assert_eq!(json["summary"], "mail.acme.test: 1 record to add, 1 thing to fix");
    assert_eq!(
        json["dns_host"],
        serde_json::json!({
            "id": "cloudflare", "name": "Cloudflare", "confidence": "confirmed", "candidates": ["cloudflare"]
        })
    );
    let doubled = &json["findings"][1];
    assert_eq!(doubled["code"], "record_in_doubled_zone");
    assert_eq!(doubled["severity"], "error");
    assert_eq!(doubled["confidence"], "confirmed");
    assert_eq!(doubled["record"], "dkim-2");
    assert_eq!(doubled["docs"], "/docs/findings/record_in_doubled_zone");
    assert_eq!(doubled["evidence"]["zone"], "acme.test");
    assert_eq!(doubled["remedy"]["action"], "move");
    assert_eq!(doubled["records"][0]["host"], "tok2._domainkey.mail");
    assert!(doubled["steps"].as_array().unwrap().iter().all(serde_json::Value::is_string));
    assert_eq!(json["records"][0]["status"], "missing");
    assert_eq!(json["records"][0]["host"], "tok1._domainkey.mail");
}

#[test]
fn records_are_explained_with_where_they_stand() {
    let mut report = missing_and_doubled();
    let explain =
        |report: &Report, index: usize| explain::record_explanation(&report.records[index], report, now());
    assert_eq!(
        explain(&report, 0),
        "Holds the key that receivers check signatures with. No CNAME record at tok1._domainkey.mail.acme.test."
    );
    assert_eq!(
        explain(&report, 2),
        "Holds the key that receivers check signatures with. It is there and right."
    );
    report.records[2].status = RecordStatus::Pending;
    report.records[2].seen.push(diagnosis::Seen {
        server: authority("ns2.acme.test", 2),
        right: Some(false),
        ttl: 60,
    });
    assert_eq!(
        explain(&report, 2),
        "Holds the key that receivers check signatures with. Seen at 1 of 2 name servers and 0 of 1 resolver. All should have it by 14:32 UTC, in 9 minutes."
    );
}

fn steps_of(finding: &diagnosis::Finding, report: &Report) -> Vec<String> {
    explain::finding_view(finding, report, now()).steps
}

#[test]
fn of_several_dmarc_records_the_kept_one_is_shown_and_not_the_suggestion() {
    let report = report(Verdict::Fail, RecordStatus::Verified, CLOUDFLARE);
    let (keep, drop) = ("v=DMARC1; p=reject".to_owned(), "v=DMARC1; p=none".to_owned());
    let name = n("_dmarc.mail.acme.test");
    let defect = Defect::DmarcMultipleRecords { name: name.clone(), records: vec![keep, drop.clone()] };
    let remedy = Remedy::Remove { name, record_types: vec![RecordType::Txt], values: vec![drop] };
    let steps = steps_of(&finding(defect, remedy, Severity::Error, Some("dmarc")), &report);
    assert_eq!(
        steps,
        [
            "In the Cloudflare dashboard, open acme.test › DNS › Records, and find the TXT records at this name: _dmarc.mail",
            "Delete the one that reads: v=DMARC1; p=none",
            "Keep the one that reads: v=DMARC1; p=reject",
            "If another of them is the policy that you mean, keep that one in its place.",
        ]
    );
}

#[test]
fn a_value_that_an_audit_cannot_know_is_not_given_to_paste() {
    let report = report(Verdict::Fail, RecordStatus::Verified, CLOUDFLARE);
    let name = n("mail.acme.test");
    let value = diagnosis::Expected::Spf { rules: None }.value();
    let remedy = Remedy::Add { name: name.clone(), record_type: RecordType::Txt, value, preference: None };
    let finding = finding(Defect::SpfMissing { name }, remedy, Severity::Error, Some("spf"));
    let view = explain::finding_view(&finding, &report, now());
    assert!(view.records.is_empty());
    assert_eq!(
        view.steps,
        [
            "In the Cloudflare dashboard, open acme.test › DNS › Records, and add or correct this TXT record: mail",
            "The service that sends your mail says what belongs into it: the record begins with v=spf1, then come its parts, and ~all or -all is the last.",
        ]
    );
}

/// An audit of SPF and DMARC: what the check of a domain that is not registered makes.
fn audit(verdict: Verdict, status: RecordStatus) -> Report {
    let mut report = report(verdict, status, CLOUDFLARE);
    "audit".clone_into(&mut report.profile);
    report.records.retain(|record| !record.is_dkim() && record.planned.purpose != model::Purpose::Dkim);
    for record in &mut report.records {
        if let diagnosis::Expected::Spf { rules } = &mut Arc::make_mut(&mut record.planned).expected {
            *rules = None;
        }
    }
    report
}

#[test]
fn an_audit_without_selectors_says_that_dkim_was_not_checked() {
    let report = audit(Verdict::Pass, RecordStatus::Verified);
    insta::assert_snapshot!("audit_text", render::text(&report, &options()));
    let json = render::json(&report, now());
    assert_eq!(json["not_checked"], serde_json::json!(["dkim"]));
    assert_eq!(json["dkim_status"], serde_json::Value::Null);
    assert_eq!(json["return_path_status"], serde_json::Value::Null);
    assert_eq!((&json["spf_status"], &json["dmarc_status"]), (&"verified".into(), &"verified".into()));
    let registered = render::json(&missing_and_doubled(), now());
    assert_eq!(registered["not_checked"], serde_json::json!([]));
    assert_eq!(registered["dkim_status"], "verified");
}

#[test]
fn an_audit_promises_nothing_that_happens_by_itself() {
    let mut report = audit(Verdict::Unknown, RecordStatus::Unknown);
    report.zone = None;
    report.name_servers.clear();
    let answers = |reasons: &[&str]| {
        let mut report = report.clone();
        for key in ["spf", "dmarc"] {
            let defect = Defect::DnsUnanswered {
                name: n("mail.acme.test"),
                record_type: RecordType::Txt,
                reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            };
            report.findings.push(finding(defect, Remedy::CheckAgain, Severity::Warning, Some(key)));
        }
        report
    };
    let silent = answers(&["resolver 127.0.0.1:1: unreachable (Connection refused)"]);
    let text = render::text(&silent, &options());
    insta::assert_snapshot!("audit_silent_text", text);
    let wait = finding(defects_first(), Remedy::WaitUntil { at: later() }, Severity::Info, None);
    assert_eq!(
        steps_of(&wait, &silent),
        ["Nothing to change: older answers run out by 14:32 UTC, in 9 minutes. Run the check again then."]
    );
    let refused = answers(&["resolver 127.0.0.1:1: no answer in time", "resolver 9.9.9.9:53: REFUSED"]);
    assert!(!render::text(&refused, &options()).contains("Nothing answers"), "one of them refused");
}

fn defects_first() -> Defect {
    Defect::DomainNotFound { name: n("acme.test") }
}

#[test]
fn an_invalid_spf_record_is_mended_in_an_audit() {
    let mut report = audit(Verdict::Fail, RecordStatus::Verified);
    let current = "v=spf1 ipv4:192.0.2.1 include:_spf.other.example ~all".to_owned();
    let defect = Defect::SpfInvalid {
        name: n("mail.acme.test"),
        record: current.clone(),
        reason: "in \"ipv4:192.0.2.1\": there is no such mechanism".to_owned(),
        lost: vec![],
        version: None,
    };
    let remedy = Remedy::MergeSpf {
        name: n("mail.acme.test"),
        current: vec![current],
        replace_with: "v=spf1 ip4:192.0.2.1 include:_spf.other.example ~all".to_owned(),
    };
    set(&mut report, "spf", RecordStatus::Failed, finding(defect, remedy, Severity::Error, Some("spf")));
    insta::assert_snapshot!("audit_spf_invalid_text", render::text(&report, &options()));
}

#[test]
fn rules_behind_all_are_said_to_stand_there() {
    let defect = Defect::SpfMechanismAbsent {
        name: n("mail.acme.test"),
        current: "v=spf1 mx ~all include:spf.send.example".to_owned(),
        rules: "include:spf.send.example".to_owned(),
        lookups_after: 3,
        to_drop: Vec::new(),
    };
    let remedy = Remedy::MergeSpf {
        name: n("mail.acme.test"),
        current: vec!["v=spf1 mx ~all include:spf.send.example".to_owned()],
        replace_with: "v=spf1 mx include:spf.send.example ~all".to_owned(),
    };
    let finding = finding(defect, remedy, Severity::Warning, Some("spf"));
    assert_eq!(
        explain::title(&finding),
        "In the SPF record at mail.acme.test, include:spf.send.example stands behind all, so receivers never reach it"
    );
    let steps = steps_of(&finding, &report(Verdict::Fail, RecordStatus::Failed, CLOUDFLARE));
    assert!(steps[0].starts_with("Move include:spf.send.example in front of all"), "{steps:?}");
}

#[test]
fn a_record_beside_pasted_quotes_is_not_forgotten() {
    let quoted = "\"v=DMARC1; p=none\"".to_owned();
    let defect = Defect::TxtQuotesPasted {
        name: n("_dmarc.mail.acme.test"),
        found: quoted.clone(),
        expected: "v=DMARC1; p=none".to_owned(),
    };
    let remedy = Remedy::Replace {
        name: n("_dmarc.mail.acme.test"),
        record_type: RecordType::Txt,
        current: vec![quoted.clone()],
        value: "v=DMARC1; p=none".to_owned(),
        preference: None,
    };
    let mut report = report(Verdict::Fail, RecordStatus::Verified, CLOUDFLARE);
    set(&mut report, "dmarc", RecordStatus::Failed, finding(defect, remedy, Severity::Error, Some("dmarc")));
    let last = |report: &Report| steps_of(&report.findings[0], report).pop().unwrap();
    report.records.last_mut().unwrap().current = vec![quoted.clone()];
    assert!(!last(&report).contains("only one"));
    report.records.last_mut().unwrap().current = vec![quoted, "v=DMARC1; p=reject".to_owned()];
    assert_eq!(
        last(&report),
        "Beside it is v=DMARC1; p=reject. Then leave only one DMARC record: receivers accept no more than one."
    );
}

#[test]
fn a_dmarc_record_that_is_replaced_keeps_what_its_owner_chose() {
    let name = n("_dmarc.mail.acme.test");
    let record = "v=DMARC1; p=maybe; rua=mailto:me@acme.test".to_owned();
    let remedy = Remedy::Replace {
        name: name.clone(),
        record_type: RecordType::Txt,
        current: vec![record.clone()],
        value: "v=DMARC1; p=none".to_owned(),
        preference: None,
    };
    let defect = Defect::DmarcInvalid {
        name,
        record,
        reason: "p=maybe is no policy".to_owned(),
        version: None,
        kept: false,
        applies: None,
    };
    let finding = finding(defect, remedy, Severity::Error, Some("dmarc"));
    let steps = steps_of(&finding, &report(Verdict::Fail, RecordStatus::Failed, CLOUDFLARE));
    assert!(steps[0].contains("keep your own policy (p=…) and your own rua addresses"), "{steps:?}");
}

#[test]
fn the_playground_is_opened_by_its_zone() {
    let report = report(Verdict::Fail, RecordStatus::Failed, &["ns1.playground.test"]);
    let name = n("_dmarc.mail.acme.test");
    let add = |value: &str| Remedy::Add {
        name: name.clone(),
        record_type: RecordType::Txt,
        value: value.to_owned(),
        preference: None,
    };
    let remove = Remedy::Remove { name: name.clone(), record_types: vec![RecordType::Txt], values: vec![] };
    let edit = Remedy::Replace {
        name: name.clone(),
        record_type: RecordType::Txt,
        current: vec!["x".to_owned()],
        value: "y".to_owned(),
        preference: None,
    };
    for remedy in [add("v=DMARC1; p=none"), add("v=spf1 … ~all"), remove, edit] {
        let defect = Defect::DmarcMissing { name: name.clone() };
        let steps = steps_of(&finding(defect, remedy, Severity::Error, Some("dmarc")), &report);
        let first = steps.iter().find(|step| step.contains("open")).unwrap();
        assert!(first.starts_with("In the playground, open the zone acme.test"), "{first}");
    }
}

#[test]
fn every_field_of_the_json_is_documented() {
    let documented = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.md"),
    )
    .unwrap();
    let section = |heading: &str| {
        let from = documented.split_once(&format!("\n## {heading}\n")).unwrap().1;
        from.split_once("\n## ").map_or(from, |(section, _)| section).to_owned()
    };
    let json = render::json(&missing_and_doubled(), now());
    for (heading, value) in [
        ("The report", &json),
        ("`dns_host`", &json["dns_host"]),
        ("`records[]`", &json["records"][0]),
        ("`findings[]`", &json["findings"][0]),
    ] {
        let (section, fields) = (section(heading), value.as_object().unwrap());
        for field in fields.keys() {
            assert!(
                section.contains(&format!("`{field}`")),
                "{heading} has {field}, which is not documented"
            );
        }
        for row in section.lines().filter(|line| line.starts_with("| `")) {
            let names = row.split('|').nth(1).unwrap().split(',');
            for name in names.map(|name| name.trim().trim_matches('`')) {
                assert!(fields.contains_key(name), "{heading} has no {name}, which is documented");
            }
        }
    }
}

#[test]
fn spf_records_that_cannot_be_put_together_are_left_to_their_owner() {
    let records = ["v=spf1 mx -all", "v=spf1 a -all", "v=spf1 ip4:192.0.2.1 ~all", "v=spf1 ~all"];
    let defect = Defect::SpfMultipleRecords {
        name: n("mail.acme.test"),
        records: records.map(str::to_owned).to_vec(),
        lookups_after: 0,
        to_drop: Vec::new(),
    };
    let finding = finding(defect, Remedy::Nothing, Severity::Error, Some("spf"));
    let steps = steps_of(&finding, &report(Verdict::Fail, RecordStatus::Failed, CLOUDFLARE));
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(steps[0].starts_with("These 4 records hold too much"), "{steps:?}");
}

#[test]
fn what_was_not_asked_is_not_told_as_unanswered() {
    let state = |report: &Report| explain::view::state(&report.records[0], report, now());
    let mut report = report(Verdict::Unknown, RecordStatus::Unknown, &[]);
    report.questions_asked = 0;
    report.records.iter_mut().for_each(|record| record.seen.clear());
    assert_eq!(explain::summary(&report), "not checked yet");
    assert_eq!(explain::meaning(&report), "Nobody was asked yet: the first check is on its way.");
    assert_eq!(state(&report), "It is not checked yet.");
    report.once = true;
    assert_eq!(explain::meaning(&report), "Nobody was asked, so nothing is known.");
    // Stopped half way: what was not reached is not what servers left unanswered.
    report.questions_asked = 300;
    let defect = Defect::InquiryCutShort { asked: 300, out_of_time: false };
    report.findings.push(finding(defect, Remedy::CheckAgain, Severity::Warning, None));
    assert_eq!(explain::meaning(&report), "The check stopped at its limit, before everything was known.");
    assert!(state(&report).starts_with("It was not asked for: the check stopped"), "{}", state(&report));
    // Asked, and not answered.
    let defect =
        Defect::DnsUnanswered { name: dkim_name(), record_type: RecordType::Cname, reasons: Vec::new() };
    let key = report.records[0].planned.key.clone();
    report.findings.push(finding(defect, Remedy::CheckAgain, Severity::Error, Some(&key)));
    assert!(explain::meaning(&report).starts_with("DNS gave no clear answer"));
    assert!(state(&report).contains("DNS has not given a clear answer"), "{}", state(&report));
}
