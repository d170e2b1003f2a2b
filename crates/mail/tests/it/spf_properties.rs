//! A merge changes nothing for anybody else: over random records of every mechanism, and random answers.

use mail::{
    lookup::{Answer, Answers, Needed, Question},
    spf::{self, Merge, SpfOutcome, SpfProblem, SpfRecord, SpfResult},
};
use model::{DomainName, RecordData, RecordType, TxtData};
use proptest::{prelude::*, sample::select};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
};

/// What we merge in; it passes the address 192.0.2.25 alone.
const OURS: &str = "include:spf.ours.example";

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// An answer to any question, the same for the same seed.
fn answer(question: &Question, seed: u64) -> Answer {
    if question.name == name("spf.ours.example") {
        return txt("v=spf1 ip4:192.0.2.25 -all");
    }
    let mut hasher = DefaultHasher::new();
    (seed, question).hash(&mut hasher);
    let dice = hasher.finish();
    match dice % 12 {
        0 => return Answer::NxDomain,
        1 => return Answer::NoData,
        2 => return Answer::TempError("timeout".to_owned()),
        _ => {}
    }
    let choice = usize::try_from(dice / 12 % 1000).unwrap();
    let small = u8::try_from(choice % 3).unwrap();
    match question.record_type {
        RecordType::A => Answer::Records(vec![RecordData::A([198, 51, 100, small].into())]),
        RecordType::Aaaa => {
            Answer::Records(vec![RecordData::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(small)].into())])
        }
        RecordType::Mx => Answer::Records(
            (0..choice % 12)
                .map(|host| RecordData::Mx { preference: 1, exchange: name(&format!("mx{host}.example")) })
                .collect(),
        ),
        RecordType::Ptr => {
            Answer::Records(vec![RecordData::Ptr(name(["p.a.example", "b.example"][choice % 2]))])
        }
        _ => txt([
            "v=spf1 ip4:198.51.100.0/24 -all",
            "v=spf1 a mx ?all",
            "v=spf1 include:deep.example ~all",
            "v=spf1 broken:term -all",
            "v=spf1 exists:%{i}.e.example redirect=r.example",
            "nothing of SPF",
        ][choice % 6]),
    }
}

fn txt(text: &str) -> Answer {
    Answer::Records(vec![RecordData::Txt(TxtData::from_text(text))])
}

fn evaluate(record: &str, client: IpAddr, seed: u64) -> SpfOutcome {
    let domain = name("a.example");
    let mut answers = Answers::new();
    answers.insert(Question::new(domain.clone(), RecordType::Txt), txt(record));
    for _ in 0..300 {
        match spf::evaluate(client, &domain, "joe", "helo.example", &answers) {
            Ok(outcome) => return outcome,
            Err(Needed(questions)) => {
                for question in questions {
                    let answer = answer(&question, seed);
                    answers.insert(question, answer);
                }
            }
        }
    }
    panic!("the evaluation does not end");
}

fn term() -> impl Strategy<Value = String> {
    let qualifier = select(vec!["", "", "", "+", "-", "~", "?"]);
    let mechanism = prop_oneof![
        6 => select(vec![
            "a", "mx", "ptr", "a:x.example", "a/24", "a:y.example//64", "mx:z.example/16", "ip4:198.51.100.1",
            "ip4:203.0.113.0/24", "ip6:2001:db8::/64", "include:one.example", "include:two.example",
            "exists:%{ir}.%{v}.e.example", "exists:%{l}.%{d2}", "a:%{p}.example", "ptr:b.example", "all",
            "include:spf.ours.example", "INCLUDE:SPF.ours.example.",
        ])
        .prop_map(str::to_owned),
        1 => "[a-z]{1,6}:[a-z.%{}]{0,10}",
    ];
    let modifier =
        select(vec!["redirect=r.example", "exp=e.example", "unknown=%{d}", "redirect=%{d}.r.example"]);
    prop_oneof![
        9 => (qualifier, mechanism).prop_map(|(qualifier, mechanism)| format!("{qualifier}{mechanism}")),
        1 => modifier.prop_map(str::to_owned),
    ]
}

fn record() -> impl Strategy<Value = String> {
    let end = select(vec!["", " -all", " ~all", " ?all", " redirect=last.example", "  "]);
    (proptest::collection::vec(term(), 0..9), end)
        .prop_map(|(terms, end)| format!("v=spf1 {}{end}", terms.join(" ")))
}

fn is_past_limit(outcome: &SpfOutcome) -> bool {
    matches!(outcome.problem, Some(SpfProblem::TooManyLookups { .. }))
}

fn is_past_any_limit(outcome: &SpfOutcome) -> bool {
    matches!(outcome.problem, Some(SpfProblem::TooManyLookups { .. } | SpfProblem::TooManyVoidLookups { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_merge_changes_nothing_for_other_senders(
        existing in record(),
        seed in any::<u64>(),
        client in select(vec!["198.51.100.1", "203.0.113.7", "192.0.2.24", "2001:db8::1", "2001:db8:1::1"]),
    ) {
        let Merge::Merged { record } = spf::merge(&existing, OURS) else { return Ok(()) };
        prop_assert_eq!(spf::merge(&record, OURS), Merge::AlreadyThere);
        let client: IpAddr = client.parse().unwrap();
        let (before, after) = (evaluate(&existing, client, seed), evaluate(&record, client, seed));
        if before.result != after.result {
            // One look-up more may be one too many: then the tree of the merged record says so.
            let lookup = |question: &Question| Some(answer(question, seed));
            let spf::Tree { node: tree, .. } = spf::tree(&name("a.example"), &record, &lookup);
            let is_told = is_past_limit(&after) && tree.lookups > spf::MAX_LOOKUPS;
            prop_assert!(
                is_past_limit(&before) || is_told,
                "{} -> {}: {:?}, {:?}, {:?}", existing, record, before, after, tree
            );
        }
    }

    #[test]
    fn a_record_that_was_read_passes_whom_its_text_does(record in record(), rule in term(), other in term()) {
        if let Ok(read) = SpfRecord::parse(&record) {
            for rules in [rule.clone(), format!("{rule} {other}")] {
                prop_assert_eq!(read.passes(&rules), spf::contains_effective(&record, &rules), "{} in {}", rules, record);
            }
        }
    }

    #[test]
    fn one_record_of_several_lets_nobody_pass_whom_none_of_them_does(
        // Nobody knows what a broken record means.
        records in proptest::collection::vec(record().prop_filter("valid", |text| SpfRecord::parse(text).is_ok()), 2..4),
        seed in any::<u64>(),
        client in select(vec!["198.51.100.1", "203.0.113.7", "192.0.2.24", "2001:db8::1", "2001:db8:1::1"]),
    ) {
        let Some(joined) = spf::join(&records, OURS) else { panic!("few records are joined") };
        prop_assert!(SpfRecord::parse(&joined).is_ok(), "{}", joined);
        prop_assert_eq!(spf::merge(&joined, OURS), Merge::AlreadyThere);
        let client: IpAddr = client.parse().unwrap();
        if evaluate(&joined, client, seed).result == SpfResult::Pass {
            let mut alone = records.iter().map(|record| evaluate(record, client, seed));
            // Without its repetitions, a record may keep the limits that it did not keep alone.
            let passes = |outcome: SpfOutcome| outcome.result == SpfResult::Pass || is_past_any_limit(&outcome);
            prop_assert!(alone.any(passes), "{:?} -> {}", records, joined);
        }
    }

    #[test]
    fn a_merge_lets_ours_pass_unless_the_owner_decided_before(existing in record(), seed in any::<u64>()) {
        let merged = match spf::merge(&existing, OURS) {
            Merge::Merged { record } => record,
            Merge::AlreadyThere => existing,
        };
        let outcome = evaluate(&merged, "192.0.2.25".parse().unwrap(), seed);
        // A term in front of ours may match this address too, or fail for everybody.
        let decided_before = outcome.matched.as_ref().is_some_and(|term| !term.to_lowercase().contains("spf.ours"));
        prop_assert!(
            decided_before || outcome.result == SpfResult::Pass || outcome.problem.is_some(),
            "{} {:?}", merged, outcome
        );
    }

    #[test]
    fn what_was_parsed_and_written_is_parsed_the_same(existing in record()) {
        if let Ok(parsed) = SpfRecord::parse(&existing) {
            let texts: Vec<&str> = parsed.terms.iter().map(|term| term.text.as_str()).collect();
            prop_assert_eq!(SpfRecord::parse(&format!("v=spf1 {}", texts.join(" "))), Ok(parsed));
        }
    }
}
