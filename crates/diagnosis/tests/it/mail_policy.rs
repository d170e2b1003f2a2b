//! What the records come to for mail, as data: the SPF tree and what to take out of it.

use diagnosis::{
    Defect, Plan, Profile, Remedy, Report, Variables, diagnose,
    mail_policy::{
        Condition, ConditionStatus, Policy, Provider, ReportAuthorisation, ReverseDns, Rule, RuleStatus,
    },
    observation::{Exchange, Observation},
    plan,
};
use mail::spf::SpfDropReason;
use scenario::{FakeDns, Scenario};

fn report_of(name: &str) -> Report {
    scenario::load(name).report()
}

/// The report on a plan of its own over a scenario's zones.
fn report_on(plan: &Plan, scenario: &Scenario) -> Report {
    let dns = FakeDns::new(scenario);
    let mut observation = Observation::default();
    loop {
        let asks = diagnosis::inquiry::next(plan, &observation, &scenario.policy());
        if asks.is_empty() {
            return diagnose(plan, &observation, scenario::now());
        }
        for ask in asks {
            let outcome = dns.answer(&ask);
            observation.exchanges.push(Exchange { ask, at: scenario::now(), outcome }.into());
        }
    }
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

#[test]
fn the_next_step_changes_one_tag_and_names_what_to_look_at() {
    let report = report_of("dmarc_policy_none");
    let ladder = report.mail.dmarc_ladder.unwrap();
    let next = ladder.next.unwrap();
    assert_eq!((ladder.current, next.policy), (Policy::None, Policy::Quarantine));
    assert_eq!(next.current, "v=DMARC1; p=none; rua=mailto:dmarc@mail.acme.test");
    assert_eq!(next.replace_with, "v=DMARC1; p=quarantine; rua=mailto:dmarc@mail.acme.test");
    let status = |condition| ladder.conditions.iter().find(|one| one.condition == condition).unwrap().status;
    assert_eq!(status(Condition::ReportsArrive), ConditionStatus::Met);
    assert_eq!(status(Condition::DkimAligned), ConditionStatus::Met);
    assert_eq!(status(Condition::SpfAligned), ConditionStatus::Met);
    assert_eq!(status(Condition::ReportsReadForWeeks), ConditionStatus::Look);
    let tested = report_of("dmarc_testing").mail.dmarc_ladder.unwrap();
    assert_eq!(tested.current, Policy::Quarantine);
    assert_eq!(tested.next.unwrap().replace_with, "v=DMARC1; p=reject; t=n; rua=mailto:dmarc@mail.acme.test");
}

#[test]
fn agreement_to_reports_is_asked_for_and_silence_is_no_refusal() {
    let authorisation = |name: &str| report_of(name).mail.dmarc.unwrap().reports.remove(0).authorisation;
    assert_eq!(authorisation("dmarc_reports_not_authorised"), ReportAuthorisation::Missing);
    assert_eq!(authorisation("dmarc_reports_authorised"), ReportAuthorisation::Given);
    assert_eq!(authorisation("dmarc_reports_same_organization"), ReportAuthorisation::NotNeeded);
    assert!(matches!(authorisation("dmarc_reports_unanswered"), ReportAuthorisation::Unknown(_)));
}

#[test]
fn every_destination_that_has_not_agreed_is_named_with_the_record_it_needs() {
    let report = report_of("dmarc_reports_not_authorised_at_several");
    let named: Vec<String> = report
        .findings
        .iter()
        .filter_map(|finding| match &finding.defect {
            Defect::DmarcReportsNotAuthorised { destination, agreement_at, .. } => {
                Some(format!("{:?} {destination} {agreement_at}", finding.confidence))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        named,
        [
            "Confirmed reports.example mail.acme.test._report._dmarc.reports.example",
            "Confirmed forensics.example mail.acme.test._report._dmarc.forensics.example",
            "Suspected acme.test mail.acme.test._report._dmarc.acme.test",
        ]
    );
    let report = report_of("dmarc_report_uri_scheme");
    let Defect::DmarcReportUriInvalid { uris, .. } = &report.findings[0].defect else {
        panic!("{:?}", report.findings)
    };
    assert_eq!(uris, &["https://reports.example/acme", "http://reports.example/acme"]);
}

#[test]
fn alignment_is_by_the_policy_and_strict_takes_the_same_domain_only() {
    let relaxed = report_of("dmarc_policy_none").mail.alignment.unwrap();
    assert_eq!((relaxed.spf[0].aligned, relaxed.dkim[0].aligned), (Some(true), Some(true)));
    assert_eq!(relaxed.dkim[0].records.len(), 3);
    let strict = report_of("dmarc_strict_alignment").mail.alignment.unwrap();
    assert_eq!((strict.spf[0].aligned, strict.dkim[0].aligned), (Some(false), Some(true)));
}

#[test]
fn the_checklist_tells_what_dns_cannot_show() {
    let rules = report_of("dmarc_missing_breaks_rules").mail.sender_rules;
    let status = |provider, rule| {
        rules
            .iter()
            .find(|one| one.provider == provider && one.rule == rule)
            .map(|one| (one.status, one.bulk))
    };
    assert_eq!(status(Provider::Gmail, Rule::Dmarc), Some((RuleStatus::NotMet, true)));
    assert_eq!(status(Provider::Apple, Rule::Dmarc), Some((RuleStatus::NotMet, false)));
    assert_eq!(status(Provider::Microsoft, Rule::Dkim), Some((RuleStatus::Met, true)));
    assert_eq!(status(Provider::Yahoo, Rule::OneClickUnsubscribe), Some((RuleStatus::AtSend, true)));
    assert_eq!(status(Provider::Gmail, Rule::ComplaintRate), Some((RuleStatus::Operator, false)));
    assert_eq!(status(Provider::Microsoft, Rule::ReverseDns), None);
}

#[test]
fn senders_that_a_plan_names_need_a_name_that_leads_back() {
    let scenario = scenario::load("all_good");
    let mut plan = scenario.plan();
    plan.senders = vec!["192.0.2.25".parse().unwrap()];
    let report = report_on(&plan, &scenario);
    assert_eq!(report.mail.senders[0].reverse, ReverseDns::Missing);
    assert_eq!(report.findings.iter().filter(|finding| finding.code() == "sender_ptr_missing").count(), 1);
    assert_eq!(report.verdict, model::Verdict::Pass, "reverse DNS is no record of the domain");
}

#[test]
fn caa_is_climbed_to_from_hosts_with_https_and_only_a_certain_no_is_found() {
    const TEMPLATE: &str = r#"{"providerId": "x", "serviceId": "x", "records": [
        {"type": "CNAME", "groupId": "tracking", "host": "track", "pointsTo": "bounce.send.example.net", "ttl": 300}
    ], "x-countersign": {"certificateAuthority": "letsencrypt.org"}}"#;
    let judge = |caa: &str| {
        let text = format!(
            "title = \"x\"\ndomain = \"mail.acme.test\"\nprofile = \"audit\"\n[[zone]]\napex = \"acme.test\"\n\
             servers = [\"ns1.acme.test 127.0.1.1\"]\nrecords = '''\n\
             track.mail CNAME bounce.send.example.net.\n{caa}\n'''\n\
             [expect]\nverdict = \"pass\"\nfindings = []\nforbidden = []\n"
        );
        let scenario = Scenario::parse("caa", &text);
        let profile = Profile::parse(TEMPLATE).unwrap();
        let plan = plan::plan(&profile, &scenario.domain, &Variables::new()).unwrap();
        report_on(&plan, &scenario)
    };
    let free = judge("");
    assert_eq!((free.mail.https_hosts[0].may_issue, free.mail.https_hosts[0].caa.len()), (Some(true), 0));
    let named = judge("@ CAA 0 issue \"letsencrypt.org\"");
    assert_eq!(named.mail.https_hosts[0].caa_at.as_ref().unwrap().as_str(), "acme.test");
    assert!(!named.findings.iter().any(|finding| finding.code() == "caa_forbids_issuance"));
    let other = judge("mail CAA 0 issue \"ca.example\"\n@ CAA 0 issue \"letsencrypt.org\"");
    let finding = other.findings.iter().find(|finding| finding.code() == "caa_forbids_issuance").unwrap();
    let Remedy::Add { name, value, .. } = &finding.remedy else { panic!("{finding:?}") };
    assert_eq!((name.as_str(), value.as_str()), ("mail.acme.test", "0 issue \"letsencrypt.org\""));
}
