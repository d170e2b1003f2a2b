//! Every scenario through the whole pure way: plan, inquiry, observation, report.

use diagnosis::{
    Defect, Observation, Remedy, Report, diagnose, diagnose_known,
    inquiry::{self, Look, Policy},
    observation::Exchange,
};
use scenario::{Scenario, now};

fn observe_by(scenario: &Scenario, look: Look) -> (Observation, usize) {
    scenario.observe_by(&Policy { look, ..scenario.policy() })
}

#[test]
fn every_scenario_finds_what_it_must_and_nothing_it_must_not() {
    let all = scenario::all();
    assert!(all.len() > 40, "scenarios are found");
    let problems: Vec<String> =
        all.iter().flat_map(|scenario| scenario.problems(&scenario.report())).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn what_is_judged_on_the_way_is_what_is_judged_anew() {
    let mut judged_on_the_way = 0;
    for scenario in scenario::all() {
        for look in [Look::ResolversFirst, Look::Thorough] {
            let (observation, known, _) = scenario.inquire(&Policy { look, ..scenario.policy() });
            judged_on_the_way += usize::from(known.is_judged());
            let plan = scenario.plan();
            assert_eq!(
                diagnose_known(&plan, &observation, known, now()),
                diagnose(&plan, &observation, now()),
                "{}",
                scenario.name
            );
        }
    }
    assert!(judged_on_the_way > 10, "{judged_on_the_way}");
}

#[test]
fn an_inquiry_is_as_deep_as_its_longest_chain_and_bounded() {
    for scenario in scenario::all() {
        let (name, (observation, rounds)) = (&scenario.name, scenario.observe_by(&scenario.policy()));
        // Resolver; name servers; their addresses; each of them; where missing records could have gone; and one
        // more where an alias hides its zone.
        assert!(rounds <= 9, "{name} takes {rounds} rounds");
        assert!(observation.exchanges.len() < 320, "{name} asks {} questions", observation.exchanges.len());
        assert!(!observation.cut_short, "{name}");
    }
}

/// What asking the resolvers first cannot see, by the nature of it: servers and delegations at fault that a resolver
/// works around,
/// and older answers or records beside an alias that a resolver shows only to another question than receivers ask.
const ONLY_THOROUGH: &[&str] = &[
    "name_server_lame",
    "name_server_unreachable",
    "name_servers_disagree",
    "cname_conflict",
    "cname_several",
    "resolver_cache_stale",
    // What only questions beside the records tell.
    "dmarc_reports_not_authorised",
    "domain_sends_no_mail",
    "spf_unaligned",
    "dkim_unaligned",
    "caa_forbids_issuance",
    "sender_ptr_missing",
    "delegation_mismatch",
    "glue_mismatch",
];

#[test]
fn resolvers_first_finds_in_every_scenario_what_the_thorough_look_finds() {
    for scenario in scenario::all() {
        let name = &scenario.name;
        let (thorough, first) =
            (observe_by(&scenario, Look::Thorough).0, observe_by(&scenario, Look::ResolversFirst).0);
        let (thorough, first) =
            (diagnose(&scenario.plan(), &thorough, now()), diagnose(&scenario.plan(), &first, now()));
        let visible = |report: &Report| -> Vec<String> {
            let codes = report.findings.iter().map(|finding| format!("{finding:?}"));
            codes
                .zip(&report.findings)
                .filter(|(_, f)| !ONLY_THOROUGH.contains(&f.code()))
                .map(|(c, _)| c)
                .collect()
        };
        if scenario.try_selectors {
            // Trying costs too much where most domains are good.
            assert_eq!((first.verdict, &first.tried_selectors), (thorough.verdict, &None), "{name}");
            continue;
        }
        if thorough.findings.iter().any(|finding| ONLY_THOROUGH.contains(&finding.code())) {
            // Less may be seen then; nothing else may be.
            let all = visible(&thorough);
            assert!(visible(&first).iter().all(|finding| all.contains(finding)), "{name}");
            continue;
        }
        assert_eq!(visible(&first), visible(&thorough), "{name}");
        assert_eq!(first.verdict, thorough.verdict, "{name}");
        for (one, other) in first.records.iter().zip(&thorough.records) {
            assert_eq!((&one.planned.key, one.status), (&other.planned.key, other.status), "{name}");
            assert_eq!(one.current, other.current, "{name}");
        }
    }
}

#[test]
fn selectors_are_tried_all_at_once_and_no_wildcard_is_taken_for_a_key() {
    let tried = |name: &str| {
        let scenario = scenario::load(name);
        let (observation, rounds) = observe_by(&scenario, Look::Thorough);
        let report = diagnose(&scenario.plan(), &observation, now());
        let asked = |exchange: &&std::sync::Arc<Exchange>| {
            exchange.ask.question.name.as_str().contains("._domainkey.")
        };
        (report.tried_selectors.unwrap(), observation.exchanges.iter().filter(asked).count(), rounds)
    };
    let (none, asked, rounds) = tried("selectors_none_found");
    let all = diagnosis::well_known::selectors().len();
    assert_eq!((none.tried, none.unanswered, none.wildcard, none.found.len()), (all, 0, false, 0));
    // One question for each, and one beside them; no deeper than without them.
    assert_eq!(asked, all + 1);
    let without = Scenario { try_selectors: false, ..scenario::load("selectors_none_found") };
    assert_eq!(rounds, observe_by(&without, Look::Thorough).1);
    assert_eq!(tried("selectors_found").0.found, ["google", "k1"]);
    let wildcard = tried("selectors_wildcard").0;
    assert_eq!((wildcard.wildcard, wildcard.found), (true, vec!["zoho".to_owned()]));
    assert_eq!(tried("selectors_remembered").0.found, ["s1"], "what only a cache remembers is not found");
    let report = scenario::load("selectors_unanswered").report();
    assert_eq!(
        report.dkim_status,
        model::CheckStatus::Pending,
        "where nothing answers nothing is known to be missing"
    );
    // What strangers may ask for of one domain.
    let asked = observe_by(&scenario::load("selectors_many_found"), Look::Thorough).0.exchanges.len();
    assert!(asked < 200, "{asked} questions for keys by which nothing is judged");
    let report = scenario::load("selectors_leftover").report();
    assert!(report.findings.iter().all(|finding| finding.severity < model::Severity::Error));
    assert_eq!(report.dkim_status, model::CheckStatus::Missing, "a leftover is not what mail is signed with");
}

#[test]
fn resolvers_first_asks_little_of_a_good_domain() {
    let asked = |name: &str, look| {
        let scenario = scenario::load(name);
        let (observation, rounds) = observe_by(&scenario, look);
        assert_eq!(diagnose(&scenario.plan(), &observation, now()).verdict, model::Verdict::Pass);
        (observation.exchanges.len(), rounds)
    };
    // All at once: what each will need is known before. Three aliases with their keys, a name beside them, SPF and its
    // include, DMARC, the bounce host's alias and what is behind it.
    assert_eq!(asked("all_good", Look::ResolversFirst), (8, 1));
    // Three aliases with their keys, a name beside them, the bounce host's SPF and its include, its MX and the
    // exchanger's address, DMARC.
    assert_eq!(asked("five_records_good", Look::ResolversFirst), (9, 1));
    assert!(asked("all_good", Look::Thorough).0 > 30);
}

#[test]
fn an_spf_record_of_another_service_is_merged_not_doubled() {
    let report = scenario::load("spf_mechanism_absent").report();
    let record = report.records.iter().find(|record| record.planned.key == "spf").unwrap();
    assert_eq!(record.current, ["v=spf1 include:_spf.acme.test -all"]);
    assert_eq!(record.value(), "v=spf1 include:_spf.acme.test include:spf.send.example.net -all");
    let merge = report.findings.iter().find_map(|finding| match &finding.remedy {
        Remedy::MergeSpf { current, replace_with, .. } => Some((current.clone(), replace_with.clone())),
        _ => None,
    });
    assert_eq!(merge, Some((record.current.clone(), record.value())));
}

#[test]
fn findings_about_one_record_lead_to_one_value() {
    let offered = |name: &str| -> Vec<String> {
        let report = scenario::load(name).report();
        let mut values: Vec<String> = report
            .findings
            .iter()
            .filter_map(|finding| match &finding.remedy {
                Remedy::MergeSpf { replace_with: value, .. } | Remedy::Replace { value, .. } => {
                    Some(value.clone())
                }
                _ => None,
            })
            .collect();
        values.dedup();
        values
    };
    for (name, value) in [
        ("dmarc_removed_tags_and_bad_policy", "v=DMARC1; p=reject; sp=none; rua=mailto:dmarc@mail.acme.test"),
        ("spf_passes_all_and_self_include", "v=spf1 include:spf.send.example.net ~all"),
        ("spf_merge_into_broken", "v=spf1 ip4:192.0.2.0/24 include:spf.send.example.net ~all"),
        ("spf_invalid_comma", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 include:spf.send.example.net -all"),
    ] {
        assert_eq!(offered(name), [value], "{name}");
    }
    assert!(offered("spf_invalid_lost").is_empty(), "nothing that loses a sender is offered");
    // The merged record alone would need eleven look-ups.
    assert!(offered("spf_merge_past_limit").is_empty());
    // There the ranges of an include can be written in its place.
    let slim = offered("spf_merge_written_out");
    assert!(slim.len() == 1 && slim[0].contains("include:spf.send.example.net"), "{slim:?}");
    assert!(slim[0].contains("ip4:192.0.2.") && slim[0].matches("include:").count() == 10, "{slim:?}");
}

#[test]
fn a_misplaced_record_is_named_with_where_it_is_and_where_it_belongs() {
    let report = scenario::load("record_in_doubled_zone").report();
    let found = report.findings.iter().find_map(|finding| match &finding.defect {
        Defect::RecordInDoubledZone { found_at, .. } => Some(found_at.to_string()),
        _ => None,
    });
    assert_eq!(found.as_deref(), Some("tok1._domainkey.mail.acme.test.acme.test"));
    let record = &report.records[0];
    assert_eq!(
        (record.host().as_str(), record.zone.as_ref().unwrap().as_str()),
        ("tok1._domainkey.mail", "acme.test")
    );
}

#[test]
fn a_stale_answer_tells_when_it_runs_out() {
    let by = scenario::load("resolver_cache_stale").report().visible_everywhere_by.unwrap();
    assert_eq!(by.duration_since(now()).as_secs(), 540);
}

mod hostile {
    //! What a stranger's DNS can make us do is bounded.

    use super::*;
    use diagnosis::{
        observation::{Outcome, Reply, Server},
        plan,
    };
    use model::{DomainName, Record, RecordData, RecordType, Soa};
    use std::net::{IpAddr, Ipv4Addr};

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn record(owner: &DomainName, data: RecordData) -> Record {
        Record { owner: owner.clone(), ttl: 60, data }
    }

    /// A zone of 100 name servers at public and private addresses, everything else an alias to the next name.
    fn answer(owner: &DomainName, record_type: RecordType) -> Reply {
        let apex = name("evil.test");
        let soa = Soa {
            mname: apex.clone(),
            rname: apex.clone(),
            serial: 1,
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: 1,
        };
        let answer = match record_type {
            RecordType::Soa => vec![record(&apex, RecordData::Soa(soa))],
            RecordType::Ns => {
                (0..100).map(|n| record(&apex, RecordData::Ns(name(&format!("ns{n}.evil.test"))))).collect()
            }
            RecordType::A => {
                let bad = [
                    [10, 0, 0, 1],
                    [127, 0, 0, 1],
                    [169, 254, 169, 254],
                    [192, 168, 1, 1],
                    [100, 64, 0, 1],
                    [0, 0, 0, 0],
                ];
                let private = bad.map(|octets| record(owner, RecordData::A(Ipv4Addr::from(octets))));
                private.into_iter().chain([record(owner, RecordData::A(Ipv4Addr::new(8, 8, 8, 8)))]).collect()
            }
            RecordType::Aaaa => {
                ["::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "2002:a00:1::1", "64:ff9b::a00:1"]
                    .map(|address| record(owner, RecordData::Aaaa(address.parse().unwrap())))
                    .to_vec()
            }
            _ => {
                let next = owner.prepend("x").unwrap_or_else(|_| apex.clone());
                (0..20)
                    .scan(owner.clone(), |current, _| {
                        let target = current.prepend("x").unwrap_or_else(|_| next.clone());
                        let alias = record(current, RecordData::Cname(target.clone()));
                        *current = target;
                        Some(alias)
                    })
                    .collect()
            }
        };
        Reply { authoritative: true, answer, ..Reply::default() }
    }

    #[test]
    fn a_hundred_name_servers_private_glue_and_endless_aliases_are_bounded() {
        let plan = plan::audit(&name("mail.evil.test"), &["a".to_owned(), "b".to_owned()]);
        let resolver = "9.9.9.9:53".parse().unwrap();
        let policy = inquiry::Policy::for_resolvers(vec![resolver]);
        assert!(!policy.private_addresses && policy.loopback_port == 53);
        let mut observation = Observation::default();
        let mut rounds = 0;
        loop {
            let asks = inquiry::next(&plan, &observation, &policy);
            if asks.is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds <= 10, "the inquiry ends");
            for ask in asks {
                if let Server::Authority { address, .. } = &ask.server {
                    assert_eq!(
                        address.ip(),
                        IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
                        "only public addresses are asked"
                    );
                }
                let reply = answer(&ask.question.name, ask.question.record_type);
                let outcome = Outcome::Reply(reply);
                observation.exchanges.push(Exchange { ask, at: now(), outcome }.into());
            }
        }
        assert!(observation.exchanges.len() < 200, "{} questions", observation.exchanges.len());
        let report = diagnose(&plan, &observation, now());
        assert_ne!(report.verdict, model::Verdict::Pass);
    }
}
