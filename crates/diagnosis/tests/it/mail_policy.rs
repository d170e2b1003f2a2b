//! What the records come to for mail, as data: the SPF tree and what to take out of it.

use diagnosis::{Defect, Report};
use mail::spf::SpfDropReason;

fn report_of(name: &str) -> Report {
    scenario::load(name).report()
}

#[test]
fn a_merge_past_the_limit_says_so_and_names_what_to_drop() {
    let report = report_of("spf_merge_past_limit");
    let (lookups, drops) = report
        .findings
        .iter()
        .find_map(|finding| match &finding.defect {
            Defect::SpfMechanismAbsent { lookups_after, to_drop, .. } => {
                Some((*lookups_after, to_drop.clone()))
            }
            _ => None,
        })
        .unwrap();
    assert_eq!(lookups, 11);
    let drops: Vec<_> = drops.iter().map(|drop| (drop.term.as_str(), drop.lookups, drop.reason)).collect();
    // One look-up too many: one term of one look-up is enough.
    assert_eq!(drops, [("a:l2.acme.test", 1, SpfDropReason::Costly)]);
    let spf = &report.mail.spf[0];
    assert_eq!((spf.tree.lookups, spf.lookups_after_merge), (10, Some(11)));
    assert_eq!(
        report.records.iter().find(|record| record.planned.key == "spf").unwrap().value(),
        "v=spf1 include:four.acme.test include:other.acme.test a:l1.acme.test a:l2.acme.test \
         include:spf.send.example.net ~all"
    );
}

#[test]
fn nested_look_ups_are_counted_where_they_are_caused() {
    let spf = &report_of("spf_nested_lookups").mail.spf[0];
    let costs: Vec<_> = spf.tree.terms.iter().map(|term| (term.text.as_str(), term.lookups)).collect();
    assert_eq!(
        costs,
        [
            ("include:spf.send.example.net", 1),
            ("include:four.acme.test", 4),
            ("include:other.acme.test", 4),
            ("include:five.acme.test", 3),
            ("~all", 0)
        ]
    );
    assert_eq!((spf.tree.lookups, spf.tree.complete), (12, true));
    let drops: Vec<_> = spf.to_drop.iter().map(|drop| (drop.term.as_str(), drop.ranges.len())).collect();
    assert_eq!(drops, [("include:five.acme.test", 2)], "with the two ranges to write in its place");
}
