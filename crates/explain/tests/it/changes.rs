//! What would change in a zone, as people get it. The snapshots are beside this file.

use crate::samples::n;
use explain::render::{change_html, change_lines, change_markdown, change_summary, change_text};
use model::{Record, RecordData, TxtData};
use publish::{Action, Blocked, ChangeSet, LEFT_OVER, Reason, Step, Why, ZoneRecord};
use std::collections::BTreeSet;

fn record(owner: &str, data: RecordData) -> Record {
    Record { owner: n(owner), ttl: 300, data }
}

fn text(owner: &str, text: &str) -> Record {
    record(owner, RecordData::Txt(TxtData::from_text(text)))
}

fn alias(owner: &str, target: &str) -> Record {
    record(owner, RecordData::Cname(n(target)))
}

fn sample() -> ChangeSet {
    let spf = "v=spf1 include:_spf.other.test -all";
    let merged = "v=spf1 include:_spf.other.test include:spf.send.example -all";
    let old = |record| ZoneRecord::plain(record);
    let actions = [
        ("dkim-1", Action::Add { new: alias("tok1._domainkey.mail.acme.test", "tok1.dkim.send.example") }),
        (
            "dkim-2",
            Action::Replace {
                old: old(alias("tok2._domainkey.mail.acme.test", "old.dkim.send.example")),
                new: alias("tok2._domainkey.mail.acme.test", "tok2.dkim.send.example"),
                why: Why::Ours,
            },
        ),
        (
            "spf",
            Action::Replace {
                old: old(text("mail.acme.test", spf)),
                new: text("mail.acme.test", merged),
                why: Why::SpfMerge,
            },
        ),
        (
            LEFT_OVER,
            Action::Remove { old: old(alias("tok9._domainkey.mail.acme.test", "tok9.dkim.send.example")) },
        ),
    ];
    let steps = (0..).zip(actions).map(|(id, (key, action))| Step { id, key: key.to_owned(), action });
    ChangeSet {
        version: ChangeSet::VERSION,
        zone: n("acme.test"),
        steps: steps.collect(),
        blocked: vec![Blocked {
            key: "return_path".to_owned(),
            owner: n("bounce.mail.acme.test"),
            essential: false,
            by: vec![old(text("bounce.mail.acme.test", "<b>other</b>"))],
            reason: Reason::DataBesideAlias,
        }],
        settled: vec!["dmarc".to_owned()],
        before: Vec::new(),
        foreign: BTreeSet::from([2]),
    }
}

#[test]
fn as_text() {
    insta::assert_snapshot!(change_text(&sample()));
}

#[test]
fn as_markdown() {
    insta::assert_snapshot!(change_markdown(&sample()));
}

#[test]
fn as_html() {
    let html = change_html(&sample());
    assert!(!html.contains("<b>other"), "what others wrote is escaped");
    insta::assert_snapshot!(html);
}

#[test]
fn nothing_to_do_is_said_in_a_line() {
    let none = ChangeSet { steps: Vec::new(), blocked: Vec::new(), ..sample() };
    assert_eq!(change_summary(&none), "Nothing to change in acme.test: all records are there.");
    assert!(change_lines(&none).is_empty());
    let one = ChangeSet { steps: Vec::new(), ..sample() };
    assert_eq!(change_summary(&one), "Nothing can be changed in acme.test; 1 record cannot be written.");
}
